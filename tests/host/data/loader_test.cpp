#include "host/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <limits>
#include <set>
#include <stdexcept>
#include <thread>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kClasses = 4;

// Pictures of one value, the index; what else a test wants is set beforehand.
class FakeDataset : public Dataset {
 public:
  explicit FakeDataset(int64_t size) : size_(size) { classes_.names = {"a", "b", "c", "d"}; }
  int64_t size() const override { return size_; }
  const ClassInfo& classes() const override { return classes_; }
  std::string name(int64_t index) const override { return "fake #" + std::to_string(index); }
  Task task() const override { return kind; }
  std::vector<int64_t> shards() const override { return parts; }

  Sample load(int64_t index) const override {
    ++loads;
    if (on_load) on_load(index);
    if (bad.contains(index)) throw DataError(name(index) + ": damaged");
    Sample sample;
    sample.index = index;
    sample.label = index % kClasses;
    sample.image = Image(height, width, channels);
    std::fill_n(sample.image.pixels(), sample.image.size(), static_cast<uint8_t>(index));
    if (kind == Task::kPixels) {
      sample.labels = Image(height, width, 1);
      std::fill_n(sample.labels.pixels(), sample.labels.size(), static_cast<uint8_t>(index % 4));
    }
    if (on_sample) on_sample(sample);
    return sample;
  }

  int64_t height = 2;
  int64_t width = 3;
  int64_t channels = 3;
  Task kind = Task::kImages;
  std::vector<int64_t> parts;
  std::set<int64_t> bad;
  std::function<void(int64_t)> on_load;
  std::function<void(Sample&)> on_sample;
  mutable std::atomic<int64_t> loads = 0;

 private:
  int64_t size_;
  ClassInfo classes_;
};

// Writes a random byte into the first pixel.
class Stamp : public Transform {
 public:
  void apply(Sample& sample, Random& random) const override {
    sample.image.pixels()[0] = static_cast<uint8_t>(random() & 0xff);
  }
};

class ToFloat : public Transform {
 public:
  void apply(Sample& sample, Random&) const override {
    sample.image.to_float();
    for (int64_t i = 0; i < sample.image.size(); ++i) sample.image.floats()[i] += 0.5F;
  }
};

template <typename Exception>
class Throws : public Transform {
 public:
  void apply(Sample& sample, Random&) const override {
    if (sample.index == 5) throw Exception("what went wrong");
  }
};

std::shared_ptr<FakeDataset> fake(int64_t size) { return std::make_shared<FakeDataset>(size); }

LoaderOptions options(int64_t batch_size, int64_t workers = 0) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.workers = workers;
  options.prefetch = 3;
  return options;
}

LoaderOptions shuffled(int64_t batch_size, int64_t workers) {
  auto all = options(batch_size, workers);
  all.shuffle = true;
  all.seed = 11;
  return all;
}

std::vector<Batch> rest(Loader& loader) {
  std::vector<Batch> batches;
  while (auto batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

std::vector<Batch> epoch(Loader& loader, int64_t number, int64_t first_batch = 0) {
  loader.start(number, first_batch);
  return rest(loader);
}

bool equal(const Batch& a, const Batch& b) {
  return a.indices == b.indices && torch::equal(a.labels, b.labels) &&
         torch::equal(a.images, b.images);
}

bool equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Batch& x, const Batch& y) { return equal(x, y); });
}

template <typename Exception = DataError>
std::string error_of(Loader& loader) {
  try {
    rest(loader);
  } catch (const Exception& error) {
    return error.what();
  }
  return "";
}

std::string first_error(std::shared_ptr<const Dataset> data, const LoaderOptions& with) {
  Loader loader(std::move(data), {}, with);
  loader.start(0);
  return error_of(loader);
}

