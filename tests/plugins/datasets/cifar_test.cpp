#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "plugins/datasets/cifar/class_names.h"
#include "plugins/datasets/cifar/dataset.h"
#include "tests/plugins/component.h"
#include "tests/plugins/datasets/files_testing.h"

namespace dnc {
namespace {

using Bytes = std::vector<uint8_t>;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Records whose planes hold 1, 2 and 3 times the number of the record, but for the first pixel.
Bytes records(const std::vector<Bytes>& labels) {
  Bytes bytes;
  for (size_t i = 0; i < labels.size(); ++i) {
    bytes.insert(bytes.end(), labels[i].begin(), labels[i].end());
    for (size_t plane = 1; plane <= 3; ++plane) {
      bytes.push_back(static_cast<uint8_t>(200 + plane));
      bytes.insert(bytes.end(), 1023, static_cast<uint8_t>(plane * i));
    }
  }
  return bytes;
}

class CifarTest : public ::testing::Test {
 protected:
  std::string yaml(const std::string& more = "") const {
    return "{type: T, root: " + folder_.path().string() + more + "}";
  }
  template <typename T>
  std::shared_ptr<Dataset> build(const std::string& more = "") const {
    return build_component<Dataset, T>(yaml(more));
  }
  template <typename T>
  std::string error(const std::string& more = "") const {
    return data_error([&] { build<T>(more); });
  }

