#include <torch/types.h>

#include "registry/plugin.h"

namespace {

/// Embeddings [N, D] to scores [N, classes]: minus the squared distance to the running mean of each
/// class, but for a term that is the same for all classes. The means are a buffer that only
/// update() changes; what is a parameter would be learned by gradient.
class MyPlugin final : public dnc::Head {
 public:
  struct Options {
    double momentum = 0.9;
    void fields(dnc::Fields& f) {
      f("momentum", momentum, "Share of the old mean kept at each update.").between(0, 1);
    }
  };

  MyPlugin(const Options& options, const dnc::Context& context)
      : momentum_(options.momentum),
        means_(register_buffer("means", torch::randn({context.classes.size(), context.channels}))) {
  }

  torch::Tensor forward(const torch::Tensor& embeddings) override {
    return 2 * embeddings.matmul(means_.t()) - means_.square().sum(1);
  }

  void update(const dnc::HeadStep& step, dnc::Communicator& communicator) override {
    const auto points = step.embeddings.to(means_.scalar_type());  // bfloat16 under autocast
    const auto labels = step.labels.clamp_min(0);
    const auto counted = (step.labels != dnc::kIgnoredLabel).to(means_.scalar_type()).unsqueeze(1);
    auto sums = torch::zeros_like(means_).index_add_(0, labels, points * counted);
    auto counts =
        torch::zeros({means_.size(0), 1}, means_.options()).index_add_(0, labels, counted);
    communicator.sum({sums, counts});  // over the processes that train together
    const auto moved = means_ * momentum_ + sums / counts.clamp_min(1) * (1 - momentum_);
    means_.copy_(torch::where(counts > 0, moved, means_));
  }

 private:
  double momentum_;
  torch::Tensor means_;  // [classes, D]
};

}  // namespace

DNC_PLUGIN(registrar) {
  registrar.head<MyPlugin>("MyPlugin", "Nearest class mean, the means following the data.");
}
