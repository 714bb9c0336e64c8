#include "host/frozen/class_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "registry/config.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// A head of sorts: parameters and buffers with the classes first, last, or not at all.
struct Classes : torch::nn::Module {
  explicit Classes(int64_t classes) {
    weight = register_parameter("weight", torch::rand({classes, 3}));
    scale = register_parameter("scale", torch::rand({2, classes}));
    shared = register_parameter("shared", torch::rand({4}));
    points = register_buffer("points", torch::rand({classes, 2, 4}));
    counts = register_buffer("counts", torch::randint(1, 9, {classes}, torch::kLong));
    total = register_buffer("total", torch::randint(1, 9, {}, torch::kLong));
  }
  torch::Tensor weight, scale, shared, points, counts, total;
};

TEST(ClassChange, ANewClassLeavesTheOthersAsTheyAre) {
  Classes before(4), after(5);
  const auto started = after.points[4].clone();
  const auto means = copy_classes(before, after, 4, {0, 1, 2, 3, -1});
  EXPECT_THAT(means, ElementsAre("weight", "scale"));
  EXPECT_TRUE(torch::equal(after.weight.narrow(0, 0, 4), before.weight));
  EXPECT_TRUE(torch::allclose(after.weight[4], before.weight.mean(0)));
  EXPECT_TRUE(torch::equal(after.scale.narrow(1, 0, 4), before.scale));
  EXPECT_TRUE(torch::equal(after.points.narrow(0, 0, 4), before.points));
  EXPECT_TRUE(torch::equal(after.points[4], started)) << "a buffer keeps what it began with";
  EXPECT_TRUE(torch::equal(after.counts.narrow(0, 0, 4), before.counts));
  EXPECT_TRUE(torch::equal(after.shared, before.shared));
  EXPECT_TRUE(torch::equal(after.total, before.total));
}

TEST(ClassChange, ARemovedClassIsGoneAndTheRestMovesUp) {
  // As many classes as there are columns: the shapes of both tell them apart.
  Classes before(3), after(2);
  EXPECT_TRUE(copy_classes(before, after, 3, {0, 2}).empty());
  EXPECT_TRUE(torch::equal(after.weight[0], before.weight[0]));
  EXPECT_TRUE(torch::equal(after.weight[1], before.weight[2]));
  EXPECT_TRUE(torch::equal(after.scale.select(1, 1), before.scale.select(1, 2)));
  EXPECT_TRUE(torch::equal(after.counts[1], before.counts[2]));
}

struct Pairs : torch::nn::Module {
  explicit Pairs(int64_t classes) {
    first = register_buffer("first", torch::zeros({classes}));
    table = register_buffer("table", torch::rand({classes, classes}));
  }
  torch::Tensor first, table;
};

TEST(ClassChange, ATensorThatFitsNeitherWayChangesNothing) {
  Pairs before(3), after(4);
  before.first.fill_(7);
  try {
    copy_classes(before, after, 3, {0, 1, 2, -1});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("table: is [3, 3] with 3 classes and [4, 4] with 4; "));
  }
  EXPECT_TRUE(after.first.eq(0).all().item<bool>());
}

TEST(ClassChange, FilesAreListedAndReadBack) {
  const TemporaryFolder folder;
  const std::vector<FileClass> added{{"a \"b\" ${c}", {"/x/1.png", "/x/2.png"}, {"/x/3.png"}},
                                     {"zebra", {"/x/4.png"}, {}}};
  write_file_lists(added, folder / "lists");
  const auto changes = class_overrides({"cat", added[0].name, "zebra"}, added, folder / "lists");
  const auto config = parse_config("data: {batch_size: 1}\n", "c.yaml", changes);
  DataOptions options;
  Fields fields;
  options.fields(fields);
  fields.read(*config.find("data"));
  EXPECT_THAT(options.classes, ElementsAre("cat", "a \"b\" ${c}", "zebra"));
  const auto found = file_classes(options);
  ASSERT_EQ(found.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(found[i].name, added[i].name);
    EXPECT_EQ(found[i].images, added[i].images);
    EXPECT_EQ(found[i].test_images, added[i].test_images);
  }
  fs::remove_all(folder / "lists");
  EXPECT_THROW(file_classes(options), DataError);
}

}  // namespace
}  // namespace dnc