  TemporaryFolder folder_;
};

TEST_F(CifarTest, PlanesBecomePixels) {
  folder_.write("test_batch.bin", records({{3}, {0}, {9}}));
  const auto data = build<Cifar10>(", split: test");
  ASSERT_EQ(data->size(), 3);
  const auto sample = data->load(2);
  EXPECT_EQ(sample.label, 9);
  EXPECT_EQ(sample.image.height(), 32);
  EXPECT_EQ(sample.image.width(), 32);
  EXPECT_EQ(sample.image.channels(), 3);
  const auto* pixels = sample.image.pixels();
  EXPECT_EQ(Bytes(pixels, pixels + 6), (Bytes{201, 202, 203, 2, 4, 6}));
  EXPECT_EQ(Bytes(pixels + 3069, pixels + 3072), (Bytes{2, 4, 6}));
}

TEST_F(CifarTest, TrainingFilesFollowEachOther) {
  for (int i = 1; i <= 5; ++i) {
    folder_.write("data_batch_" + std::to_string(i) + ".bin",
                  records({{static_cast<uint8_t>(i)}, {0}}));
  }
  const auto data = build<Cifar10>();
  ASSERT_EQ(data->size(), 10);
  EXPECT_EQ(data->load(8).label, 5);
  EXPECT_EQ(data->name(7), "data_batch_4.bin #1");
  EXPECT_EQ(build<Cifar10>(", batches: 2")->size(), 4);
}

TEST_F(CifarTest, FolderOfTheArchiveIsFound) {
  folder_.write("cifar-10-batches-bin/test_batch.bin", records({{3}}));
  EXPECT_EQ(build<Cifar10>(", split: test")->size(), 1);
}

TEST_F(CifarTest, MissingTrainingFileSaysWhatToDo) {
  folder_.write("data_batch_1.bin", records({{3}}));
  EXPECT_EQ(error<Cifar10>(),
            folder_.file("data_batch_2.bin") +
                ": no such file; unpack cifar-10-python.tar.gz or cifar-10-binary.tar.gz of "
                "https://www.cs.toronto.edu/~kriz and set `root` to its folder, or set `batches` "
                "where there are fewer than 5 files data_batch_N");
}

TEST_F(CifarTest, MissingFolderSaysWhatToDo) {
  EXPECT_EQ(data_error([] { build_component<Dataset, Cifar100>("{type: T, root: /no/such}"); }),
            "/no/such: no such folder; unpack cifar-100-python.tar.gz or cifar-100-binary.tar.gz "
            "of https://www.cs.toronto.edu/~kriz and set `root` to its folder");
}

TEST_F(CifarTest, FolderWithoutTheFilesSaysWhatWasLookedFor) {
  EXPECT_THAT(error<Cifar10>(", split: test"),
              StartsWith(folder_.path().string() +
                         ": has neither test_batch.bin nor test_batch; unpack cifar-10-python"));
}

TEST_F(CifarTest, TruncatedFileIsRefused) {
  auto bytes = records({{3}, {0}});
  bytes.pop_back();
  const auto path = folder_.write("test_batch.bin", bytes);
  EXPECT_EQ(error<Cifar10>(", split: test"),
            path +
                ": 6145 bytes are no whole number of records of 3073 bytes; is it truncated, or "
                "another file?");
}

TEST_F(CifarTest, EmptyFileIsRefused) {
  const auto path = folder_.write("test_batch.bin", Bytes());
  EXPECT_THAT(error<Cifar10>(", split: test"), StartsWith(path + ": 0 bytes are no whole number"));
}

TEST_F(CifarTest, LabelBeyondTheClassesIsRefused) {
  const auto path = folder_.write("test_batch.bin", records({{3}, {10}}));
  EXPECT_EQ(error<Cifar10>(", split: test"),
            path +
                ": label 10 of image #1 is beyond the 10 classes (0 to 9); is it damaged, or "
                "another file?");
}

TEST_F(CifarTest, FilesOfCifar100AreNotTakenForCifar10) {
  folder_.write("test_batch.bin", records({{3, 50}, {10, 60}}));
  EXPECT_THAT(error<Cifar10>(", split: test"), HasSubstr("6148 bytes are no whole number"));
}

TEST_F(CifarTest, ClassNamesComeFromTheirFile) {
  folder_.write("test_batch.bin", records({{3}}));
  EXPECT_EQ(build<Cifar10>(", split: test")->classes().names, cifar10_names());
  folder_.write("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\r\nj\n\n");
  EXPECT_EQ(build<Cifar10>(", split: test")->classes().names.at(8), "i");
  const auto path = folder_.write("batches.meta.txt", "a\nb\n");
  EXPECT_EQ(error<Cifar10>(", split: test"), path + ": 2 class names, expected 10");
  folder_.write("batches.meta.txt", "a\n\nb\n");
  EXPECT_THAT(error<Cifar10>(", split: test"), EndsWith("expected one class name a line"));
}

TEST_F(CifarTest, Cifar100HasFineAndCoarseLabels) {
  folder_.write("train.bin", records({{3, 50}, {19, 99}}));
  const auto fine = build<Cifar100>();
  EXPECT_EQ(fine->load(1).label, 99);
  EXPECT_EQ(fine->classes().size(), 100);
  EXPECT_EQ(fine->classes().names.at(50), "mouse");
  const auto coarse = build<Cifar100>(", labels: coarse");
  EXPECT_EQ(coarse->load(1).label, 19);
  EXPECT_EQ(coarse->classes().size(), 20);
  const auto image = coarse->load(1).image;
  EXPECT_EQ(Bytes(image.pixels(), image.pixels() + 6), (Bytes{201, 202, 203, 1, 2, 3}));
}

TEST_F(CifarTest, SamplesPerClassKeepsTheFirst) {
  folder_.write("train.bin", records({{3, 50}, {19, 99}, {3, 50}, {3, 50}}));
  const auto data = build<Cifar100>(", samples_per_class: 2");
  EXPECT_EQ(data->size(), 3);
  EXPECT_EQ(data->name(2), "train.bin #2");
}

// ---- The archives for Python ----

// A fixture of tests/golden/cifar_batches.py.
std::string golden(const std::string& name) {
  return read_file(std::string(DNC_SOURCE_DIR) + "/tests/golden/cifar/" + name);
}

// The pictures that the script made up: byte j of picture i is (131 i + j) % 251.
void expect_golden_pictures(const Dataset& data, const std::vector<int64_t>& labels) {
  ASSERT_EQ(data.size(), 3);
  for (int64_t i = 0; i < 3; ++i) {
    const auto sample = data.load(i);
    EXPECT_EQ(sample.label, labels[static_cast<size_t>(i)]);
    EXPECT_EQ(data.label(i), sample.label);
    for (int64_t pixel = 0; pixel < 1024; ++pixel) {
      for (int64_t channel = 0; channel < 3; ++channel) {
        ASSERT_EQ(sample.image.pixels()[3 * pixel + channel],
                  (131 * i + 1024 * channel + pixel) % 251)
            << i << " " << pixel << " " << channel;
      }
    }
  }
}

TEST_F(CifarTest, PicklesOfPython2And3AreReadInEveryProtocol) {
  for (const auto* name :
       {"python2_protocol0", "python2_protocol2", "python3_protocol0", "python3_protocol2",
        "python3_protocol4", "python3_protocol5", "bytes_keys"}) {
    SCOPED_TRACE(name);
    folder_.write("test_batch", golden(name));
    expect_golden_pictures(*build<Cifar10>(", split: test"), {3, 0, 9});
  }
}

TEST_F(CifarTest, PickledCifar100HasFineAndCoarseLabels) {
  folder_.write("cifar-100-python/train", golden("cifar100"));
  expect_golden_pictures(*build<Cifar100>(), {50, 99, 0});
  expect_golden_pictures(*build<Cifar100>(", labels: coarse"), {3, 19, 0});
  EXPECT_EQ(build<Cifar100>(", labels: coarse")->classes().names, cifar100_coarse_names());
}

TEST_F(CifarTest, PickledClassNamesAreUsed) {
  folder_.write("test_batch", golden("python3_protocol4"));
  folder_.write("batches.meta", golden("cifar10_meta"));
  EXPECT_EQ(build<Cifar10>(", split: test")->classes().names.at(9), "name 9");
  folder_.write("train", golden("cifar100"));
  folder_.write("meta", golden("cifar100_meta"));
  EXPECT_EQ(build<Cifar100>()->classes().names.at(99), "fine 99");
  EXPECT_EQ(build<Cifar100>(", labels: coarse")->classes().names.at(19), "coarse 19");
  const auto meta = folder_.write("batches.meta", golden("cifar100_meta"));
  EXPECT_EQ(error<Cifar10>(", split: test"),
            meta + ": the pickle has no 'label_names'; is it damaged, or another file?");
}

TEST_F(CifarTest, BinaryFilesGoBeforePickles) {
  folder_.write("test_batch", golden("python3_protocol4"));
  folder_.write("test_batch.bin", records({{7}}));
  EXPECT_EQ(build<Cifar10>(", split: test")->size(), 1);
}

TEST_F(CifarTest, TruncatedPickleIsRefusedAtEveryLength) {
  const auto whole = golden("python3_protocol4");
  for (size_t length = 0; length < whole.size(); length += length < 600 ? 1 : 301) {
    const auto path = folder_.write("test_batch", whole.substr(0, length));
    EXPECT_THAT(error<Cifar10>(", split: test"), StartsWith(path + ": ")) << length;
  }
}

TEST_F(CifarTest, ForeignGlobalIsNamedAndNotRun) {
  auto pickle = golden("python2_protocol2");
  const std::string name = "numpy.core.multiarray\n_reconstruct";
  pickle.replace(pickle.find(name), name.size(), "os\nsystem");
  const auto path = folder_.write("test_batch", pickle);
  EXPECT_EQ(error<Cifar10>(", split: test"),
            path +
                ": 'data' is no array of NumPy but 'os.system', which is not run; is it "
                "damaged, or another file?");
}

TEST_F(CifarTest, PickleOfOtherContentIsRefused) {
  const auto error_of = [&](std::string pickle) {
    const auto path = folder_.write("test_batch", pickle);
    auto message = error<Cifar10>(", split: test");
    EXPECT_THAT(message, StartsWith(path + ": "));
    return message.substr(path.size() + 2);
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    auto pickle = golden("python2_protocol2");
    EXPECT_NE(pickle.find(from), std::string::npos);
    return error_of(pickle.replace(pickle.find(from), from.size(), to));
  };
  using namespace std::string_literals;
  EXPECT_THAT(error_of("]."), StartsWith("the pickle is no dict"));
  EXPECT_THAT(error_of("}."), StartsWith("the pickle has no 'labels'"));
  EXPECT_THAT(error_of("}(U\6labels](K\1eU\4dataNu."), StartsWith("'data' is no array of NumPy;"));
  EXPECT_THAT(error_of("}U\6labelsK\1s."), StartsWith("'labels' is no list"));
  EXPECT_THAT(error_of("}U\6labels](U\1aes."), StartsWith("'labels' is no list of integers"));
  EXPECT_THAT(changed("K\3M\0\x0c\x86"s, "K\3M\1\x0c\x86"s),
              StartsWith("'data' is no array of 3 rows (one a label) of 3072 bytes"));
  EXPECT_THAT(changed("K\3M\0\x0c\x86"s, "K\4M\0\x0c\x86"s),
              StartsWith("'data' is no array of 3 rows"));
  EXPECT_THAT(changed("U\2u1", "U\2i4"), StartsWith("'data' is no array of unsigned bytes"));
  EXPECT_THAT(changed("(K\3K\0K\te"s, "(K\3K\0K\ne"s),
              StartsWith("label 10 of image #2 is beyond the 10 classes (0 to 9)"));
  EXPECT_THAT(changed("(K\3K\0K\te"s, "(K\3K\0e"s), StartsWith("'data' is no array of 2 rows"));
  EXPECT_THAT(error_of("not a pickle"), StartsWith("the pickle is wrong at byte "));
}

TEST(Cifar10DataTest, RealFilesAreRead) {
  const auto root = test_data() / "cifar10_small";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is missing (set DNC_TEST_DATA)";
  const auto yaml = "{type: T, batches: 1, root: " + root.string();
  const auto train = build_component<Dataset, Cifar10>(yaml + "}");
  EXPECT_EQ(train->size(), 1000);
  EXPECT_EQ(train->classes().names, cifar10_names());
  const auto test = build_component<Dataset, Cifar10>(yaml + ", split: test}");
  EXPECT_EQ(test->size(), 500);

  // Neighbours in a photograph are alike, also across rows: planes and rows are in their place.
  double across = 0;
  double down = 0;
  double far = 0;
  for (int64_t i = 0; i < 100; ++i) {
    const auto image = train->load(i).image;
    const auto* p = image.pixels();
    for (int64_t at = 0; at < 31 * 32 * 3 - 3; ++at) {
      across += std::abs(p[at] - p[at + 3]);
      down += std::abs(p[at] - p[at + 96]);
      far += std::abs(p[at] - p[(at + 1024) % 3072]);
    }
  }
  EXPECT_LT(across, far / 3);
  EXPECT_LT(down, far / 3);
}

}  // namespace
}  // namespace dnc
