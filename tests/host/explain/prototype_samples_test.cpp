#include "host/explain/prototype_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

PrototypeSamples some() {
  PrototypeSamples samples;
  samples.nearest.samples = torch::tensor({{{4}, {-1}}}, torch::kLong);
  samples.nearest.similarities = torch::tensor({{{0.5F}, {-INFINITY}}});
  samples.nearest.places = torch::rand({1, 2, 1, 2});
  samples.nearest.points = torch::rand({1, 2, 1, 3});
  samples.names = {"a \"quoted\" name.png", ""};
  samples.searched = 77;
  return samples;
}

const std::vector<int64_t> kSizes{1, 2, 1, 3};

std::string message_of(const std::filesystem::path& file, const std::string& digest,
                       const std::vector<int64_t>& sizes = kSizes) {
  try {
    read_prototype_samples(file, digest, sizes);
  } catch (const Error& error) {
    return error.what();
  }
  return "read";
}

TEST(PrototypeSamples, ComeBackFromTheirFile) {
  const TemporaryFolder folder;
  const auto file = folder / "samples.safetensors";
  const auto written = some();
  write_prototype_samples(file, "digest", written);
  const auto read = read_prototype_samples(file, "digest", kSizes);
  EXPECT_TRUE(torch::equal(read.nearest.samples, written.nearest.samples));
  EXPECT_TRUE(torch::equal(read.nearest.similarities, written.nearest.similarities));
  EXPECT_TRUE(torch::equal(read.nearest.places, written.nearest.places));
  EXPECT_TRUE(torch::equal(read.nearest.points, written.nearest.points));
  EXPECT_EQ(read.names, written.names);
  EXPECT_EQ(read.searched, 77);
}

TEST(PrototypeSamples, OfOtherWeightsAreRefused) {
  const TemporaryFolder folder;
  const auto file = folder / "samples.safetensors";
  write_prototype_samples(file, "digest", some());
  EXPECT_THAT(message_of(file, "other"), HasSubstr("is of other weights, data or options"));
  EXPECT_THAT(message_of(file, "digest", {1, 3, 1, 3}), HasSubstr("is damaged"));
}

TEST(PrototypeSamples, EachChangedByteOfTheNumbersAndEachCutIsFound) {
  const TemporaryFolder folder;
  const auto file = folder / "samples.safetensors";
  write_prototype_samples(file, "digest", some());
  const auto good = bytes_of(file);
  for (size_t i = good.size() - 64; i < good.size(); ++i) {  // 2 x 8, 2 x 4, 4 x 4 and 6 x 4 bytes
    auto changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    put_bytes(file, changed);
    EXPECT_THAT(message_of(file, "digest"), HasSubstr("is damaged")) << i;
  }
  for (const size_t size : {size_t{0}, size_t{7}, size_t{40}, good.size() - 1}) {
    put_bytes(file, good.substr(0, size));
    EXPECT_THAT(message_of(file, "digest"), StartsWith(file.string())) << size;
  }
}

}  // namespace
}  // namespace dnc
