#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "plugins/datasets/idx/dataset.h"
#include "plugins/datasets/idx/idx_file.h"
#include "tests/plugins/component.h"
#include "tests/plugins/datasets/files_testing.h"

namespace dnc {
namespace {

using Bytes = std::vector<uint8_t>;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kImages = "train-images-idx3-ubyte";
constexpr const char* kLabels = "train-labels-idx1-ubyte";

Bytes idx(uint8_t type, const std::vector<uint32_t>& shape, const Bytes& values) {
  Bytes bytes{0, 0, type, static_cast<uint8_t>(shape.size())};
  for (const uint32_t side : shape) {
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<uint8_t>(side >> shift));
  }
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

Bytes images_of(uint32_t count) {  // 2 x 3 pixels each
  Bytes values;
  for (uint32_t i = 0; i < count * 6; ++i) values.push_back(static_cast<uint8_t>(i));
  return idx(8, {count, 2, 3}, values);
}

class IdxTest : public ::testing::Test {
 protected:
  void write(const Bytes& images, const Bytes& labels) {
    image_file_ = folder_.write(kImages, images);
    label_file_ = folder_.write(kLabels, labels);
  }
  std::string yaml(const std::string& more = "") const {
    return "{type: T, root: " + folder_.path().string() + more + "}";
  }
  std::shared_ptr<Dataset> build(const std::string& more = "") const {
    return build_component<Dataset, Mnist>(yaml(more));
  }
  std::string error(const std::string& more = "") const {
    return data_error([&] { build(more); });
  }

