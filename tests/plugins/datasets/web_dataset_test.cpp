#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "plugins/datasets/web_dataset/dataset.h"
#include "plugins/datasets/web_dataset/shard_names.h"
#include "plugins/datasets/web_dataset/tar_reader.h"
#include "tests/plugins/component.h"
#include "tests/plugins/datasets/files_testing.h"
#include "tests/plugins/datasets/tar_testing.h"

namespace dnc {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Takes any bytes for an image as wide as they are many; "damaged" is none.
class MemoryReader : public ImageReader {
 public:
  Image open(const std::string& path) const override { throw DataError(path + ": not expected"); }
  Image open(std::vector<uint8_t> bytes, const std::string& name) const override {
    const std::string content(bytes.begin(), bytes.end());
    if (content == "damaged") throw DataError(name + ": cannot be decoded");
    return Image(1, static_cast<int64_t>(content.size()), 3);
  }
  Image open_labels(const std::string& path) const override { return open(path); }
};

// "a", "bb" with labels 1 and 0.
std::string two_samples(const std::string& prefix = "") {
  return tar_member(prefix + "0001.jpg", "a") + tar_member(prefix + "0001.cls", "1") +
         tar_member(prefix + "0002.cls", "0\n") + tar_member(prefix + "0002.JPEG", "bb");
}

class WebDatasetTest : public ::testing::Test {
 protected:
  std::shared_ptr<Dataset> build(const std::string& shards, const std::string& more = "") const {
    return build_component<Dataset, WebDataset>("{type: T, shards: " + shards + more + "}",
                                                context_);
  }
  std::string error(const std::string& shards, const std::string& more = "") const {
    return data_error([&] { build(shards, more); });
  }
  std::string option_error(const std::string& shards, const std::string& more = "") const {
    return build_error<Dataset, WebDataset>("{type: T, shards: " + shards + more + "}", context_);
  }
  // What keeps the one sample of a shard with these members from being loaded.
  std::string fault(const std::string& members, const std::string& more = "") const {
    const auto path = folder_.write("fault.tar", members + tar_end());
    const auto data = build(path, ", classes: [a, b]" + more);
    EXPECT_EQ(data->size(), 1);
    EXPECT_EQ(data->label(0), -1);
    const auto message = data_error([&] { data->load(0); });
    EXPECT_THAT(message, StartsWith(data->name(0) + ": "));
    return message.substr(std::min(message.size(), path.size() + 2));
  }