std::vector<int64_t> labels_of(const Batch& batch) {
  const auto flat = batch.labels.flatten();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

// ---- What a batch is ----

TEST(LoaderTest, BatchIsChannelsLastBytesWithLabels) {
  const auto data = fake(5);
  data->on_sample = [](Sample& sample) { sample.image.pixels()[5] = 99; };  // row 0, column 1, blue
  Loader loader(data, {}, options(2));
  EXPECT_EQ(loader.batches(), 3);
  const auto batches = epoch(loader, 0);
  ASSERT_EQ(batches.size(), 3u);
  const auto& batch = batches[1];
  EXPECT_THAT(batch.images.sizes(), ElementsAre(2, 3, 2, 3));
  EXPECT_EQ(batch.images.scalar_type(), torch::kUInt8);
  EXPECT_TRUE(batch.images.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_EQ(batch.images[1][2][0][1].item<int64_t>(), 99);
  EXPECT_EQ(batch.images[1][1][0][1].item<int64_t>(), 3);
  EXPECT_EQ(batch.images[0][2][1][2].item<int64_t>(), 2);
  EXPECT_EQ(batch.labels.scalar_type(), torch::kInt64);
  EXPECT_THAT(labels_of(batch), ElementsAre(2, 3));
  EXPECT_THAT(batch.indices, ElementsAre(2, 3));
  EXPECT_EQ(batches[2].size(), 1);
  EXPECT_THAT(batches[2].images.sizes(), ElementsAre(1, 3, 2, 3));
}

TEST(LoaderTest, LastShortBatchCanBeDropped) {
  auto dropping = options(2);
  dropping.drop_last = true;
  Loader loader(fake(5), {}, dropping);
  EXPECT_EQ(loader.batches(), 2);
  EXPECT_EQ(epoch(loader, 0).size(), 2u);
}

TEST(LoaderTest, GrayImagesGetThreeChannels) {
  const auto data = fake(2);
  data->channels = 1;
  data->on_sample = [](Sample& sample) { sample.image.pixels()[4] = 77; };
  Loader loader(data, {}, options(2));
  const auto batch = epoch(loader, 0).at(0);
  EXPECT_THAT(batch.images.sizes(), ElementsAre(2, 3, 2, 3));
  for (int64_t channel = 0; channel < 3; ++channel) {
    EXPECT_EQ(batch.images[1][channel][1][1].item<int64_t>(), 77);
    EXPECT_EQ(batch.images[1][channel][1][2].item<int64_t>(), 1);
  }
}

TEST(LoaderTest, FloatImagesStayFloat) {
  for (const int64_t channels : {1, 3}) {
    const auto data = fake(3);
    data->channels = channels;
    Loader loader(data, {std::make_shared<ToFloat>()}, options(3));
    const auto batch = epoch(loader, 0).at(0);
    EXPECT_EQ(batch.images.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(batch.images.is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_TRUE((batch.images[2] == 2.5).all().item<bool>());
  }
}

TEST(LoaderTest, PixelLabelsBecomeMapsWith255Ignored) {
  const auto data = fake(3);
  data->kind = Task::kPixels;
  data->on_sample = [](Sample& sample) { sample.labels.pixels()[4] = 255; };
  Loader loader(data, {}, options(3));
  const auto batch = epoch(loader, 0).at(0);
  EXPECT_THAT(batch.labels.sizes(), ElementsAre(3, 2, 3));
  EXPECT_TRUE(batch.labels.is_contiguous());
  EXPECT_EQ(batch.labels[2][1][1].item<int64_t>(), kIgnoredLabel);
  EXPECT_EQ(batch.labels[2][1][2].item<int64_t>(), 2);
  EXPECT_EQ((batch.labels == kIgnoredLabel).sum().item<int64_t>(), 3);
}

TEST(LoaderTest, SamplesWithoutALabelAreIgnored) {
  const auto data = fake(2);
  data->on_sample = [](Sample& sample) { sample.label = kIgnoredLabel; };
  Loader loader(data, {}, options(2));
  EXPECT_THAT(labels_of(epoch(loader, 0).at(0)), Each(kIgnoredLabel));
}

// ---- Order ----

TEST(LoaderTest, AnyNumberOfWorkersGivesTheSameBatches) {
  const auto data = fake(103);
  const std::vector<std::shared_ptr<const Transform>> transforms{std::make_shared<Stamp>()};
  Loader alone(data, transforms, shuffled(8, 0));
  const auto expected = epoch(alone, 4);
  ASSERT_EQ(expected.size(), 13u);
  for (const int64_t workers : {1, 2, 5}) {
    for (const int64_t prefetch : {1, 3, 50}) {
      auto with = shuffled(8, workers);
      with.prefetch = prefetch;
      Loader loader(data, transforms, with);
      EXPECT_TRUE(equal(epoch(loader, 4), expected)) << workers << " workers, " << prefetch;
    }
  }
}

TEST(LoaderTest, EachSampleComesOnceAnEpoch) {
  Loader loader(fake(103), {}, shuffled(8, 2));
  std::vector<int64_t> seen;
  for (const auto& batch : epoch(loader, 0)) {
    seen.insert(seen.end(), batch.indices.begin(), batch.indices.end());
  }
  std::sort(seen.begin(), seen.end());
  ASSERT_EQ(seen.size(), 103u);
  for (int64_t i = 0; i < 103; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(LoaderTest, RanksTogetherGiveTheBatchesOfOne) {
  const auto data = fake(24);
  const std::vector<std::shared_ptr<const Transform>> transforms{std::make_shared<Stamp>()};
  Loader alone(data, transforms, shuffled(6, 0));
  const auto expected = epoch(alone, 1);
  for (const int64_t ranks : {2, 3, 6}) {
    std::vector<std::vector<Batch>> parts;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      auto with = shuffled(6, 2);
      with.rank = rank;
      with.ranks = ranks;
      Loader loader(data, transforms, with);
      EXPECT_EQ(loader.batches(), 4);
      parts.push_back(epoch(loader, 1));
    }
    for (size_t b = 0; b < expected.size(); ++b) {
      std::vector<torch::Tensor> images;
      std::vector<torch::Tensor> labels;
      for (const auto& part : parts) {
        images.push_back(part.at(b).images);
        labels.push_back(part.at(b).labels);
      }
      EXPECT_TRUE(torch::equal(torch::cat(images), expected[b].images));
      EXPECT_TRUE(torch::equal(torch::cat(labels), expected[b].labels));
    }
  }
}

TEST(LoaderTest, RankWithoutAShareOfTheLastBatchGetsAnEmptyOne) {
  std::vector<int64_t> sizes;
  for (int64_t rank = 0; rank < 4; ++rank) {
    auto with = options(4, 1);
    with.rank = rank;
    with.ranks = 4;
    Loader loader(fake(6), {}, with);
    const auto batches = epoch(loader, 0);
    ASSERT_EQ(batches.size(), 2u);
    EXPECT_EQ(batches[1].images.size(0), batches[1].size());
    EXPECT_EQ(batches[1].labels.size(0), batches[1].size());
    sizes.push_back(batches[1].size());
  }
  EXPECT_THAT(sizes, ::testing::UnorderedElementsAre(0, 0, 1, 1));
}

TEST(LoaderTest, EqualPartsOfAShortBatchEndWithSamplesThatCountNowhere) {
  const auto data = fake(17);
  Loader alone(data, {}, shuffled(12, 0));
  const auto last = epoch(alone, 1).at(1);
  ASSERT_EQ(last.size(), 5);
  std::vector<torch::Tensor> labels;
  std::vector<int64_t> indices;
  for (int64_t rank = 0; rank < 4; ++rank) {
    auto with = shuffled(12, 1);
    with.rank = rank;
    with.ranks = 4;
    with.equal_parts = true;
    Loader loader(data, {}, with);
    const auto batches = epoch(loader, 1);
    EXPECT_EQ(batches.at(0).size(), 3);
    EXPECT_EQ(batches.at(1).size(), 2);
    labels.push_back(batches[1].labels);
    indices.insert(indices.end(), batches[1].indices.begin(), batches[1].indices.end());
  }
  const auto all = torch::cat(labels);
  EXPECT_TRUE(torch::equal(all.narrow(0, 0, 5), last.labels));
  EXPECT_TRUE(all.narrow(0, 5, 3).eq(kIgnoredLabel).all().item<bool>());
  EXPECT_EQ(std::vector(indices.begin(), indices.begin() + 5), last.indices);
}

TEST(LoaderTest, StartInTheMiddleEqualsSkipping) {
  const auto data = fake(50);
  const std::vector<std::shared_ptr<const Transform>> transforms{std::make_shared<Stamp>()};
  for (const int64_t workers : {0, 2}) {
    Loader loader(data, transforms, shuffled(8, workers));
    auto skipped = epoch(loader, 3);
    for (const int64_t first : {1, 5, 7}) {
      const std::vector<Batch> expected(skipped.begin() + first, skipped.end());
      Loader resumed(data, transforms, shuffled(8, workers));
      EXPECT_TRUE(equal(epoch(resumed, 3, first), expected)) << first;
    }
    EXPECT_EQ(epoch(loader, 3, 7).size(), 0u);
    EXPECT_THROW(loader.start(3, 8), c10::Error);
  }
}

TEST(LoaderTest, EpochsDifferInOrderAndAugmentation) {
  const auto data = fake(64);
  const std::vector<std::shared_ptr<const Transform>> transforms{std::make_shared<Stamp>()};
  Loader loader(data, transforms, shuffled(64, 1));
  const auto first = epoch(loader, 0).at(0);
  const auto second = epoch(loader, 1).at(0);
  EXPECT_NE(first.indices, second.indices);
  EXPECT_TRUE(equal(epoch(loader, 0).at(0), first));

  Loader plain(data, transforms, options(64));
  EXPECT_FALSE(torch::equal(epoch(plain, 0).at(0).images, epoch(plain, 1).at(0).images));
  auto reseeded = options(64);
  reseeded.seed = 5;
  Loader other(data, transforms, reseeded);
  EXPECT_FALSE(torch::equal(epoch(plain, 0).at(0).images, epoch(other, 0).at(0).images));
}

TEST(LoaderTest, ShardsAreReadNearlyInOrderByAnyNumberOfWorkersAndAfterAResume) {
  const auto data = fake(200);
  data->parts = {50, 10, 90, 50};
  const std::vector<std::shared_ptr<const Transform>> transforms{std::make_shared<Stamp>()};
  auto with = shuffled(8, 0);
  with.shuffle_buffer = 30;
  Loader alone(data, transforms, with);
  const auto expected = epoch(alone, 2);
  ASSERT_EQ(expected.size(), 25u);
  // The first batch is of the shards that a buffer of 30 and a batch reach over: at most three.
  const auto shard_of = [](int64_t index) {
    return index < 50 ? 0 : index < 60 ? 1 : index < 150 ? 2 : 3;
  };
  std::set<int> shards;
  for (const int64_t index : expected[0].indices) shards.insert(shard_of(index));
  EXPECT_LE(shards.size(), 3u);
  for (const int64_t workers : {1, 3}) {
    with.workers = workers;
    Loader loader(data, transforms, with);
    EXPECT_TRUE(equal(epoch(loader, 2), expected)) << workers;
    for (const int64_t first : {1, 12, 24}) {
      Loader resumed(data, transforms, with);
      EXPECT_TRUE(equal(epoch(resumed, 2, first), {expected.begin() + first, expected.end()}))
          << workers << " " << first;
    }
  }
}

TEST(LoaderTest, ShardsThatDoNotAddUpAreAnErrorOfTheDataSet) {
  const auto data = fake(10);
  data->parts = {5, 4};
  EXPECT_THROW(Loader(data, {}, options(2)), c10::Error);
}

TEST(LoaderTest, RepeatsHaveAnAugmentationOfTheirOwn) {
  const auto data = fake(60);
  const std::vector<std::shared_ptr<const Transform>> transforms{std::make_shared<Stamp>()};
  auto with = shuffled(60, 2);
  Loader once(data, transforms, with);
  const auto plain = epoch(once, 1).at(0);
  with.repeats = 3;
  Loader several(data, transforms, with);
  const auto batch = epoch(several, 1).at(0);
  ASSERT_EQ(batch.size(), 60);
  const auto stamp = [](const Batch& of, int64_t row) {
    return of.images[row][0][0][0].item<int64_t>();
  };
  int64_t different = 0;
  for (int64_t row = 0; row < 60; row += 3) {
    EXPECT_EQ(batch.indices[static_cast<size_t>(row)], plain.indices[static_cast<size_t>(row / 3)]);
    EXPECT_EQ(batch.indices[static_cast<size_t>(row)], batch.indices[static_cast<size_t>(row + 2)]);
    // The first of them looks as it does without repeats.
    EXPECT_EQ(stamp(batch, row), stamp(plain, row / 3));
    different += stamp(batch, row) != stamp(batch, row + 1);
    different += stamp(batch, row + 1) != stamp(batch, row + 2);
  }
  EXPECT_GE(different, 38);  // of 40; a byte is equal by chance once in 256
  EXPECT_TRUE(equal(epoch(several, 1).at(0), batch));
}

// ---- Threads ----

TEST(LoaderTest, BeforeStartThereIsNothing) {
  Loader loader(fake(5), {}, options(2, 1));
  EXPECT_FALSE(loader.next());
}

TEST(LoaderTest, WorkersDoNotRunAheadOfPrefetch) {
  const auto data = fake(100);
  auto with = options(1, 2);
  with.prefetch = 4;
  Loader loader(data, {}, with);
  loader.start(0);
  ASSERT_TRUE(loader.next());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (data->loads < 5 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(data->loads, 5);  // the one taken, and four more
}

TEST(LoaderTest, StopsWhileTheQueueIsFull) {
  const auto data = fake(100);
  {
    Loader loader(data, {}, options(1, 2));
    loader.start(0);
    while (data->loads < 3) std::this_thread::yield();
  }
  EXPECT_EQ(data->loads, 3);
}

TEST(LoaderTest, StopsWithinASample) {
  const auto data = fake(100000);
  data->on_load = [](int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  const auto begin = std::chrono::steady_clock::now();
  {
    Loader loader(data, {}, options(100000, 2));  // one batch would take 100 s
    loader.start(0);
    while (data->loads < 3) std::this_thread::yield();
    loader.start(1);
    while (data->loads < 6) std::this_thread::yield();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(LoaderTest, NewStartDropsWhatWasLeft) {
  const auto data = fake(40);
  Loader alone(data, {}, shuffled(4, 0));
  Loader loader(data, {}, shuffled(4, 3));
  for (int64_t i = 0; i < 200; ++i) {
    loader.start(i, i % 10);
    for (int64_t taken = 0; taken < i % 4 && loader.next(); ++taken) {
    }
  }
  EXPECT_TRUE(equal(epoch(loader, 7), epoch(alone, 7)));
}

TEST(LoaderTest, WaitingIsMeasured) {
  const auto data = fake(4);
  data->on_load = [](int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(10)); };
  for (const int64_t workers : {0, 1}) {
    Loader loader(data, {}, options(2, workers));
    loader.start(0);
    rest(loader);
    EXPECT_GE(loader.waited(), 0.030);
    EXPECT_LT(loader.waited(), 20);
    loader.start(1);
    EXPECT_EQ(loader.waited(), 0);
  }
}

// ---- Errors ----

TEST(LoaderTest, DamagedSampleStopsAtItsBatch) {
  const auto data = fake(20);
  data->bad = {9};
  for (const int64_t workers : {0, 1, 3}) {
    Loader loader(data, {}, options(4, workers));
    loader.start(0);
    EXPECT_TRUE(loader.next());
    EXPECT_TRUE(loader.next());
    EXPECT_EQ(error_of(loader), "fake #9: damaged");
    EXPECT_FALSE(loader.next());
    ASSERT_EQ(loader.bad_samples().size(), 1u);
    EXPECT_EQ(loader.bad_samples()[0].index, 9);
    loader.start(0, 3);
    EXPECT_EQ(rest(loader).size(), 2u);
  }
}

TEST(LoaderTest, FirstOfSeveralDamagedSamplesIsReported) {
  const auto data = fake(40);
  data->bad = {9, 11, 12, 13, 17, 30};
  for (int repeat = 0; repeat < 20; ++repeat) {
    EXPECT_EQ(first_error(data, options(4, 3)), "fake #9: damaged");
  }
}

TEST(LoaderTest, ErrorsKeepTheirTypeAndNameTheSample) {
  const auto throwing = [](std::shared_ptr<const Transform> transform, int64_t workers) {
    auto loader =
        std::make_unique<Loader>(fake(8), std::vector{std::move(transform)}, options(4, workers));
    loader->start(0);
    return loader;
  };
  for (const int64_t workers : {0, 2}) {
    const auto data_error = throwing(std::make_shared<Throws<DataError>>(), workers);
    EXPECT_EQ(error_of(*data_error), "fake #5: what went wrong");
    const auto config_error = throwing(std::make_shared<Throws<ConfigError>>(), workers);
    EXPECT_EQ(error_of<ConfigError>(*config_error), "what went wrong");
    const auto other = throwing(std::make_shared<Throws<std::logic_error>>(), workers);
    EXPECT_EQ(error_of<std::runtime_error>(*other), "fake #5: what went wrong");
    struct Check : Transform {
      void apply(Sample& sample, Random&) const override {
        TORCH_CHECK(sample.index != 5, "what went wrong");
      }
    };
    const auto torch = throwing(std::make_shared<Check>(), workers);
    EXPECT_THAT(error_of<c10::Error>(*torch),
                ::testing::AllOf(HasSubstr("what went wrong"), HasSubstr("fake #5")));
  }
}

TEST(LoaderTest, ErrorsThatAreNoDamagedSampleAreNeverSkipped) {
  auto with = options(4, 1);
  with.max_bad_samples = 100;
  Loader loader(fake(8), {std::make_shared<Throws<std::logic_error>>()}, with);
  loader.start(0);
  EXPECT_EQ(error_of<std::runtime_error>(loader), "fake #5: what went wrong");
  EXPECT_TRUE(loader.bad_samples().empty());
}

TEST(LoaderTest, DamagedSampleIsReplacedByTheNextGoodOneAndNotCounted) {
  const auto data = fake(8);
  data->bad = {2, 3, 7};
  for (const int64_t workers : {0, 1, 3}) {
    auto with = options(4, workers);
    with.max_bad_samples = 3;
    Loader loader(data, {}, with);
    const auto batches = epoch(loader, 0);
    ASSERT_EQ(batches.size(), 2u);
    EXPECT_THAT(batches[0].indices, ElementsAre(0, 1, 4, 4));
    EXPECT_THAT(labels_of(batches[0]), ElementsAre(0, 1, kIgnoredLabel, kIgnoredLabel));
    EXPECT_EQ(batches[0].images[2][0][0][0].item<int64_t>(), 4);
    EXPECT_THAT(batches[1].indices, ElementsAre(4, 5, 6, 0));  // the end wraps around
    EXPECT_THAT(labels_of(batches[1]), ElementsAre(0, 1, 2, kIgnoredLabel));
    ASSERT_EQ(loader.bad_samples().size(), 3u);
    EXPECT_EQ(loader.bad_samples()[0].reason, "fake #2: damaged");
    EXPECT_EQ(loader.bad_samples()[1].index, 3);
    EXPECT_EQ(loader.bad_samples()[2].index, 7);
    epoch(loader, 1);
    EXPECT_EQ(loader.bad_samples().size(), 3u) << "known ones are not counted again";
  }
}

TEST(LoaderTest, DamagedSamplesCanBeLeftOut) {
  const auto data = fake(12);
  data->bad = {2, 3, 4, 5, 6, 7};
  for (const int64_t workers : {0, 2}) {
    auto with = options(4, workers);
    with.max_bad_samples = 6;
    with.replace_bad = false;
    Loader loader(data, {}, with);
    const auto batches = epoch(loader, 0);
    ASSERT_EQ(batches.size(), 3u);
    EXPECT_THAT(batches[0].indices, ElementsAre(0, 1));
    EXPECT_THAT(labels_of(batches[0]), ElementsAre(0, 1));
    EXPECT_EQ(batches[0].images.size(0), 2);
    EXPECT_TRUE(batches[0].images.is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_EQ(batches[1].size(), 0) << "all of it is damaged";
    EXPECT_EQ(batches[1].images.size(0), 0);
    EXPECT_THAT(batches[2].indices, ElementsAre(8, 9, 10, 11));
    EXPECT_EQ(bad_samples_text("val", loader.bad_samples()),
              "val: 6 damaged samples do not count; the first: fake #2: damaged");
  }
}

TEST(LoaderTest, LabelMapOfAReplacementIsIgnored) {
  const auto data = fake(4);
  data->kind = Task::kPixels;
  data->bad = {1};
  auto with = options(4);
  with.max_bad_samples = 1;
  Loader loader(data, {}, with);
  const auto batch = epoch(loader, 0).at(0);
  EXPECT_TRUE((batch.labels[1] == kIgnoredLabel).all().item<bool>());
  EXPECT_TRUE((batch.labels[2] == 2).all().item<bool>());
}

TEST(LoaderTest, MoreDamagedSamplesThanAllowedStop) {
  const auto data = fake(40);
  data->bad = {5, 17, 30, 31};
  for (const int64_t workers : {0, 3}) {
    auto with = options(4, workers);
    with.max_bad_samples = 2;
    Loader loader(data, {}, with);
    loader.start(0);
    for (int i = 0; i < 7; ++i) EXPECT_TRUE(loader.next());
    EXPECT_EQ(error_of(loader),
              "fake #30: damaged; it is damaged sample 3, more than max_bad_samples: 2");
  }
}

TEST(LoaderTest, NothingButDamagedSamplesEnds) {
  const auto data = fake(3);
  data->bad = {0, 1, 2};
  auto with = options(2, 1);
  with.max_bad_samples = 1000;
  EXPECT_THAT(first_error(data, with), HasSubstr("damaged"));
}

TEST(LoaderTest, SizesThatDifferAreNamed) {
  const auto data = fake(4);
  data->on_sample = [](Sample& sample) {
    if (sample.index == 2) sample.image = Image(5, 7, 3);
  };
  auto with = options(4, 1);
  with.max_bad_samples = 4;  // it is no damage, and is not skipped
  EXPECT_EQ(first_error(data, with),
            "fake #2: its image is 5 x 7 pixels (height x width), but fake #0 in the same batch is "
            "2 x 3; add a transform that makes them equal (Resize, RandomCrop, RandomResizedCrop)");
}

TEST(LoaderTest, TypesThatDifferAreNamed) {
  const auto data = fake(4);
  data->on_sample = [](Sample& sample) {
    if (sample.index == 2) sample.image.to_float();
  };
  EXPECT_THAT(first_error(data, options(4)),
              StartsWith("fake #2: its image is float32, but fake #0 in the same batch is uint8"));
}

TEST(LoaderTest, LabelBeyondTheClassesIsNamed) {
  for (const int64_t label : {int64_t{4}, int64_t{-2}, std::numeric_limits<int64_t>::min()}) {
    const auto data = fake(4);
    data->on_sample = [label](Sample& sample) {
      if (sample.index == 2) sample.label = label;
    };
    EXPECT_EQ(first_error(data, options(4)),
              "fake #2: label " + std::to_string(label) +
                  " is beyond the 4 classes (0 to 3); does the data set fit its list of classes?");
  }
}

TEST(LoaderTest, PixelLabelBeyondTheClassesIsNamed) {
  const auto data = fake(4);
  data->kind = Task::kPixels;
  data->on_sample = [](Sample& sample) {
    if (sample.index == 3) sample.labels.pixels()[5] = 11;
  };
  EXPECT_THAT(first_error(data, options(4)),
              StartsWith("fake #3: label 11 is beyond the 4 classes (0 to 3)"));
}

TEST(LoaderTest, LabelImageOfAnotherSizeIsNamed) {
  const auto data = fake(4);
  data->kind = Task::kPixels;
  data->on_sample = [](Sample& sample) {
    if (sample.index == 3) sample.labels = Image(2, 2, 1);
  };
  EXPECT_EQ(first_error(data, options(4)),
            "fake #3: its label image is 2 x 2 x 1, expected 2 x 3 x 1 like the image");
}

TEST(LoaderTest, LabelImagesMayKeepTheirOwnSizeInEvaluation) {
  const auto data = fake(4);
  data->kind = Task::kPixels;
  data->on_sample = [](Sample& sample) { sample.labels = Image(5, 7, 1); };
  auto with = options(4);
  with.free_label_size = true;
  Loader loader(data, {}, with);
  loader.start(0);
  const auto batch = loader.next();
  EXPECT_EQ(batch->images.sizes(), (std::vector<int64_t>{4, 3, 2, 3}));
  EXPECT_EQ(batch->labels.sizes(), (std::vector<int64_t>{4, 5, 7}));

  data->on_sample = [](Sample& sample) {
    sample.labels = sample.index == 3 ? Image(5, 8, 1) : Image(5, 7, 1);
  };
  EXPECT_EQ(first_error(data, with),
            "fake #3: its label image is 5 x 8 x 1, expected 5 x 7 x 1 like the first of the batch "
            "(data.eval_batch_size: 1 takes any size)");
}

TEST(LoaderTest, OptionsThatCannotBeAreRefused) {
  const auto option_error = [](const std::function<void(LoaderOptions&)>& change) {
    auto with = options(4);
    change(with);
    try {
      Loader loader(fake(10), {}, with);
    } catch (const OptionError& error) {
      return error.option() + ": " + error.what();
    }
    return std::string();
  };
  EXPECT_EQ(option_error([](auto& o) { o.batch_size = 0; }),
            "batch_size: is 0, must be at least 1");
  EXPECT_EQ(option_error([](auto& o) { o.workers = -1; }), "workers: is -1, must be at least 0");
  EXPECT_EQ(option_error([](auto& o) { o.shuffle_buffer = 0; }),
            "shuffle_buffer: is 0, must be at least 1");
  EXPECT_EQ(option_error([](auto& o) { o.repeats = 0; }), "repeats: is 0, must be at least 1");
  EXPECT_EQ(option_error([](auto& o) { o.repeats = 1001; }),
            "repeats: is 1001, must be at most 1000");
  EXPECT_EQ(option_error([](auto& o) { o.ranks = 3; }),
            "batch_size: 4 cannot be shared equally by 3 processes; take a multiple");
  EXPECT_EQ(option_error([](auto& o) {
              o.batch_size = 11;
              o.drop_last = true;
            }),
            "batch_size: 11 is more than the 10 samples of the data set");
  EXPECT_THROW(Loader(fake(0), {}, options(4)), DataError);
}

}  // namespace
}  // namespace dnc