  TemporaryFolder folder_;
  std::string image_file_ = folder_.file(kImages);
  std::string label_file_ = folder_.file(kLabels);
};

TEST_F(IdxTest, GivesPixelsLabelsAndNames) {
  write(images_of(3), idx(8, {3}, {7, 0, 9}));
  const auto data = build();
  ASSERT_EQ(data->size(), 3);
  EXPECT_EQ(data->task(), Task::kImages);
  const auto sample = data->load(1);
  EXPECT_EQ(sample.index, 1);
  EXPECT_EQ(sample.label, 0);
  EXPECT_EQ(sample.image.height(), 2);
  EXPECT_EQ(sample.image.width(), 3);
  EXPECT_EQ(sample.image.channels(), 1);
  EXPECT_EQ(Bytes(sample.image.pixels(), sample.image.pixels() + 6), (Bytes{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(data->load(2).label, 9);
  EXPECT_EQ(data->name(2), "train-images-idx3-ubyte #2");
  EXPECT_EQ(data->classes().size(), 10);
  EXPECT_THROW(data->load(3), std::out_of_range);
}

TEST_F(IdxTest, CompressedFilesGiveTheSame) {
  folder_.write_gzip(std::string(kImages) + ".gz", images_of(3));
  folder_.write_gzip(std::string(kLabels) + ".gz", idx(8, {3}, {7, 0, 9}));
  const auto data = build();
  ASSERT_EQ(data->size(), 3);
  const auto image = data->load(2).image;
  EXPECT_EQ(Bytes(image.pixels(), image.pixels() + 6), (Bytes{12, 13, 14, 15, 16, 17}));
  EXPECT_EQ(data->name(1), "train-images-idx3-ubyte.gz #1");
}

TEST_F(IdxTest, TestSplitReadsItsOwnFiles) {
  folder_.write("t10k-images-idx3-ubyte", images_of(1));
  folder_.write("t10k-labels-idx1-ubyte", idx(8, {1}, {4}));
  EXPECT_EQ(build(", split: test")->load(0).label, 4);
  EXPECT_THAT(error(", split: train"), StartsWith(image_file_ + ".gz: no such file; set `root`"));
}

TEST_F(IdxTest, FindsTheFoldersOfTorchvision) {
  folder_.write("MNIST/raw/train-images-idx3-ubyte", images_of(2));
  folder_.write("MNIST/raw/train-labels-idx1-ubyte", idx(8, {2}, {4, 5}));
  EXPECT_EQ(build()->size(), 2);
}

TEST_F(IdxTest, OptionsKeepTheFirstSamples) {
  write(images_of(6), idx(8, {6}, {1, 1, 0, 1, 0, 0}));
  const auto few = build(", samples: 2");
  ASSERT_EQ(few->size(), 2);
  EXPECT_EQ(few->load(1).label, 1);
  const auto even = build(", samples_per_class: 2");
  ASSERT_EQ(even->size(), 4);
  EXPECT_EQ(even->load(3).label, 0);
  EXPECT_EQ(even->load(3).index, 3);
  EXPECT_EQ(even->name(3), "train-images-idx3-ubyte #4");
}

TEST_F(IdxTest, ClassesCanBeNamed) {
  write(images_of(2), idx(8, {2}, {1, 0}));
  EXPECT_THAT(build(", classes: [cat, dog]")->classes().names, ElementsAre("cat", "dog"));
  EXPECT_THAT((build_error<Dataset, Mnist>(yaml(", classes: [cat, cat]"))),
              HasSubstr("classes 0 and 1 have the same name 'cat'"));
}

TEST_F(IdxTest, MissingFolderSaysWhatToDo) {
  EXPECT_EQ(data_error(
                [] { build_component<Dataset, FashionMnist>("{type: T, root: /no/such/folder}"); }),
            "/no/such/folder: no such folder; install them with `apt-get install "
            "dataset-fashion-mnist`, or set `root` to the folder with the four IDX files of "
            "Fashion-MNIST (train-images-idx3-ubyte.gz, ...)");
}

TEST_F(IdxTest, MissingFileSaysWhatToDo) {
  folder_.write(kImages, images_of(1));
  EXPECT_EQ(error(), label_file_ +
                         ".gz: no such file; set `root` to the folder with the four IDX files of "
                         "MNIST (train-images-idx3-ubyte.gz, ...)");
}

TEST_F(IdxTest, FolderInPlaceOfAFileIsRefused) {
  std::filesystem::create_directories(image_file_);
  EXPECT_THAT(error(), StartsWith(image_file_ + ": not a file; "));
}

TEST_F(IdxTest, RootIsRequired) {
  EXPECT_THAT((build_error<Dataset, Mnist>("{type: T}")), HasSubstr("root"));
}

TEST_F(IdxTest, GarbageIsRefused) {
  write(Bytes(1000, 0x55), idx(8, {3}, {7, 0, 9}));
  EXPECT_EQ(error(), image_file_ +
                         ": begins with 0x55555555, but an IDX file of bytes with 3 dimensions "
                         "begins with 0x00000803; is it the right file?");
}

TEST_F(IdxTest, SwappedFilesAreRefused) {
  write(idx(8, {3}, {7, 0, 9}), images_of(3));
  EXPECT_THAT(error(), StartsWith(image_file_ + ": begins with 0x00000801"));
}

TEST_F(IdxTest, OtherTypesThanBytesAreRefused) {
  write(idx(0x0D, {1, 2, 3}, Bytes(24)), idx(8, {1}, {0}));
  EXPECT_THAT(error(), StartsWith(image_file_ + ": begins with 0x00000d03"));
}

TEST_F(IdxTest, EmptyFileIsRefused) {
  write({}, idx(8, {3}, {7, 0, 9}));
  EXPECT_EQ(error(), image_file_ + ": ends within the header of an IDX file");
}

TEST_F(IdxTest, HeaderAloneIsRefused) {
  auto bytes = images_of(3);
  bytes.resize(10);
  write(bytes, idx(8, {3}, {7, 0, 9}));
  EXPECT_EQ(error(), image_file_ + ": ends within the header of an IDX file");
}

TEST_F(IdxTest, TruncatedFileIsRefused) {
  auto bytes = images_of(30);
  bytes.erase(bytes.end() - 5, bytes.end());
  write(bytes, idx(8, {30}, Bytes(30)));
  EXPECT_EQ(error(), image_file_ +
                         ": truncated: its header says 30 x 2 x 3 values, but it ends after 175 of "
                         "180; get it again");
}

TEST_F(IdxTest, TruncatedGzipFileIsRefused) {
  Bytes values(60000);  // that gzip cannot shrink
  uint32_t state = 1;
  for (auto& value : values)
    value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  const auto path = folder_.write_gzip(std::string(kImages) + ".gz", idx(8, {100, 20, 30}, values));
  folder_.write(kLabels, idx(8, {100}, Bytes(100)));
  EXPECT_EQ(build()->size(), 100);
  std::filesystem::resize_file(path, 20000);
  EXPECT_THAT(error(), AllOf(StartsWith(path + ": truncated: its header says 100 x 20 x 30 values"),
                             HasSubstr("get it again")));
}

TEST_F(IdxTest, FlippedBitInAGzipFileIsFound) {
  const auto path = folder_.write_gzip(std::string(kImages) + ".gz", images_of(40));
  folder_.write(kLabels, idx(8, {40}, Bytes(40)));
  ASSERT_EQ(build()->size(), 40);
  auto content = read_file(path);
  content[content.size() - 6] ^= 0x10;  // in the checksum
  folder_.write(std::string(kImages) + ".gz", content);
  EXPECT_EQ(error(), path + ": damaged: incorrect data check; get it again");
}

TEST_F(IdxTest, BytesAfterTheEndAreRefused) {
  auto bytes = images_of(3);
  bytes.push_back(0);
  write(bytes, idx(8, {3}, {7, 0, 9}));
  EXPECT_EQ(error(), image_file_ +
                         ": goes on after the 3 x 2 x 3 values that its header says; is it "
                         "damaged?");
}

TEST_F(IdxTest, MoreValuesThanTheFileCanHoldAreRefusedBeforeAllocation) {
  write(idx(8, {4000000000, 30000, 30000}, Bytes(6)), idx(8, {3}, {7, 0, 9}));
  EXPECT_EQ(error(), image_file_ +
                         ": truncated or damaged: its header says 4000000000 x 30000 x 30000 "
                         "values, but a file of 22 bytes cannot hold them; get it again");
}

TEST_F(IdxTest, MoreValuesThanGzipCanHoldAreRefusedBeforeAllocation) {
  const auto path =
      folder_.write_gzip(std::string(kImages) + ".gz", idx(8, {4000000000, 100, 100}, Bytes(6)));
  folder_.write(kLabels, idx(8, {3}, {7, 0, 9}));
  EXPECT_THAT(error(), AllOf(StartsWith(path + ": truncated or damaged"),
                             HasSubstr("cannot hold them; get it again")));
}

TEST_F(IdxTest, SidesThatOverflowAreRefused) {
  write(idx(8, {4294967295, 4294967295, 4294967295}, Bytes(6)), idx(8, {3}, {7, 0, 9}));
  EXPECT_EQ(error(), image_file_ +
                         ": its header says 4294967295 x 4294967295 x 4294967295 values, expected "
                         "1 to 32768 in dimension 1");
}

TEST_F(IdxTest, EmptyDataIsRefused) {
  write(idx(8, {0, 2, 3}, {}), idx(8, {0}, {}));
  EXPECT_EQ(error(), image_file_ +
                         ": its header says 0 x 2 x 3 values, expected 1 to 4294967295 in "
                         "dimension 0");
}

TEST_F(IdxTest, CountsThatDifferAreRefused) {
  write(images_of(3), idx(8, {2}, {7, 0}));
  EXPECT_EQ(error(), label_file_ + ": 2 labels, but " + image_file_ +
                         " has 3 images; are they of one data set?");
}

TEST_F(IdxTest, LabelBeyondTheClassesIsRefused) {
  write(images_of(3), idx(8, {3}, {7, 10, 9}));
  EXPECT_EQ(error(), label_file_ +
                         ": label 10 of image #1 is beyond the 10 classes (0 to 9); name all "
                         "classes in `classes`");
}

TEST(FashionMnistTest, DebiansPackageIsRead) {
  const FashionMnist::Options defaults;
  if (!std::filesystem::exists(defaults.root.value)) {
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  }
  const auto train = build_component<Dataset, FashionMnist>("{type: T}");
  ASSERT_EQ(train->size(), 60000);
  EXPECT_EQ(train->classes().names.at(9), "Ankle boot");
  EXPECT_EQ(train->name(17), "train-images-idx3-ubyte.gz #17");
  const auto sample = train->load(0);
  EXPECT_EQ(sample.label, 9);  // the first picture is an ankle boot
  EXPECT_EQ(sample.image.height(), 28);
  EXPECT_EQ(sample.image.width(), 28);
  std::vector<int64_t> counts(10);
  double sum = 0;
  for (int64_t i = 0; i < train->size(); ++i) {
    const auto one = train->load(i);
    ++counts.at(static_cast<size_t>(one.label));
    for (int64_t p = 0; p < one.image.size(); ++p) sum += std::as_const(one.image).pixels()[p];
  }
  EXPECT_THAT(counts, ::testing::Each(6000));
  EXPECT_NEAR(sum / (60000.0 * 784 * 255), 0.2860, 5e-5);  // the mean that everyone quotes

  const auto test = build_component<Dataset, FashionMnist>("{type: T, split: test}");
  EXPECT_EQ(test->size(), 10000);
  EXPECT_EQ(test->load(1).label, 2);  // a pullover
}

}  // namespace
}  // namespace dnc
