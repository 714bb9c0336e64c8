#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "host/data/encode_png.h"
#include "host/data/image_decoder.h"
#include "plugins/datasets/segmentation/class_tables.h"
#include "plugins/datasets/segmentation/folder.h"
#include "plugins/datasets/segmentation/presets.h"
#include "tests/image_testing.h"
#include "tests/plugins/component.h"
#include "tests/plugins/datasets/files_testing.h"

namespace dnc {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class SegmentationTest : public ::testing::Test {
 protected:
  std::string root() const { return folder_.path().string(); }
  // An image of noise and one of labels, both one row high.
  void write_pair(const std::string& image, const std::string& labels, const Bytes& values) const {
    write_image(image, 1, static_cast<int64_t>(values.size()));
    write_labels(labels, values);
  }
  void write_image(const std::string& name, int64_t height, int64_t width) const {
    folder_.write(name, encode_png(test_picture("image", height, width, 3)));
  }
  void write_labels(const std::string& name, const Bytes& values) const {
    folder_.write(name,
                  encode_png(Image(1, static_cast<int64_t>(values.size()), 1, values.data())));
  }
  void copy_golden(const std::string& image, const std::string& name) const {
    folder_.write(name, read_file(DNC_SOURCE_DIR "/tests/golden/images/" + image));
  }

  template <typename T>
  std::shared_ptr<Dataset> build(const std::string& options) const {
    return build_component<Dataset, T>("{type: T, root: " + root() + ", " + options + "}",
                                       context_);
  }
  // SegmentationFolder with images that end in .png, two classes unless `options` name some.
  std::string folder_options(const std::string& options) const {
    std::string all = "image_suffix: .png";
    if (options.find("class") == std::string::npos) all += ", classes: [no, yes]";
    if (!options.empty()) all += ", " + options;
    return all;
  }
  std::shared_ptr<Dataset> build_folder(const std::string& options = "") const {
    return build<SegmentationFolder>(folder_options(options));
  }
  // Of building, or else of loading the first sample.
  std::string error(const std::string& options = "") const {
    return data_error([&] { build_folder(options)->load(0); });
  }
  std::string option_error(const std::string& options) const {
    return build_error<Dataset, SegmentationFolder>(
        "{type: T, root: " + root() + ", " + folder_options(options) + "}", context_);
  }
  Bytes labels_of(const Dataset& data, int64_t index = 0) const {
    return bytes_of(data.load(index).labels);
  }

