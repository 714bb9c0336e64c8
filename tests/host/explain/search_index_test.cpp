#include "host/explain/search_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "host/explain/cached_tensors.h"
#include "registry/error.h"
#include "registry/head.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::ElementsAre;
using testing::EndsWith;

SearchIndex small_index() {
  SearchIndex index;
  index.points = torch::rand({4, 3});
  index.labels = torch::tensor({int64_t{2}, int64_t{0}, kIgnoredLabel, int64_t{2}}, torch::kLong);
  index.samples = torch::tensor({5, 7, 8, 9}, torch::kLong);
  index.names = {"a.png", "", "with\nline.png", "d.png"};
  return index;
}

std::string message_of(const std::filesystem::path& file, const std::string& digest) {
  try {
    read_index(file, digest);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(SearchIndex, IsReadBackAsItWasWritten) {
  const TemporaryFolder folder;
  const auto index = small_index();
  write_index(folder / "index", "weights 1", index);
  const auto found = read_index(folder / "index", "weights 1");
  EXPECT_TRUE(torch::equal(found.points, index.points));
  EXPECT_TRUE(torch::equal(found.labels, index.labels));
  EXPECT_TRUE(torch::equal(found.samples, index.samples));
  EXPECT_EQ(found.names, index.names);
}

TEST(SearchIndex, OfOtherWeightsOrDamagedIsRefused) {
  const TemporaryFolder folder;
  const auto file = folder / "index";
  write_index(file, "weights 1", small_index());
  EXPECT_EQ(message_of(file, "weights 2"),
            file.string() + ": is of other weights, data or options");
  const auto bytes = bytes_of(file);
  for (const size_t place : {bytes.size() - 1, bytes.size() - 40}) {
    auto damaged = bytes;
    damaged[place] = static_cast<char>(damaged[place] ^ 1);
    put_bytes(file, damaged);
    EXPECT_EQ(message_of(file, "weights 1"), file.string() + ": is damaged");
  }
  put_bytes(file, bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(message_of(file, "weights 1"), testing::StartsWith(file.string()));
}

TEST(SearchIndex, WithTensorsThatDoNotFitTogetherIsRefused) {
  const TemporaryFolder folder;
  const auto file = folder / "index";
  auto fewer_names = small_index();
  fewer_names.names.pop_back();
  write_index(file, "x", fewer_names);
  EXPECT_THAT(message_of(file, "x"), EndsWith("is damaged"));
  auto fewer_labels = small_index();
  fewer_labels.labels = fewer_labels.labels.narrow(0, 0, 2);
  write_index(file, "x", fewer_labels);
  EXPECT_THAT(message_of(file, "x"), EndsWith("is damaged"));
  auto before_the_first = small_index();
  before_the_first.samples[1] = -1;
  write_index(file, "x", before_the_first);
  EXPECT_THAT(message_of(file, "x"), EndsWith("is damaged"));
  TensorMap other;
  other.insert("points", torch::zeros({4}));
  write_cached(file, "x", other, {});
  EXPECT_THAT(message_of(file, "x"), EndsWith("is damaged"));
}

TEST(SearchIndex, CanBeCutDownToClasses) {
  const auto index = small_index();
  const auto part = index.of_classes({2});
  EXPECT_EQ(part.size(), 2);
  EXPECT_TRUE(torch::equal(part.points[1], index.points[3]));
  EXPECT_TRUE(torch::equal(part.samples, torch::tensor({5, 9}, torch::kLong)));
  EXPECT_THAT(part.names, ElementsAre("a.png", "d.png"));
  EXPECT_EQ(index.of_classes({0, 2}).size(), 3);
  EXPECT_EQ(index.of_classes({1}).size(), 0);
}

}  // namespace
}  // namespace dnc
