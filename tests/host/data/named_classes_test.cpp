#include "host/data/named_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "host/data/image_decoder.h"
#include "registry/error.h"
#include "registry/head.h"
#include "tests/frozen_testing.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::ElementsAre;

void write_grey(const std::filesystem::path& path, int64_t shade) {
  std::ofstream(path, std::ios::binary) << "P5 2 1 255\n"
                                        << std::string(2, static_cast<char>(shade));
}

TEST(NamedClasses, MapsLabelsByTheNamesOfTheirClasses) {
  const auto source = std::make_shared<PixelDataset>(6, 3);
  source->unlabelled = {3};
  const ImageDecoder images;
  const NamedClasses mapped(source, {{"new", "class 2", "class 0"}, {}}, {}, images);
  EXPECT_EQ(mapped.size(), 6);
  std::vector<int64_t> labels, loaded;
  for (int64_t i = 0; i < 6; ++i) {
    labels.push_back(mapped.label(i));
    loaded.push_back(mapped.load(i).label);
  }
  // Class 1 is none of the new ones; sample 3 has no label.
  EXPECT_THAT(labels, ElementsAre(2, kIgnoredLabel, 1, kIgnoredLabel, kIgnoredLabel, 1));
  EXPECT_EQ(loaded, labels);
  EXPECT_EQ(mapped.classes().names.front(), "new");
  EXPECT_EQ(mapped.name(4), source->name(4));
  EXPECT_TRUE(mapped.shards().empty());
}

TEST(NamedClasses, FilesOfFurtherClassesStandBehindTheSamples) {
  const TemporaryFolder folder;
  for (int i = 0; i < 3; ++i) write_grey(folder / (std::to_string(i) + ".pgm"), 10 * i);
  const auto file = [&](int i) { return (folder / (std::to_string(i) + ".pgm")).string(); };
  const ImageDecoder images;
  const NamedClasses more(std::make_shared<PixelDataset>(4, 2),
                          {{"class 0", "class 1", "zebra", "okapi"}, {}},
                          {{3, {file(0)}}, {2, {file(1), file(2)}}}, images);
  ASSERT_EQ(more.size(), 7);
  EXPECT_EQ(more.label(4), 3);
  EXPECT_EQ(more.label(6), 2);
  EXPECT_EQ(more.name(6), file(2));
  const auto sample = more.load(6);
  EXPECT_EQ(sample.index, 6);
  EXPECT_EQ(sample.label, 2);
  EXPECT_EQ(std::as_const(sample.image).pixels()[1], 20);
}

// Label pictures of four pixels, of two classes and one that is ignored.
class Stripes final : public Dataset {
 public:
  int64_t size() const override { return 1; }
  Sample load(int64_t index) const override {
    Sample sample;
    sample.index = index;
    sample.image = Image(1, 4, 3);
    const uint8_t labels[] = {0, 1, 2, 255};
    sample.labels = Image(1, 4, 1, labels);
    return sample;
  }
  const ClassInfo& classes() const override { return classes_; }
  Task task() const override { return Task::kPixels; }
  std::vector<int64_t> shards() const override { return {1}; }
  std::string name(int64_t) const override { return "stripes"; }

 private:
  ClassInfo classes_{{"road", "sky", "tree"}, {}};
};

TEST(NamedClasses, MapsTheLabelsOfPixels) {
  const ImageDecoder images;
  const NamedClasses mapped(std::make_shared<Stripes>(), {{"tree", "road"}, {}}, {}, images);
  EXPECT_EQ(mapped.task(), Task::kPixels);
  const auto sample = mapped.load(0);
  const auto* labels = std::as_const(sample.labels).pixels();
  EXPECT_THAT(std::vector<int>(labels, labels + 4), ElementsAre(1, 255, 0, 255));
  EXPECT_THAT(mapped.shards(), ElementsAre(1));
}

TEST(NamedClasses, AListOfFilesIsRelativeToItself) {
  const TemporaryFolder folder;
  std::ofstream(folder / "list.txt") << "a b.png\r\n\n/abs/c.png\n";
  EXPECT_THAT(read_file_list(folder / "list.txt"),
              ElementsAre((folder / "a b.png").string(), "/abs/c.png"));
  std::ofstream(folder / "empty.txt") << "\n";
  EXPECT_THROW(read_file_list(folder / "empty.txt"), DataError);
  EXPECT_THROW(read_file_list(folder / "nowhere.txt"), DataError);
}

}  // namespace
}  // namespace dnc