  TemporaryFolder folder_;
  MemoryReader reader_;
  Context context_ = [this] {
    Context context;
    context.images = &reader_;
    return context;
  }();
};

TEST_F(WebDatasetTest, MembersOfOneNameAreASample) {
  const auto path = folder_.write("a.tar", two_samples("n01/") + tar_end());
  const auto data = build(path);
  ASSERT_EQ(data->size(), 2);
  EXPECT_EQ(data->load(0).image.width(), 1);
  EXPECT_EQ(data->load(1).image.width(), 2);
  EXPECT_EQ(data->load(1).index, 1);
  EXPECT_EQ(data->load(0).label, 1);
  EXPECT_EQ(data->label(0), 1);
  EXPECT_EQ(data->label(1), 0);
  EXPECT_EQ(data->name(1), path + ": n01/0002");
  EXPECT_THAT(data->classes().names, ElementsAre("0", "1"));
  EXPECT_THAT(data->shards(), ElementsAre(2));
  EXPECT_THROW(data->load(2), std::out_of_range);
}

TEST_F(WebDatasetTest, ShardsFollowEachOther) {
  folder_.write("train-008.tar", two_samples() + tar_end());
  folder_.write("train-009.tar", tar_member("x.png", "ccc") + tar_member("x.cls", "2") + tar_end());
  folder_.write("train-010.tar", two_samples() + tar_end());
  const auto data = build("'" + folder_.path().string() + "/train-{008..010}.tar'");
  EXPECT_EQ(data->size(), 5);
  EXPECT_THAT(data->shards(), ElementsAre(2, 1, 2));
  EXPECT_EQ(data->load(2).image.width(), 3);
  EXPECT_EQ(data->name(4), folder_.file("train-010.tar") + ": 0002");
  EXPECT_THAT(data->classes().names, ElementsAre("0", "1", "2"));
}

TEST_F(WebDatasetTest, LabelsMayBeInJson) {
  const auto path =
      folder_.write("a.tar", tar_member("1.json", "{\"label\": 1, \"text\": \"x\"}") +
                                 tar_member("1.jpg", "a") + tar_member("2.jpg", "bb") +
                                 tar_member("2.json", "{\"label\": \"cat\"}") + tar_end());
  const auto data = build(path, ", json_key: label, classes: [cat, dog]");
  EXPECT_EQ(data->load(0).label, 1);
  EXPECT_EQ(data->load(1).label, 0);
}

TEST_F(WebDatasetTest, OtherMembersArePassedOver) {
  const auto path = folder_.write(
      "a.tar", tar_member("__index__.json", "x") + tar_member("folder/", "", '5') +
                   tar_member("README", "x") + tar_member(".hidden.jpg", "x") +
                   tar_member("notes.txt", "x") + tar_member("v1.0/1.seg.png", "x") +
                   tar_member("v1.0/1.jpg", "aa") + tar_member("v1.0/1.txt", "x") +
                   tar_member("v1.0/1.cls", "0") + tar_member("link.jpg", "", '2') + tar_end());
  const auto data = build(path);
  ASSERT_EQ(data->size(), 1);
  EXPECT_EQ(data->load(0).image.width(), 2);
  EXPECT_EQ(data->name(0), path + ": v1.0/1");
}

TEST_F(WebDatasetTest, LongNamesOfGnuAndPosixAreRead) {
  const std::string name(150, 'n');
  const auto length = std::to_string(name.size() + 14);  // "164 path=NNN.jpg\n"
  const auto path = folder_.write(
      "a.tar", tar_member("././@LongLink", name + ".jpg\0"s, 'L') + tar_member("short", "a") +
                   tar_member("PaxHeader", length + " path=" + name + ".cls\n", 'x') +
                   tar_member("short", "3") + tar_end());
  const auto data = build(path);
  ASSERT_EQ(data->size(), 1);
  EXPECT_EQ(data->name(0), path + ": " + name);
  EXPECT_EQ(data->load(0).label, 3);
  EXPECT_EQ(data->load(0).image.width(), 1);
}

TEST_F(WebDatasetTest, FilesOfTheTarProgramAreRead) {
  const std::string deep = "a/" + std::string(90, 'b') + "/" + std::string(90, 'c') + "/1";
  folder_.write("in/" + deep + ".jpg", "aaaa");
  folder_.write("in/" + deep + ".cls", "4\n");
  for (const std::string format : {"gnu", "ustar", "pax", "oldgnu", "v7"}) {
    SCOPED_TRACE(format);
    const auto path = folder_.file(format + ".tar");
    const std::string inside = format == "v7" ? "in/a" : "in";
    if (format == "v7") folder_.write("in/a/1.jpg", "aaaa");
    if (format == "v7") folder_.write("in/a/1.cls", "4\n");
    const auto members = format == "v7" ? " a/1.jpg a/1.cls" : " --sort=name a";
    const auto command = "tar --format=" + format + " -cf " + path + " -C " +
                         folder_.path().string() + "/in" + members;
    if (std::system(command.c_str()) != 0) GTEST_SKIP() << "tar is not here";
    const auto data = build(path);
    ASSERT_EQ(data->size(), 1);
    EXPECT_EQ(data->load(0).label, 4);
    EXPECT_EQ(data->load(0).image.width(), 4);
  }
}

TEST_F(WebDatasetTest, SampleThatIsIncompleteOrWrongIsNamedWhenItIsLoaded) {
  EXPECT_EQ(fault(tar_member("7.jpg", "a")), "7: at byte 512: the sample has no label (.cls)");
  EXPECT_EQ(fault(tar_member("7.cls", "1")),
            "7: at byte 512: the sample has no image (looked for .jpg, .jpeg, .png, .webp)");
  EXPECT_EQ(fault(tar_member("7.cls", "1") + tar_member("7.jpg", "a") + tar_member("7.cls", "0")),
            "7: at byte 2560: the sample has two labels");
  EXPECT_EQ(fault(tar_member("7.png", "b") + tar_member("7.cls", "1") + tar_member("7.jpg", "a")),
            "7: at byte 2560: the sample has two images");
  EXPECT_EQ(fault(tar_member("7.jpg", "a") + tar_member("7.cls", "2")),
            "7: at byte 1536: label 2 is not within the 2 classes (0 to 1)");
  EXPECT_EQ(fault(tar_member("7.jpg", "a") + tar_member("7.cls", "bb")),
            "7: at byte 1536: no class is called 'bb'; did you mean 'b'? (known: a, b)");
  EXPECT_EQ(fault(tar_member("7.jpg", "a") + tar_member("7.cls", " \n")),
            "7: at byte 1536: no class is called '' (known: a, b)");
  EXPECT_EQ(fault(tar_member("7.jpg", "a") + tar_member("7.json", "[]"), ", json_key: label"),
            "7: at byte 1536: is no JSON object ({\"label\": ...})");
  EXPECT_EQ(
      fault(tar_member("7.jpg", "a") + tar_member("7.json", "{\"lable\": 1}"), ", json_key: label"),
      "7: at byte 1536: has no key 'label'; did you mean 'lable'? (known: lable)");
}

TEST_F(WebDatasetTest, ImageThatIsDamagedIsNamedWhenItIsLoaded) {
  const auto path =
      folder_.write("a.tar", tar_member("7.jpg", "damaged") + tar_member("7.cls", "1") + tar_end());
  const auto data = build(path);
  EXPECT_EQ(data->label(0), 1);
  EXPECT_EQ(data_error([&] { data->load(0); }), path + ": 7: cannot be decoded");
}

TEST_F(WebDatasetTest, GoodSamplesBesideAWrongOneAreRead) {
  const auto path =
      folder_.write("a.tar", tar_member("6.jpg", "a") + two_samples() + tar_member("7.jpg", "a") +
                                 tar_member("7.cls", "-1") + tar_end());
  const auto data = build(path);
  ASSERT_EQ(data->size(), 4);
  EXPECT_EQ(data->load(2).image.width(), 2);
  EXPECT_THAT(data_error([&] { data->load(0); }), HasSubstr("no label"));
  EXPECT_THAT(data_error([&] { data->load(3); }), HasSubstr("label -1 is not from 0 to 999999"));
  EXPECT_THAT(data->classes().names, ElementsAre("0", "1"));
}

TEST_F(WebDatasetTest, FileThatEndsEarlyIsRefusedAtEveryLength) {
  const auto whole = two_samples() + tar_end();
  for (size_t length = 0; length < 4 * 1024 + 512; length += 37) {
    const auto path = folder_.write("a.tar", whole.substr(0, length));
    EXPECT_THAT(error(path), StartsWith(path + ": at byte ")) << length;
  }
  const auto path = folder_.write("a.tar", whole.substr(0, 4 * 1024 + 512));  // one empty block
  EXPECT_EQ(build(path)->size(), 2);
  folder_.write("a.tar", whole.substr(0, 4 * 1024));
  EXPECT_EQ(error(path),
            path +
                ": at byte 4096: the file ends without the empty block that ends a tar file; it "
                "is cut short: copy or download it again; or use the samples before it with "
                "`damaged_shards: use`");
  folder_.write("a.tar", whole.substr(0, 512));
  EXPECT_EQ(error(path), path +
                             ": at byte 0: '0001.jpg' has 1 bytes, but the file ends after 0 of "
                             "them; it is cut short: copy or download it again");
}

TEST_F(WebDatasetTest, FileThatEndsEarlyGivesItsWholeSamplesWhereTheOptionAllowsIt) {
  const auto whole = two_samples() + tar_end();
  // The first sample is whole from byte 2048 - 511 on, the second one from 4096 - 510.
  for (const auto& [length, samples] : {std::pair{0, 1},
                                        {512, 1},
                                        {600, 1},
                                        {1536, 1},
                                        {2048, 2},
                                        {2100, 2},
                                        {3000, 2},
                                        {3586, 3},
                                        {4096, 3},
                                        {4600, 3}}) {
    const auto path = folder_.write("a.tar", whole.substr(0, static_cast<size_t>(length)));
    const auto data = build(path, ", classes: [a, b], damaged_shards: use");
    ASSERT_EQ(data->size(), samples) << length;
    EXPECT_THAT(data->shards(), ElementsAre(samples));
    for (int64_t i = 0; i + 1 < samples; ++i) {
      EXPECT_EQ(data->load(i).image.width(), i + 1) << length;
      EXPECT_EQ(data->label(i), 1 - i) << length;
    }
    EXPECT_EQ(data->label(samples - 1), -1);
    EXPECT_THAT(data_error([&] { data->load(samples - 1); }),
                StartsWith(data->name(samples - 1) + ": "))
        << length;
  }
}

TEST_F(WebDatasetTest, RestOfADamagedFileIsOneDamagedSample) {
  const auto path = folder_.write("a.tar", two_samples());
  const auto data = build(path, ", damaged_shards: use");
  ASSERT_EQ(data->size(), 3);
  EXPECT_EQ(data->name(2), path + ": at byte 4096");
  EXPECT_EQ(data_error([&] { data->load(2); }),
            path +
                ": at byte 4096: the file ends without the empty block that ends a tar file; it "
                "is cut short: copy or download it again");
  // Members that were there already belong to that sample.
  folder_.write("b.tar", two_samples().substr(0, 3584));
  const auto cut = build(folder_.file("b.tar"), ", damaged_shards: use");
  ASSERT_EQ(cut->size(), 2);
  EXPECT_EQ(data_error([&] { cut->load(1); }),
            folder_.file("b.tar") +
                ": 0002: at byte 3072: '0002.JPEG' has 2 bytes, but the file ends after 0 of "
                "them; it is cut short: copy or download it again");
}

TEST_F(WebDatasetTest, ShardsBesideADamagedOneAreRead) {
  auto bytes = two_samples() + two_samples("more/") + tar_end();
  bytes[4096 + 3] ^= 1;
  folder_.write("0.tar", bytes);
  folder_.write("1.tar", "");
  folder_.write("2.tar", two_samples() + tar_end());
  const auto data = build("'" + folder_.path().string() + "/{0..2}.tar'", ", damaged_shards: use");
  EXPECT_THAT(data->shards(), ElementsAre(3, 1, 2));
  EXPECT_EQ(data->load(1).image.width(), 2);
  EXPECT_THAT(data_error([&] { data->load(2); }), HasSubstr("at byte 4096: is no header"));
  EXPECT_THAT(data_error([&] { data->load(3); }), HasSubstr("at byte 0: the file ends"));
  EXPECT_EQ(data->load(5).image.width(), 2);
}

TEST_F(WebDatasetTest, DamageBeforeTheFirstSampleAloneIsStillRefused) {
  const auto path = folder_.write("a.tar", "\x1f\x8b" + std::string(5000, 'x'));
  EXPECT_THAT(error(path, ", damaged_shards: use"),
              StartsWith(path + ": at byte 0: is compressed"));
}

TEST_F(WebDatasetTest, DamagedHeaderIsNamedWithItsPlace) {
  auto bytes = two_samples() + tar_end();
  bytes[1024 + 3] ^= 1;
  const auto path = folder_.write("a.tar", bytes);
  EXPECT_EQ(error(path), path +
                             ": at byte 1024: is no header of a tar file (its checksum is wrong); "
                             "the file is damaged, or none");
  folder_.write("a.tar", std::string(5000, 'x'));
  EXPECT_THAT(error(path), StartsWith(path + ": at byte 0: is no header of a tar file"));
  folder_.write("a.tar", "\x1f\x8b" + std::string(5000, 'x'));
  EXPECT_THAT(error(path), StartsWith(path + ": at byte 0: is compressed"));
}

TEST_F(WebDatasetTest, HostileHeadersAreRefused) {
  const auto error_of = [&](const std::string& bytes) {
    const auto path = folder_.write("a.tar", bytes + two_samples() + tar_end());
    const auto message = error(path);
    EXPECT_THAT(message, StartsWith(path + ": at byte "));
    return message.substr(std::min(message.size(), path.size() + 10));
  };
  EXPECT_THAT(error_of(tar_header("x.jpg", 0x1fffffff)),
              StartsWith("0: 'x.jpg' has 536870911 bytes, but the file ends after "));
  EXPECT_THAT(error_of(tar_header("x", 0x1ffffff, 'L')), HasSubstr("bytes, but the file ends"));
  EXPECT_THAT(error_of(tar_member("x", std::string((1 << 20) + 1, 'n'), 'L')),
              StartsWith("0: a name or a list of attributes of 1048577 bytes"));
  EXPECT_THAT(error_of(tar_member("x", "9999 path=x\n", 'x')), HasSubstr("attributes are damaged"));
  EXPECT_THAT(error_of(tar_member("x", "11 pathabc\n", 'x')), HasSubstr("attributes are damaged"));
  EXPECT_THAT(error_of(tar_member("x", "3 \n", 'x')), HasSubstr("attributes are damaged"));
  EXPECT_THAT(error_of(tar_member("x", "14 size=-512\n\n", 'x')),
              HasSubstr("the size of '0001.jpg' is no number"));
  EXPECT_THAT(error_of(tar_member("x", "13 size=-512\n", 'x') + tar_header("y", 0)),
              HasSubstr("the size of 'y' is no number"));
  EXPECT_THAT(error_of(tar_member("x", "28 size=9223372036854775807\n", 'x') + tar_header("y", 0)),
              HasSubstr("'y' has 9223372036854775807 bytes, but the file ends"));
  EXPECT_THAT(error_of(tar_member("x.jpg", "", 'S')), HasSubstr("is a sparse file"));
}

// Changed bytes are refused or read, whatever they say: no crash, no memory without end.
TEST_F(WebDatasetTest, RandomDamageIsRefusedOrRead) {
  const auto good = tar_member("x", "17 path=0001.jpg\n", 'x') + two_samples() + tar_end();
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    auto bytes = good;
    const size_t block = random() % 8 * 512;
    for (int changes = 0; changes < 3; ++changes) {
      bytes[block + random() % 160] = static_cast<char>(random());
    }
    // With a checksum that fits, so that the fields themselves are looked at.
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block) + 148, 8, ' ');
    int sum = 0;
    for (size_t at = 0; at < 512; ++at) sum += static_cast<unsigned char>(bytes[block + at]);
    bytes.replace(block + 148, 7, fmt::format("{:06o}", sum) + '\0');
    const auto path = folder_.write("a.tar", bytes);
    try {
      const auto data = build(path);
      for (int64_t sample = 0; sample < data->size(); ++sample) data->load(sample);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_LT(refused, 450);
}

