#pragma once

#include <torch/torch.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "host/predict/inference_model.h"

namespace dnc::serve {

/// A model whose scores tell which image they are of: score c of an image is its mean, in bytes,
/// for class 0, and 0 for the others. It can be held up, and notes the batches that it saw.
class FakeModel final : public InferenceModel {
 public:
  explicit FakeModel(Task task = Task::kImages) : InferenceModel(info_for(task), {}, {}) {}

  Answer infer(const torch::Tensor& images, bool) override {
    {
      std::unique_lock lock(mutex_);
      batches_.push_back(images.size(0));
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
    }
    if (images.size(3) == kRefusedWidth) throw Error("the model does not take such images");
    if (images.size(3) == kBrokenWidth) throw std::logic_error("broken\nwith a stack");
    if (images.size(3) == kHugeWidth) torch::empty({int64_t{1} << 45}, torch::kUInt8);
    if (images.size(3) == kForgetfulWidth) return {torch::zeros({1, 3}), {}, {}};
    const auto bytes = images.is_floating_point() ? images * 255 : images.to(torch::kFloat32);
    Answer answer;
    if (info_.task == Task::kPixels) {
      const auto mean = bytes.mean(1, true);
      answer.scores = torch::cat({mean, 100 - mean, torch::zeros_like(mean)}, 1);
    } else {
      answer.scores = torch::zeros({images.size(0), 3});
      answer.scores.select(1, 0).copy_(bytes.mean({1, 2, 3}));
    }
    return answer;
  }

  /// From now on the network takes no end, until release().
  void hold() {
    const std::scoped_lock lock(mutex_);
    held_ = true;
  }
  void release() {
    {
      const std::scoped_lock lock(mutex_);
      held_ = false;
    }
    changed_.notify_all();
  }
  /// Until it has begun so many batches.
  void wait_for_batches(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= count; });
  }
  /// Images of each batch.
  std::vector<int64_t> batches() {
    const std::scoped_lock lock(mutex_);
    return batches_;
  }

  static constexpr int64_t kRefusedWidth = 13;
  static constexpr int64_t kBrokenWidth = 14;
  static constexpr int64_t kHugeWidth = 15;       // more memory than there is
  static constexpr int64_t kForgetfulWidth = 16;  // one row, however many images there are

 private:
  static InferenceInfo info_for(Task task) {
    InferenceInfo info;
    info.name = "fake";
    info.platform = "test";
    info.version = 7;
    info.classes.names = {"cat", "dog", "gnu"};
    info.task = task;
    return info;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::vector<int64_t> batches_;
};

/// The status and the words of the RequestError that a call throws; 0 where it throws none.
template <typename Error, typename Call>
std::pair<int, std::string> refusal_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return {error.status(), error.what()};
  }
  return {0, ""};
}

}  // namespace dnc::serve
