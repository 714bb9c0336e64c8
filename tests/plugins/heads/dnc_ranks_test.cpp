// The head among processes that talk over sockets; dnc_head_test.cpp has more of it, in threads
// that hand each other their tensors.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <mutex>

#include "host/parallel/divergence.h"
#include "host/parallel/ranks.h"
#include "tests/plugins/heads/dnc_testing.h"

namespace dnc {
namespace {

constexpr int64_t kClasses = 6;
constexpr int64_t kChannels = 8;
constexpr int64_t kBatch = 24;
constexpr int64_t kSteps = 6;

DncHead::Options everything() {
  DncHead::Options options;
  options.momentum = 0.9;
  options.memory = 8;
  options.samples_per_class = 3;
  options.samples = DncHead::Samples::kCorrect;
  options.start = DncHead::Start::kData;
  options.revive = DncHead::Revive::kResample;
  options.patience = 2;
  return options;
}

std::vector<std::pair<std::string, torch::Tensor>> state(const torch::nn::Module& module) {
  std::vector<std::pair<std::string, torch::Tensor>> state;
  for (const auto& item : module.named_buffers()) state.emplace_back(item.key(), item.value());
  return state;
}

TEST(DncRanksTest, SubCentroidsAreTheSameBitsWith1And2And4Ranks) {
  torch::manual_seed(5);
  const auto start = make_dnc(everything(), kClasses, kChannels);
  const auto embeddings = torch::randn({kSteps, kBatch, kChannels});
  auto labels = torch::randint(0, kClasses, {kSteps, kBatch});
  labels.slice(1, 0, 5).fill_(kIgnoredLabel);  // most of them of rank 0
  std::map<std::string, torch::Tensor> alone;
  for (const int64_t count : {1, 2, 4}) {
    std::mutex mutex;
    const auto body = [&](Ranks& ranks) {
      std::unique_lock lock(mutex);  // the start is drawn from a generator that threads share
      const auto head = make_dnc(everything(), kClasses, kChannels);
      lock.unlock();
      const torch::NoGradGuard no_grad;
      for (const auto& item : start->named_buffers()) {
        head->named_buffers()[item.key()].copy_(item.value());
      }
      const int64_t size = kBatch / ranks.size();
      for (int64_t i = 0; i < kSteps; ++i) {
        auto step = make_step(*head, embeddings[i].narrow(0, ranks.rank() * size, size),
                              labels[i].narrow(0, ranks.rank() * size, size));
        step.step = i;
        head->update(step, ranks);
        check_same(ranks, state(*head), "at step " + std::to_string(i));
      }
      if (ranks.rank() > 0) return;
      if (alone.empty()) alone = state_copy(*head);
      EXPECT_TRUE(same_state(state_copy(*head), alone)) << ranks.size() << " ranks";
    };
    if (count == 1) {
      OneRank one;
      body(one);
      EXPECT_FALSE(same_state(state_copy(*start), alone));
    } else {
      run_as_ranks(count, body);
    }
  }
}

}  // namespace
}  // namespace dnc