  TemporaryFolder folder_;
  ImageDecoder reader_;
  Context context_ = [this] {
    Context context;
    context.images = &reader_;
    return context;
  }();
};

TEST_F(SegmentationTest, ImagesAndLabelsArePairedByTheirNames) {
  write_pair("images/b.png", "labels/b.png", {0, 1, 255});
  write_pair("images/deep/a.png", "labels/deep/a.png", {1, 1});
  folder_.write("images/notes.txt", "no image");
  const auto data = build_folder();
  EXPECT_EQ(data->task(), Task::kPixels);
  ASSERT_EQ(data->size(), 2);
  EXPECT_EQ(data->name(0), root() + "/images/b.png");
  EXPECT_EQ(data->name(1), root() + "/images/deep/a.png");
  EXPECT_THAT(data->classes().names, ElementsAre("no", "yes"));
  const auto sample = data->load(0);
  EXPECT_EQ(sample.index, 0);
  EXPECT_TRUE(is_same(sample.image, test_picture("image", 1, 3, 3)));
  EXPECT_EQ(bytes_of(sample.labels), (Bytes{0, 1, 255}));
  EXPECT_EQ(labels_of(*data, 1), (Bytes{1, 1}));
  EXPECT_THROW(data->load(2), std::out_of_range);
}

TEST_F(SegmentationTest, FoldersAndSuffixesCanBeNamedAsInMmsegmentation) {
  write_pair("leftImg/x_img.png", "gt/x_seg.png", {1});
  const auto data = build<SegmentationFolder>(
      "classes: [a, b], img_dir: leftImg, ann_dir: gt, img_suffix: "
      "_img.png, seg_map_suffix: _seg.png");
  EXPECT_EQ(labels_of(*data), (Bytes{1}));
}

TEST_F(SegmentationTest, ListSelectsAndOrdersTheImages) {
  for (const auto* name : {"a", "b", "c"}) {
    write_pair("images/" + std::string(name) + ".png", "labels/" + std::string(name) + ".png", {0});
  }
  write_pair("other/d.png", "masks/e.png", {1});
  folder_.write("split.txt", "c\r\n\n  a.png \nother/d.png\tmasks/e.png\n");
  const auto data = build_folder("split: split.txt");
  ASSERT_EQ(data->size(), 3);
  EXPECT_EQ(data->name(0), root() + "/images/c.png");
  EXPECT_EQ(data->name(1), root() + "/images/a.png");
  EXPECT_EQ(data->name(2), root() + "/other/d.png");
  EXPECT_EQ(labels_of(*data, 2), (Bytes{1}));
  EXPECT_EQ(build_folder("list: split.txt, samples: 2")->size(), 2);
}

TEST_F(SegmentationTest, ListWithAWrongLineIsRefused) {
  write_pair("images/a.png", "labels/a.png", {0});
  write_image("images/b.png", 1, 1);
  const std::string advice =
      "; a line is a name below the folder of images, or IMAGE<TAB>LABELS from `root`";
  folder_.write("list.txt", "a\nz\n");
  EXPECT_EQ(error("list: list.txt"), root() + "/list.txt:2: " + root() +
                                         "/images/z.png does not exist, the image of 'z'" + advice);
  folder_.write("list.txt", "\nb\n");
  EXPECT_EQ(error("list: list.txt"), root() + "/list.txt:2: " + root() +
                                         "/labels/b.png does not exist, the label file of 'b'" +
                                         advice);
  folder_.write("list.txt", "\n");
  EXPECT_EQ(error("list: list.txt"), root() + "/list.txt: empty; expected one name a line");
  EXPECT_EQ(error("list: no.txt"),
            root() + "/no.txt: no such file; set `list` to a text file with one name a line");
}

TEST_F(SegmentationTest, ReduceZeroLabelIgnoresZeroAndLowersTheRest) {
  write_pair("images/a.png", "labels/a.png", {0, 1, 2, 255});
  EXPECT_EQ(labels_of(*build_folder("reduce_zero_label: true")), (Bytes{255, 0, 1, 255}));
}

TEST_F(SegmentationTest, LabelMapIsReadAtOnceAndNotInAChain) {
  write_pair("images/a.png", "labels/a.png", {0, 1, 7, 9, 255});
  // One after the other, 0 -> 1 -> 0 would make all of them 0.
  EXPECT_EQ(labels_of(*build_folder("label_map: [{from: 0, to: 1}, {from: [1, 9], to: 0}, {from: "
                                    "7, to: 255}]")),
            (Bytes{1, 0, 255, 0, 255}));
  // It goes before `ignore_index`, and before the zero is taken away.
  EXPECT_EQ(labels_of(*build_folder("ignore_index: [0, 7, 9], label_map: [{from: 255, to: 1}]")),
            (Bytes{255, 1, 255, 255, 1}));
  EXPECT_EQ(labels_of(*build_folder("reduce_zero_label: true, label_map: [{from: [7, 9], to: 2}]")),
            (Bytes{255, 0, 1, 1, 255}));
}

TEST_F(SegmentationTest, LabelMapBeyondTheClassesOrWithAValueTwiceIsRefused) {
  write_pair("images/a.png", "labels/a.png", {0});
  EXPECT_THAT(option_error("label_map: [{from: 3, to: 2}]"),
              EndsWith("maps to 2, beyond the 2 classes (0 to 1; 255 = ignored)"));
  EXPECT_THAT(option_error("label_map: [{from: 3, to: 1}, {from: [2, 3], to: 0}]"),
              EndsWith("maps the value 3 twice"));
  EXPECT_THAT(option_error("label_map: [{from: 256, to: 1}]"), HasSubstr("from 0 to 255"));
}

TEST_F(SegmentationTest, ValuesBeyondTheClassesAreCountedAndNamed) {
  write_pair("images/a.png", "labels/a.png", {0, 3, 3, 9, 255});
  EXPECT_EQ(error(), root() +
                         "/labels/a.png: has values that are none of the 2 classes: 3 (2 pixels), "
                         "9 (1 pixel); rename values with `label_map`, ignore them with "
                         "`ignore_index`, or add classes");
  write_labels("labels/a.png", {10, 11, 12, 13, 14});
  write_image("images/a.png", 1, 5);
  EXPECT_THAT(error(), HasSubstr("13 (1 pixel), 14 (1 pixel); rename"));
  write_labels("labels/a.png", {10, 11, 12, 13, 14, 15, 16});
  write_image("images/a.png", 1, 7);
  EXPECT_THAT(error(), HasSubstr("14 (1 pixel) and 2 more; rename"));
}

TEST_F(SegmentationTest, LabelsThatBeginAtOneGetTheHint) {
  write_pair("images/a.png", "labels/a.png", {0, 1, 2, 2});
  EXPECT_EQ(error(), root() +
                         "/labels/a.png: has values that are none of the 2 classes: 2 (2 pixels); "
                         "if 0 means 'no class' here and the classes begin at 1, set "
                         "`reduce_zero_label: true`");
  write_labels("labels/a.png", {1, 1, 2, 2});  // no 0
  EXPECT_THAT(error(), HasSubstr("rename values"));
  write_labels("labels/a.png", {0, 1, 2, 3});  // more than one too many
  EXPECT_THAT(error(), HasSubstr("rename values"));
}

TEST_F(SegmentationTest, LabelsThatAreAllIgnoredAreLoaded) {
  write_pair("images/a.png", "labels/a.png", {255, 255});
  EXPECT_THAT(labels_of(*build_folder()), Each(255));
}

TEST_F(SegmentationTest, LabelFileOfAnotherSizeIsRefused) {
  write_image("images/a.png", 2, 3);
  write_labels("labels/a.png", {0, 1, 0});
  EXPECT_EQ(error(), root() + "/labels/a.png: is 1 x 3 pixels (height x width), but its image " +
                         root() +
                         "/images/a.png is 2 x 3; a label file must be as large as its image");
  write_image("images/a.png", 3, 1);
  EXPECT_THAT(error(), EndsWith("as large as its image. Does the image's EXIF data turn it? Labels "
                                "are not turned: save it upright, without that"));
}

TEST_F(SegmentationTest, LabelFileThatHoldsNoClassIdsIsRefused) {
  write_image("images/a.png", 4, 4);
  const std::string expected =
      "/labels/a.png: label images are 8-bit gray or palette PNG files whose values are class "
      "ids; this one is ";
  copy_golden("rgb.png", "labels/a.png");
  EXPECT_EQ(error(), root() + expected + "RGB, 8 bits a channel");
  copy_golden("gray16.png", "labels/a.png");
  EXPECT_EQ(error(), root() + expected + "gray, 16 bits a channel");
  copy_golden("420.jpg", "labels/a.png");
  EXPECT_THAT(error(), HasSubstr("label images are PNG files, this is JPEG"));
}

TEST_F(SegmentationTest, MissingLabelFilesAreCountedBeforeTraining) {
  write_pair("images/a.png", "labels/a.png", {0});
  write_image("images/b.png", 1, 1);
  write_image("images/c.png", 1, 1);
  EXPECT_EQ(data_error([&] { build_folder(); }),
            root() + "/labels/b.png: no such file, but it should hold the labels of " + root() +
                "/images/b.png (2 of 3 images have none); the name of a label file is that of its "
                "image with '.png' instead of '.png': set `label_suffix`");
}

TEST_F(SegmentationTest, FolderWithoutImagesSaysWhatIsThere) {
  folder_.write("labels/a.png", "");
  EXPECT_EQ(error(), root() + "/images: no such folder; set `images`");
  std::filesystem::create_directories(folder_.path() / "images");
  EXPECT_EQ(error(), root() +
                         "/images: no images whose names end in '.png', here or in folders below; "
                         "it has no files");
  folder_.write("images/a.jpg", "");
  folder_.write("images/b.jpg", "");
  folder_.write("images/c.txt", "");
  EXPECT_EQ(error(), root() +
                         "/images: no images whose names end in '.png', here or in folders below; "
                         "2 of its 3 files end in '.jpg': set `image_suffix`");
}

TEST_F(SegmentationTest, ClassesAndPaletteMustFit) {
  write_pair("images/a.png", "labels/a.png", {1});
  const auto data = build_folder("classes: [a, b], palette: ['#ff0000', '#01AB02']");
  EXPECT_THAT(data->classes().palette, ElementsAre(ElementsAre(255, 0, 0), ElementsAre(1, 171, 2)));
  EXPECT_THAT(build_folder()->classes().palette, ElementsAre());
  EXPECT_THAT(option_error("palette: ['#ff0000', '#00ff00', '#0000ff']"),
              EndsWith("has 3 colours for 2 classes; give one for each"));
  for (const std::string color : {"red", "#ff00", "#ff00gg", "ff0000"}) {
    EXPECT_THAT(option_error("palette: ['" + color + "']"),
                EndsWith("'" + color + "' is no colour; write it as \"#rrggbb\""));
  }
  EXPECT_THAT(option_error("classes: []"), HasSubstr("is missing: the names of the classes"));
  EXPECT_THAT(option_error("classes: [a, a]"), HasSubstr("classes 0 and 1 have the same name 'a'"));
  const auto names = folder_.write("names.txt", "a\nb\nc\n");
  EXPECT_EQ(build_folder("class_file: " + names)->classes().size(), 3);
  EXPECT_THAT(option_error("classes: [a], class_file: " + names),
              EndsWith("is given beside `class_file`; leave one of them out"));
}

TEST_F(SegmentationTest, MoreClassesThanBytesCanTellAreRefused) {
  write_pair("images/a.png", "labels/a.png", {1});
  std::string names;
  for (int i = 0; i < 256; ++i) names.append("c").append(std::to_string(i)).append("\n");
  EXPECT_THAT(option_error("class_file: " + folder_.write("names.txt", names)),
              EndsWith("has 256 names; label files of 8 bits hold at most 255 classes"));
}

// --- Data sets that are known

TEST(ClassTables, HaveTheirNumberOfNamesAndColours) {
  const std::vector<std::pair<ClassInfo, int64_t>> tables{{ade20k_classes(), 150},
                                                          {cityscapes_classes(), 19},
                                                          {pascal_voc_classes(), 21},
                                                          {camvid_classes(), 11},
                                                          {coco_stuff_classes(), 171}};
  for (const auto& [classes, count] : tables) {
    SCOPED_TRACE(classes.names.front());
    EXPECT_EQ(classes.size(), count);
    EXPECT_EQ(static_cast<int64_t>(classes.palette.size()), count);
    EXPECT_EQ(std::set<std::string>(classes.names.begin(), classes.names.end()).size(),
              static_cast<size_t>(count));
  }
  EXPECT_EQ(ade20k_classes().names.back(), "flag");
  EXPECT_EQ(ade20k_classes().names[44], "chest of drawers");
  EXPECT_EQ(coco_stuff_classes().names.back(), "wood");
}

TEST(ClassTables, ColorMapIsThatOfPascalVoc) {
  const auto colors = color_map(256);
  EXPECT_THAT(colors[1], ElementsAre(128, 0, 0));
  EXPECT_THAT(colors[15], ElementsAre(192, 128, 128));
  EXPECT_THAT(colors[20], ElementsAre(0, 64, 128));
  EXPECT_THAT(colors[255], ElementsAre(224, 224, 192));
  EXPECT_EQ((std::set<std::array<uint8_t, 3>>(colors.begin(), colors.end()).size()), 256U);
}

TEST_F(SegmentationTest, Ade20kBeginsAtOne) {
  write_pair("images/training/a.jpg", "annotations/training/a.png", {0, 1, 150});
  write_pair("images/validation/b.jpg", "annotations/validation/b.png", {2, 151});
  EXPECT_EQ(labels_of(*build<ADE20K>("split: train")), (Bytes{255, 0, 149}));
  EXPECT_EQ(data_error([&] { build<ADE20K>("split: val")->load(0); }),
            root() +
                "/annotations/validation/b.png: has values that are none of the 150 classes: 151 "
                "(1 pixel); expected the files of ADEChallengeData2016, where 0 is no class");
}

TEST_F(SegmentationTest, CityscapesMapsItsIdsToTrainIds) {
  const std::string city = "train/ulm/ulm_000000_000019_";
  const std::string image = "leftImg8bit/" + city + "leftImg8bit.png";
  write_pair(image, "gtFine/" + city + "gtFine_labelIds.png", {0, 4, 7, 8, 11, 26, 33, 34, 255});
  write_labels("gtFine/" + city + "gtFine_labelTrainIds.png", {255, 0, 1, 2, 3, 4, 18, 19, 0});
  const auto message = data_error([&] { build<Cityscapes>("split: train")->load(0); });
  EXPECT_THAT(message,
              EndsWith("none of the 19 classes: 34 (1 pixel); do they hold train ids? Then "
                       "set `label_files: train_ids`"));
  write_labels("gtFine/" + city + "gtFine_labelIds.png", {0, 4, 7, 8, 11, 26, 33, 32, 255});
  EXPECT_EQ(labels_of(*build<Cityscapes>("split: train")),
            (Bytes{255, 255, 0, 1, 2, 13, 18, 17, 255}));
  EXPECT_THAT(data_error([&] { build<Cityscapes>("label_files: train_ids")->load(0); }),
              HasSubstr("19 (1 pixel); do they hold the data set's ids?"));
}

TEST_F(SegmentationTest, PascalVocReadsItsLists) {
  for (const auto* folder : {"SegmentationClass", "SegmentationClassAug"}) {
    write_pair("JPEGImages/a.jpg", std::string(folder) + "/a.png", {0, 20, 255});
  }
  write_pair("JPEGImages/b.jpg", "SegmentationClassAug/b.png", {1, 2});
  folder_.write("ImageSets/Segmentation/val.txt", "a\n");
  folder_.write("ImageSets/Segmentation/aug.txt", "b\n");
  EXPECT_EQ(labels_of(*build<PascalVOC>("split: val")), (Bytes{0, 20, 255}));
  EXPECT_EQ(labels_of(*build<PascalVOC>("split: aug")), (Bytes{1, 2}));
  EXPECT_THAT(data_error([&] { build<PascalVOC>("split: train"); }),
              HasSubstr("ImageSets/Segmentation/train.txt: no such file"));
}

TEST_F(SegmentationTest, CocoStuffClosesTheGapsInItsIds) {
  write_pair("images/val2017/1.jpg", "annotations/val2017/1.png",
             {0, 10, 12, 24, 26, 91, 181, 255});
  EXPECT_EQ(labels_of(*build<COCOStuff>("split: val")), (Bytes{0, 10, 11, 23, 24, 80, 170, 255}));
  write_labels("annotations/val2017/1_labelTrainIds.png", {0, 1, 2, 3, 4, 5, 170, 255});
  EXPECT_EQ(labels_of(*build<COCOStuff>("split: val, label_files: train_ids")),
            (Bytes{0, 1, 2, 3, 4, 5, 170, 255}));
}

TEST_F(SegmentationTest, SomeOfTheClassesCanBeKept) {
  write_pair("train/images/a.jpg", "train/labels/a.png", {0, 3, 8, 11});
  const auto data = build<CamVid>("classes: [Car, Sky]");
  EXPECT_THAT(data->classes().names, ElementsAre("Car", "Sky"));
  EXPECT_THAT(data->classes().palette,
              ElementsAre(ElementsAre(64, 0, 128), ElementsAre(128, 128, 128)));
  EXPECT_EQ(labels_of(*data), (Bytes{1, 255, 0, 255}));
  EXPECT_THAT(
      (build_error<Dataset, CamVid>("{type: T, root: " + root() + ", classes: [Cat]}", context_)),
      HasSubstr("has 'Cat', which is no class of this data set; did you mean 'Car'?"));
}

TEST_F(SegmentationTest, CamVidOfTheSegNetTutorialNeedsOnlyOtherFolders) {
  write_pair("test/a.png", "testannot/a.png", {10, 11});
  EXPECT_EQ(labels_of(*build<CamVid>("split: test, images: test, labels: testannot, image_suffix: "
                                     ".png")),
            (Bytes{10, 255}));
}

TEST_F(SegmentationTest, RealCamVidIsReadWhole) {
  const auto real = test_data() / "camvid";
  if (!std::filesystem::exists(real)) GTEST_SKIP() << real << " is not there";
  const auto data = build_component<Dataset, CamVid>(
      "{type: T, split: val, root: " + real.string() + "}", context_);
  ASSERT_EQ(data->size(), 101);
  std::set<uint8_t> values;
  for (int64_t i = 0; i < data->size(); i += 10) {
    const auto sample = data->load(i);
    EXPECT_EQ(sample.labels.height(), 360);
    EXPECT_EQ(sample.image.width(), 480);
    const auto bytes = bytes_of(sample.labels);
    values.insert(bytes.begin(), bytes.end());
  }
  EXPECT_THAT(values, Contains(255));
  values.erase(255);
  EXPECT_EQ(values.size(), 11U);
  EXPECT_EQ(*values.rbegin(), 10);
}

}  // namespace
}  // namespace dnc