TEST_F(WebDatasetTest, ShardWithoutSamplesOrThatIsMissingIsRefused) {
  const auto path = folder_.write("a.tar", tar_member("readme.txt", "x") + tar_end());
  EXPECT_EQ(error(path), path + ": has no samples; expected members NAME.jpg and NAME.cls");
  EXPECT_EQ(error("/no/such.tar"), "/no/such.tar: cannot be opened: No such file or directory");
  EXPECT_EQ(error(folder_.path().string()),
            folder_.path().string() + ": is not a file; expected a tar file");
  folder_.write("b.tar", two_samples() + tar_end());
  EXPECT_EQ(error("['" + folder_.path().string() + "/{b,c}.tar']"),
            folder_.file("c.tar") + ": cannot be opened: No such file or directory");
}

TEST_F(WebDatasetTest, ShardThatBecameShorterIsNoticed) {
  const auto path = folder_.write("a.tar", two_samples() + tar_end());
  const auto data = build(path);
  folder_.write("a.tar", two_samples().substr(0, 1024));
  EXPECT_EQ(data->load(0).image.width(), 1);
  EXPECT_EQ(data_error([&] { data->load(1); }),
            path + ": 0002: the tar file became shorter since it was opened");
}

TEST_F(WebDatasetTest, OptionsThatCannotBeAreRefused) {
  EXPECT_THAT(option_error("[]"), HasSubstr("'shards' must have"));
  EXPECT_THAT(option_error("['/x/{1..2}.tar', /x/2.tar]"),
              EndsWith("'shards' names /x/2.tar twice"));
  EXPECT_THAT(option_error("'/x/{1..2.tar'"),
              EndsWith("has a '{' without '}'; expected a pattern such as train-{000..146}.tar"));
  const auto path = folder_.write("a.tar", two_samples() + tar_end());
  EXPECT_THAT(option_error(path, ", classes: [a, a]"), HasSubstr("have the same name 'a'"));
  EXPECT_THAT(option_error(path, ", images: []"), HasSubstr("'images' must have"));
  EXPECT_THAT(option_error(path, ", damaged_shards: skip"),
              HasSubstr("'damaged_shards' must be one of refuse, use"));
}

TEST(ShardNames, BracesAreExpandedAsInAShell) {
  EXPECT_THAT(expand_braces("a.tar"), ElementsAre("a.tar"));
  EXPECT_THAT(expand_braces("{8..11}.tar"), ElementsAre("8.tar", "9.tar", "10.tar", "11.tar"));
  EXPECT_THAT(expand_braces("x{008..010}"), ElementsAre("x008", "x009", "x010"));
  EXPECT_THAT(expand_braces("{a,b}-{0..1}.t"), ElementsAre("a-0.t", "a-1.t", "b-0.t", "b-1.t"));
  EXPECT_THAT(expand_braces("{a,}x"), ElementsAre("ax", "x"));
}

TEST(ShardNames, PatternsWithoutMeaningAreRefused) {
  for (const auto* pattern :
       {"{1..", "{3..1}", "{a..c}", "{1..}", "{-1..2}", "{0..9999999999}", "{0..9999}{0..9999}"}) {
    EXPECT_THROW(expand_braces(pattern), OptionError) << pattern;
  }
}

}  // namespace
}  // namespace dnc
