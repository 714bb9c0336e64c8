#pragma once

#include <torch/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "host/predict/inference_model.h"
#include "host/serve/metrics.h"

namespace dnc::serve {

struct BatcherOptions {
  int64_t max_batch = 32;                  // images that the network sees at once
  std::chrono::microseconds max_delay{0};  // that a request waits for others to join it
  int64_t max_queue = 256;                 // images that wait; more are refused
  int64_t instances = 1;                   // threads that run the network
};

/// Runs a model for many callers: requests of one image size and type that wait at the same time
/// become one batch. Without a delay that happens only while the network is busy, so a lone request
/// never waits.
class Batcher {
 public:
  using Clock = std::chrono::steady_clock;
  using Answer = InferenceModel::Answer;

  Batcher(InferenceModel& model, const BatcherOptions& options, Metrics& metrics);
  /// As stop().
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Images [n, 3, H, W], n up to max_batch, to their answer; the caller waits. Throws
  /// RequestError: 400 for images that the model does not take, 503 where the queue is full or the
  /// batcher stops, 504 after the deadline. The network never sees a request whose deadline passed
  /// in the queue.
  Answer infer(const torch::Tensor& images, bool nearest, Clock::time_point deadline);

  /// Takes nothing more, finishes what it has, and ends the threads.
  void stop();

 private:
  struct Job {
    torch::Tensor images;
    bool nearest = false;
    Clock::time_point arrived;
    Clock::time_point deadline;
    std::promise<Answer> answer;
  };
  using Jobs = std::vector<std::unique_ptr<Job>>;

  void work();
  int64_t waiting_like(const Job& first) const;
  Jobs take();
  static void refuse_late(Jobs& jobs);
  void run(Jobs& jobs);

  InferenceModel& model_;
  const BatcherOptions options_;
  Metrics& metrics_;

  std::mutex mutex_;                // guards the next three
  std::condition_variable wanted_;  // a worker may have something to do
  std::deque<std::unique_ptr<Job>> queue_;
  int64_t waiting_ = 0;  // images in the queue
  bool stopping_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace dnc::serve
