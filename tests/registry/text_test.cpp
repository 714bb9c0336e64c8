#include "registry/text.h"

#include <gtest/gtest.h>

namespace dnc {
namespace {

TEST(Join, PutsTheSeparatorBetweenNamesOnly) {
  EXPECT_EQ(join({}), "");
  EXPECT_EQ(join({"a"}), "a");
  EXPECT_EQ(join({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(join({"a", "b"}, " -> "), "a -> b");
}

TEST(Nearest, FindsANameDespiteTypingErrors) {
  EXPECT_EQ(nearest("momentun", {"momentum", "memory"}), "momentum");
  EXPECT_EQ(nearest("sub_centroid", {"momentum", "sub_centroids"}), "sub_centroids");
  EXPECT_EQ(nearest("LINEAR", {"DNC", "Linear"}), "Linear");
  EXPECT_EQ(nearest("batchsize", {"eval_batch_size", "batch_size"}), "batch_size");
}

TEST(Nearest, PrefersTheFewestChanges) {
  EXPECT_EQ(nearest("stepz", {"stops", "steps"}), "steps");
  EXPECT_EQ(nearest("ResNet", {"ResNetCifar", "ResNet"}), "ResNet");
}

TEST(Nearest, FindsANameByAPartOfIt) {
  EXPECT_EQ(nearest("resnet", {"DNC", "ResNetCifar"}), "ResNetCifar");
  EXPECT_EQ(nearest("GlobalAverage", {"FCN", "GlobalAveragePooling"}), "GlobalAveragePooling");
}

TEST(Nearest, FindsNothingWhereNothingIsNear) {
  EXPECT_EQ(nearest("hello", {"momentum", "memory"}), std::nullopt);
  EXPECT_EQ(nearest("momentum", {}), std::nullopt);
  // All of a short word may be changed by two edits: that is no likeness.
  EXPECT_EQ(nearest("xy", {"lr", "ab"}), std::nullopt);
  EXPECT_EQ(nearest("", {"lr", "epochs"}), std::nullopt);
}

TEST(Suggestion, ListsWhatIsKnown) {
  EXPECT_EQ(suggestion("widht", {"width", "depth"}),
            "; did you mean 'width'? (known: width, depth)");
  EXPECT_EQ(suggestion("hello", {"width", "depth"}), " (known: width, depth)");
  EXPECT_EQ(suggestion("hello", {}), "");
}

}  // namespace
}  // namespace dnc
