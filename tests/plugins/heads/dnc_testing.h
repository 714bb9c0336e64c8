#pragma once

#include <torch/types.h>

#include <barrier>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plugins/heads/dnc/dnc_head.h"

namespace dnc {

inline Context dnc_context(int64_t classes, int64_t channels) {
  Context context;
  for (int64_t c = 0; c < classes; ++c) context.classes.names.push_back(std::to_string(c));
  context.channels = channels;
  return context;
}

inline std::shared_ptr<DncHead> make_dnc(const DncHead::Options& options, int64_t classes,
                                         int64_t channels) {
  return std::make_shared<DncHead>(options, dnc_context(classes, channels));
}

/// Copies of all parameters and buffers by name.
inline std::map<std::string, torch::Tensor> state_copy(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> state;
  for (const auto& item : module.named_parameters()) state[item.key()] = item->detach().clone();
  for (const auto& item : module.named_buffers()) state[item.key()] = item->clone();
  return state;
}

/// Whether two states have the same names and the same bits.
inline bool same_state(const std::map<std::string, torch::Tensor>& a,
                       const std::map<std::string, torch::Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    if (b.count(name) == 0 || !torch::equal(tensor, b.at(name))) return false;
  }
  return true;
}

inline double figure(const DncHead& head, const std::string& name) {
  for (const auto& [key, value] : head.figures()) {
    if (key == name) return value;
  }
  throw std::out_of_range("no figure " + name);
}

/// One step on embeddings [N, D, ...], the scores included.
inline HeadStep make_step(DncHead& head, const torch::Tensor& embeddings,
                          const torch::Tensor& labels) {
  const torch::NoGradGuard no_grad;
  HeadStep step;
  step.embeddings = embeddings;
  step.scores = head.forward(embeddings);
  step.labels = labels;
  return step;
}

inline void update(DncHead& head, const torch::Tensor& embeddings, const torch::Tensor& labels) {
  SingleProcess alone;
  head.update(make_step(head, embeddings, labels), alone);
}

/// Ranks that are threads of this process.
class Threads {
 public:
  explicit Threads(int64_t size) : slots_(size), barrier_(size) {}

  class Rank final : public Communicator {
   public:
    Rank(Threads& threads, int64_t rank) : threads_(threads), rank_(rank) {}
    int64_t rank() const override { return rank_; }
    int64_t size() const override { return static_cast<int64_t>(threads_.slots_.size()); }
    void sum(const std::vector<torch::Tensor>& tensors) override {
      for (const auto& tensor : tensors) tensor.copy_(gather(tensor.unsqueeze(0)).sum(0));
    }
    torch::Tensor gather(const torch::Tensor& tensor) override {
      threads_.slots_[rank_] = tensor;
      threads_.barrier_.arrive_and_wait();
      auto all = at::cat(threads_.slots_);
      threads_.barrier_.arrive_and_wait();
      return all;
    }

   private:
    Threads& threads_;
    int64_t rank_;
  };

 private:
  std::vector<torch::Tensor> slots_;
  std::barrier<> barrier_;
};

}  // namespace dnc
