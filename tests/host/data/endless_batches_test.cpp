#include "host/data/endless_batches.h"

#include <gtest/gtest.h>

namespace dnc {
namespace {

struct Numbered : Dataset {
  Numbered() { info.names = {"a"}; }
  int64_t size() const override { return 5; }
  Sample load(int64_t index) const override {
    Sample sample;
    sample.index = index;
    sample.label = 0;
    sample.image = Image(1, 1, 3);
    return sample;
  }
  const ClassInfo& classes() const override { return info; }
  std::string name(int64_t index) const override { return std::to_string(index); }
  ClassInfo info;
};

TEST(EndlessBatches, AreThoseOfOneEpochAfterTheOther) {
  LoaderOptions options;
  options.batch_size = 2;
  options.shuffle = true;
  options.seed = 3;
  const auto data = std::make_shared<Numbered>();
  EndlessBatches batches(data, {}, options);
  Loader loader(data, {}, options);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    loader.start(epoch);
    while (const auto expected = loader.next())
      EXPECT_EQ(batches.next().indices, expected->indices);
  }
  EXPECT_GT(batches.waited(), 0);
}

}  // namespace
}  // namespace dnc
