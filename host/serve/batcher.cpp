#include "host/serve/batcher.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <exception>
#include <stdexcept>
#include <utility>

#include "host/out_of_memory.h"
#include "host/serve/request_error.h"

namespace dnc::serve {
namespace {

bool alike(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.size(2) == b.size(2) && a.size(3) == b.size(3);
}

double seconds_between(Batcher::Clock::time_point from, Batcher::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

torch::Tensor rows(const torch::Tensor& all, int64_t first, int64_t count) {
  return all.defined() ? all.narrow(0, first, count) : all;
}

// The answer of each job, out of that of the batch.
template <typename Jobs>
std::vector<Batcher::Answer> shared_out(const Batcher::Answer& answer, const Jobs& jobs) {
  std::vector<Batcher::Answer> parts;
  int64_t first = 0;
  for (const auto& job : jobs) {
    const auto count = job->images.size(0);
    parts.push_back({rows(answer.scores, first, count), rows(answer.nearest, first, count),
                     rows(answer.similarities, first, count)});
    first += count;
  }
  return parts;
}

RequestError out_of_time() { return {504, "the network was not done in time; the server is busy"}; }

// What a caller is told of an exception of the model.
std::exception_ptr refusal() {
  try {
    throw;
  } catch (const Error& error) {
    return std::make_exception_ptr(RequestError(400, error.what()));
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) return std::current_exception();
    return std::make_exception_ptr(
        RequestError(503, "out of memory; send fewer or smaller images"));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

Batcher::Batcher(InferenceModel& model, const BatcherOptions& options, Metrics& metrics)
    : model_(model), options_(options), metrics_(metrics) {
  for (int64_t i = 0; i < options_.instances; ++i) threads_.emplace_back([this] { work(); });
}

Batcher::~Batcher() { stop(); }

void Batcher::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Batcher::Answer Batcher::infer(const torch::Tensor& images, bool nearest,
                               Clock::time_point deadline) {
  auto job = std::make_unique<Job>();
  job->images = images;
  job->nearest = nearest;
  job->arrived = Clock::now();
  job->deadline = deadline;
  auto answer = job->answer.get_future();
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) throw RequestError(503, "the server is stopping");
    if (waiting_ + images.size(0) > options_.max_queue) {
      throw RequestError(
          503, fmt::format("the queue is full ({} images wait); try again later", waiting_));
    }
    waiting_ += images.size(0);
    metrics_.set_waiting(waiting_);
    queue_.push_back(std::move(job));
  }
  wanted_.notify_all();
  if (answer.wait_until(deadline) == std::future_status::timeout) throw out_of_time();
  return answer.get();
}

int64_t Batcher::waiting_like(const Job& first) const {
  int64_t count = 0;
  for (const auto& job : queue_)
    count += alike(job->images, first.images) ? job->images.size(0) : 0;
  return count;
}

// The first request, and those that fit into a batch with it. The lock is held.
Batcher::Jobs Batcher::take() {
  Jobs jobs;
  int64_t images = 0;
  for (auto job = queue_.begin(); job != queue_.end();) {
    const auto count = (*job)->images.size(0);
    const bool fits = jobs.empty() || (alike((*job)->images, jobs.front()->images) &&
                                       images + count <= options_.max_batch);
    if (!fits) {
      ++job;
      continue;
    }
    images += count;
    jobs.push_back(std::move(*job));
    job = queue_.erase(job);
  }
  waiting_ -= images;
  metrics_.set_waiting(waiting_);
  return jobs;
}

void Batcher::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const auto latest = queue_.front()->arrived + options_.max_delay;
    wanted_.wait_until(lock, latest, [this] {
      return stopping_ || queue_.empty() || waiting_like(*queue_.front()) >= options_.max_batch;
    });
    auto jobs = take();  // empty where another thread was faster
    lock.unlock();
    refuse_late(jobs);
    if (!jobs.empty()) run(jobs);
    lock.lock();
  }
}

// The caller may still be about to look at its answer.
void Batcher::refuse_late(Jobs& jobs) {
  std::erase_if(jobs, [now = Clock::now()](const auto& job) {
    if (job->deadline >= now) return false;
    job->answer.set_exception(std::make_exception_ptr(out_of_time()));
    return true;
  });
}

void Batcher::run(Jobs& jobs) {
  std::vector<Answer> answers;
  try {
    const auto begin = Clock::now();
    auto images = jobs.front()->images;
    bool nearest = false;
    std::vector<torch::Tensor> parts;
    for (const auto& job : jobs) {
      parts.push_back(job->images);
      nearest = nearest || job->nearest;
    }
    if (jobs.size() > 1) images = torch::cat(parts);
    const auto answer = model_.infer(images, nearest);
    metrics_.add_batch(images.size(0), seconds_between(begin, Clock::now()),
                       seconds_between(jobs.front()->arrived, begin));
    answers = shared_out(answer, jobs);
  } catch (...) {
    const auto error = refusal();
    for (const auto& job : jobs) job->answer.set_exception(error);
    return;
  }
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i]->answer.set_value(std::move(answers[i]));
}

}  // namespace dnc::serve
