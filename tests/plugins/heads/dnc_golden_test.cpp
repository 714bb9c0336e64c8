// Compares the head with tests/golden/dnc.py, which loops over classes and samples.

#include <gtest/gtest.h>
#include <torch/types.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "tests/golden/golden.h"
#include "tests/plugins/heads/dnc_testing.h"

namespace dnc {
namespace {

using Options = DncHead::Options;

/// The options of each case, as in main() of dnc.py.
Options options_of(const std::string& name) {
  Options options;
  options.momentum = 0.9;
  if (name == "memory") options.memory = 7;
  if (name == "memory_many") options.memory = 5;
  if (name == "nearest") options.assignment = DncHead::Assignment::kNearest;
  if (name == "correct") options.samples = DncHead::Samples::kCorrect;
  if (name == "sharp") options.sinkhorn = {5, 0.002};
  if (name == "one_iteration") options.sinkhorn.iterations = 1;
  if (name.rfind("start", 0) == 0) options.start = DncHead::Start::kData;
  if (name.rfind("revive", 0) == 0) {
    options.assignment = DncHead::Assignment::kNearest;
    options.revive = DncHead::Revive::kResample;
    options.patience = 2;
  }
  if (name == "released") {
    options.embedding_norm = DncHead::Norm::kLayerNorm;
    options.score_norm = DncHead::Norm::kLayerNorm;
  }
  if (name == "losses") options.ppc = options.ppd = 1;
  return options;
}

const Golden& fixture() {
  static const Golden golden = Golden::load("dnc.txt");
  return golden;
}

/// A case in one precision. Float32 runs the kernels of the CPU, float64 the operators of every
/// device.
class DncGolden : public testing::TestWithParam<std::tuple<std::string, torch::Dtype>> {
 protected:
  void SetUp() override {
    std::tie(name_, dtype_) = GetParam();
    tolerance_ = dtype_ == torch::kFloat ? 1e-5 : 1e-7;  // the file has nine digits
    const auto start = golden("prototypes");
    auto options = options_of(name_);
    options.sub_centroids = start.size(1);
    head_ = make_dnc(options, start.size(0), start.size(2));
    for (auto& item : head_->named_buffers()) {
      if (item->is_floating_point()) item->set_data(item->to(dtype_));
    }
    for (auto& item : head_->named_parameters()) {
      item->set_data(golden(item.key()).to(dtype_));
    }
    head_->named_buffers()["prototypes"].copy_(start);
  }

  torch::Tensor golden(const std::string& key) const { return fixture()[name_ + "/" + key]; }
  bool has(const std::string& key) const { return fixture().contains(name_ + "/" + key); }

  /// [N, D] or [N, D, h, w] to rows, as dnc.py writes them.
  static torch::Tensor rows(const torch::Tensor& x) { return x.movedim(1, -1).flatten(0, -2); }

  /// Labels [N, H, W] to the size of embeddings [N, D, h, w], as dnc.py does it.
  static torch::Tensor shrink(torch::Tensor labels, const torch::Tensor& x) {
    for (int64_t dim = 1; dim < labels.dim(); ++dim) {
      std::vector<int64_t> from;
      for (int64_t i = 0; i < x.size(dim + 1); ++i) {
        from.push_back(i * labels.size(dim) / x.size(dim + 1));
      }
      labels = labels.index_select(dim, torch::tensor(from));
    }
    return labels;
  }

  void check_forward(const std::string& at, const torch::Tensor& labels) {
    const auto x = golden(at + "/x").to(dtype_).requires_grad_();
    const auto scores = head_->forward(x);
    EXPECT_EQ(scores.scalar_type(), dtype_);
    EXPECT_TRUE(is_close(rows(scores), golden(at + "/scores"), tolerance_)) << at;
    if (!has(at + "/loss")) return;
    const auto loss =
        at::cross_entropy_loss(rows(scores), labels, {}, at::Reduction::Mean, kIgnoredLabel);
    loss.backward();
    EXPECT_TRUE(is_close(loss, golden(at + "/loss"), tolerance_)) << at;
    EXPECT_TRUE(is_close(rows(x.grad()), golden(at + "/gradient"), tolerance_)) << at;
  }

  void check_losses(const std::string& at, const torch::Tensor& labels) {
    const auto x = golden(at + "/x").to(dtype_).requires_grad_();
    HeadStep step{x, head_->forward(x), labels, 0};
    Losses losses;
    head_->add_losses(step, losses);
    ASSERT_EQ(losses.size(), 2u);
    for (const auto& [name, loss] : losses) {
      EXPECT_TRUE(is_close(loss, golden(at + "/" + name), tolerance_)) << at << name;
      x.mutable_grad() = torch::Tensor();
      loss.backward({}, /*retain_graph=*/true);
      EXPECT_TRUE(is_close(x.grad(), golden(at + "/" + name + "_gradient"), tolerance_)) << at;
    }
  }

  std::string name_;
  torch::Dtype dtype_{};
  double tolerance_ = 0;
  std::shared_ptr<DncHead> head_;
};

TEST_P(DncGolden, MatchesTheNaiveReference) {
  int64_t step = 0;
  for (; has(std::to_string(step) + "/x"); ++step) {
    const auto at = std::to_string(step);
    const auto labels = golden(at + "/labels").to(torch::kLong);
    const auto x = golden(at + "/x").to(dtype_);
    const auto assigned = golden(at + "/assigned").to(torch::kLong);
    check_forward(at, shrink(labels, x).flatten());
    if (has(at + "/ppc")) check_losses(at, labels);

    update(*head_, x, labels);
    const auto got = head_->assignment();
    EXPECT_TRUE(torch::equal(got, assigned)) << at << ": " << got << assigned;
    EXPECT_TRUE(is_close(head_->prototypes(), golden(at + "/prototypes"), tolerance_)) << at;
    const auto buffers = head_->named_buffers();
    EXPECT_TRUE(is_close(buffers["mass"], golden(at + "/mass"), tolerance_)) << at;
    EXPECT_TRUE(torch::equal(buffers["idle"], golden(at + "/idle").to(torch::kLong))) << at;
  }
  EXPECT_GE(step, 1);
}

std::vector<std::string> cases() {
  std::vector<std::string> found;
  for (const auto& name : fixture().names()) {
    const auto slash = name.find('/');
    if (name.substr(slash) == "/prototypes") found.push_back(name.substr(0, slash));
  }
  return found;
}

INSTANTIATE_TEST_SUITE_P(Cases, DncGolden,
                         testing::Combine(testing::ValuesIn(cases()),
                                          testing::Values(torch::kFloat, torch::kDouble)),
                         [](const auto& info) {
                           return std::get<0>(info.param) +
                                  (std::get<1>(info.param) == torch::kFloat ? "_float32"
                                                                            : "_float64");
                         });

}  // namespace
}  // namespace dnc
