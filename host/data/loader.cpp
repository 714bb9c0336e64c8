#include "host/data/loader.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "registry/error.h"
#include "registry/head.h"
#include "registry/random.h"

namespace dnc {
namespace {

using Clock = std::chrono::steady_clock;

// A stream of random numbers is of an index of 48 bits and a repeat.
constexpr int kIndexBits = 48;
constexpr int64_t kMaxRepeats = 1000;

void check(const LoaderOptions& options, int64_t size) {
  const auto at_least = [](const char* name, int64_t value, int64_t low) {
    if (value < low) throw OptionError(name, fmt::format("is {}, must be at least {}", value, low));
  };
  at_least("batch_size", options.batch_size, 1);
  at_least("workers", options.workers, 0);
  at_least("prefetch", options.prefetch, 1);
  at_least("max_bad_samples", options.max_bad_samples, 0);
  at_least("shuffle_buffer", options.shuffle_buffer, 1);
  at_least("repeats", options.repeats, 1);
  if (options.repeats > kMaxRepeats) {
    throw OptionError("repeats",
                      fmt::format("is {}, must be at most {}", options.repeats, kMaxRepeats));
  }
  if (options.ranks < 1 || options.rank < 0 || options.rank >= options.ranks) {
    throw OptionError("rank", fmt::format("rank {} of {}", options.rank, options.ranks));
  }
  if (options.batch_size % options.ranks != 0) {
    throw OptionError("batch_size",
                      fmt::format("{} cannot be shared equally by {} processes; take a multiple",
                                  options.batch_size, options.ranks));
  }
  if (size == 0) throw DataError("the data set has no samples");
  if (options.drop_last && size < options.batch_size) {
    throw OptionError("batch_size", fmt::format("{} is more than the {} samples of the data set",
                                                options.batch_size, size));
  }
}

Sampler make_sampler(const LoaderOptions& options, const Dataset& dataset) {
  Sampler sampler;
  sampler.size = dataset.size();
  sampler.shards = dataset.shards();
  const auto stored = std::accumulate(sampler.shards.begin(), sampler.shards.end(), int64_t{0});
  TORCH_CHECK(sampler.shards.empty() || stored == sampler.size, "the data set has ", sampler.size,
              " samples, but its shards have ", stored);
  sampler.shuffle_buffer = options.shuffle_buffer;
  sampler.repeats = options.repeats;
  sampler.batch_size = options.batch_size;
  sampler.shuffle = options.shuffle;
  sampler.drop_last = options.drop_last;
  sampler.seed = options.seed;
  sampler.rank = options.rank;
  sampler.ranks = options.ranks;
  return sampler;
}

Batch empty_batch(Task task) {
  Batch batch;
  batch.images = torch::empty({0, 3, 0, 0}, torch::kUInt8);
  batch.labels = task == Task::kPixels ? torch::empty({0, 0, 0}, torch::kInt64)
                                       : torch::empty({0}, torch::kInt64);
  return batch;
}

// Nobody shall count this sample.
void ignore(Sample& sample) {
  sample.label = kIgnoredLabel;
  if (sample.labels.empty()) return;
  std::fill_n(sample.labels.pixels(), sample.labels.size(), uint8_t{255});
}

}  // namespace

std::string bad_samples_text(const std::string& split, const std::vector<BadSample>& bad) {
  const bool one = bad.size() == 1;
  return fmt::format("{}: {} damaged {} not count; {}: {}", split, bad.size(),
                     one ? "sample does" : "samples do", one ? "it is" : "the first",
                     bad.front().reason);
}

Loader::Loader(std::shared_ptr<const Dataset> dataset,
               std::vector<std::shared_ptr<const Transform>> transforms,
               const LoaderOptions& options)
    : dataset_(std::move(dataset)),
      transforms_(std::move(transforms)),
      options_(options),
      sampler_(make_sampler(options, *dataset_)),
      window_(std::max(options.prefetch, options.workers)) {
  check(options, dataset_->size());
  for (int64_t i = 0; i < options.workers; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

Loader::~Loader() {
  for (auto& thread : threads_) thread.request_stop();  // all at once; then they are joined
}

void Loader::start(int64_t epoch, int64_t first_batch) {
  TORCH_CHECK(0 <= first_batch && first_batch <= batches(), "batch ", first_batch, " of ",
              batches());
  abandon_epoch();
  epoch_ = epoch;
  order_ = sampler_.order(epoch);
  waited_ = 0;
  {
    const std::lock_guard lock(mutex_);
    claimed_ = consumed_ = first_batch;
    end_ = batches();
  }
  wanted_.notify_all();
}

// Leaves the workers idle and the queue empty.
void Loader::abandon_epoch() {
  std::unique_lock lock(mutex_);
  end_ = claimed_ = consumed_ = 0;
  abandoned_ = true;
  made_.wait(lock, [this] { return busy_ == 0; });
  abandoned_ = false;
  ready_.clear();
}

void Loader::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto has_work = [this] { return claimed_ < end_ && claimed_ < consumed_ + window_; };
  while (wanted_.wait(lock, stop, has_work) && !stop.stop_requested()) {
    const int64_t batch = claimed_++;
    ++busy_;
    lock.unlock();
    auto made = make(batch, stop);
    lock.lock();
    --busy_;
    ready_[batch] = std::move(made);
    made_.notify_one();
  }
}

std::optional<Batch> Loader::next() {
  if (consumed_ >= end_) return std::nullopt;
  const auto begin = Clock::now();
  auto made = take();
  waited_ += std::chrono::duration<double>(Clock::now() - begin).count();
  try {
    count_bad(made.bad);
    if (made.error) std::rethrow_exception(made.error);
  } catch (...) {
    abandon_epoch();
    throw;
  }
  return std::move(made.batch);
}

Loader::Made Loader::take() {
  if (threads_.empty()) {
    auto made = make(consumed_, {});
    ++consumed_;
    return made;
  }
  std::unique_lock lock(mutex_);
  made_.wait(lock, [this] { return ready_.contains(consumed_); });
  auto made = std::move(ready_.extract(consumed_).mapped());
  ++consumed_;
  lock.unlock();
  wanted_.notify_one();
  return made;
}

// Keeps them in the order of the batches, whichever worker met one first.
void Loader::count_bad(const std::vector<BadSample>& bad) {
  for (const auto& sample : bad) {
    const auto known = std::any_of(bad_samples_.begin(), bad_samples_.end(),
                                   [&](const auto& other) { return other.index == sample.index; });
    if (known) continue;
    bad_samples_.push_back(sample);
    const auto count = static_cast<int64_t>(bad_samples_.size());
    if (count <= options_.max_bad_samples) continue;
    throw DataError(options_.max_bad_samples == 0
                        ? sample.reason
                        : fmt::format("{}; it is damaged sample {}, more than max_bad_samples: {}",
                                      sample.reason, count, options_.max_bad_samples));
  }
}

Loader::Made Loader::make(int64_t batch, const std::stop_token& stop) const {
  Made made;
  try {
    made.batch = build(batch, stop, made.bad);
  } catch (...) {
    made.error = std::current_exception();
  }
  return made;
}

Batch Loader::build(int64_t batch, const std::stop_token& stop, std::vector<BadSample>& bad) const {
  const auto slice = sampler_.slice(batch);
  const int64_t size = options_.equal_parts ? sampler_.share(batch) : slice.size();
  if (size == 0) return empty_batch(dataset_->task());
  BatchBuilder builder(*dataset_, size, options_.pin, options_.free_label_size);
  for (int64_t position = slice.first; position < slice.last; ++position) {
    if (abandoned_ || stop.stop_requested()) return {};
    if (options_.replace_bad) {
      builder.add(load_good(position, bad));
    } else if (const auto sample = load_if_good(position, bad)) {
      builder.add(*sample);
    }
  }
  for (int64_t more = slice.size(); more < size; ++more) {
    auto sample = load_good(batch * options_.batch_size, bad);
    ignore(sample);
    builder.add(sample);
  }
  auto built = builder.finish();
  return built.size() == 0 ? empty_batch(dataset_->task()) : built;
}

// The sample at a position of the order, or the next good one after it; the end wraps around.
Sample Loader::load_good(int64_t position, std::vector<BadSample>& bad) const {
  for (int64_t tried = 0; tried < sampler_.size; ++tried) {
    auto sample = load_if_good((position + tried) % sampler_.size, bad);
    if (!sample) continue;
    if (tried > 0) ignore(*sample);
    return std::move(*sample);
  }
  throw DataError(
      fmt::format("{}; and none of the {} samples is good", bad.front().reason, sampler_.size));
}

// Nothing for a damaged sample, which is noted. Throws where those are more than may be.
std::optional<Sample> Loader::load_if_good(int64_t position, std::vector<BadSample>& bad) const {
  const int64_t index = order_[static_cast<size_t>(position)];
  try {
    return load(index, sampler_.repeat(position));
  } catch (const DataError& error) {
    const auto known = std::any_of(bad.begin(), bad.end(),
                                   [&](const auto& other) { return other.index == index; });
    if (!known) bad.push_back({index, error.what()});
    if (static_cast<int64_t>(bad.size()) > options_.max_bad_samples) throw;
    return std::nullopt;
  }
}

// With all its pixels decoded, so that a damaged file is found here. Every error but those of the
// program itself (of memory, of options) names the sample.
Sample Loader::load(int64_t index, int64_t repeat) const {
  try {
    auto sample = dataset_->load(index);
    sample.index = index;
    Random random(options_.seed, Purpose::kAugment, static_cast<uint64_t>(epoch_),
                  static_cast<uint64_t>(index) | static_cast<uint64_t>(repeat) << kIndexBits);
    for (const auto& transform : transforms_) transform->apply(sample, random);
    if (!sample.image.is_float()) std::as_const(sample.image).pixels();
    if (!sample.labels.empty()) std::as_const(sample.labels).pixels();
    return sample;
  } catch (const DataError& error) {
    const auto name = dataset_->name(index);
    if (std::string_view(error.what()).starts_with(name)) throw;
    throw DataError(name + ": " + error.what());
  } catch (c10::Error& error) {
    error.add_context("while sample " + dataset_->name(index) + " was loaded");
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw std::runtime_error(dataset_->name(index) + ": " + error.what());
  }
}

}  // namespace dnc
