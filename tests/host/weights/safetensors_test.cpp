#include "host/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// A file with this header and so many bytes of data.
std::string file_of(const std::string& header, size_t data = 0) {
  const uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + header + std::string(data, '\1');
}

/// What reading these bytes throws, without the file's name before it.
std::string rejection(const std::string& bytes) {
  static const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  put_bytes(path, bytes);
  const auto message = message_of<CheckpointError>([&] { read_safetensors(path); });
  if (message.empty()) return "accepted";
  EXPECT_THAT(message, StartsWith(path.string() + ": "));
  return message.substr(path.string().size() + 2);
}

std::string header_rejection(const std::string& header, size_t data = 0) {
  const std::string begin = "the safetensors header is wrong: ";
  const auto message = rejection(file_of(header, data));
  EXPECT_THAT(message, StartsWith(begin));
  return message.substr(std::min(begin.size(), message.size()));
}

/// {"a": {"dtype": "F32", "shape": SHAPE, "data_offsets": OFFSETS}}
std::string one_tensor(const std::string& shape, const std::string& offsets,
                       const std::string& type = "F32") {
  return R"({"a":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

TensorMap some_tensors() {
  TensorMap tensors;
  tensors.insert("bytes", torch::arange(5, torch::kByte));
  tensors.insert("layer.weight", torch::randn({3, 4}));
  tensors.insert("layer.bias", torch::randn({4}, torch::kDouble));
  return tensors;
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && torch::equal(a, b);
}

TEST(Safetensors, ReadsAllTypesAndShapesThatPythonWrote) {
  const auto file = read_safetensors(DNC_SOURCE_DIR "/tests/golden/all_types.safetensors");
  EXPECT_EQ(file.tensors.size(), 15u);
  const std::vector<std::pair<std::string, torch::ScalarType>> types = {
      {"F64", torch::kDouble},    {"F32", torch::kFloat}, {"F16", torch::kHalf},
      {"BF16", torch::kBFloat16}, {"I64", torch::kLong},  {"I32", torch::kInt},
      {"I16", torch::kShort},     {"I8", torch::kChar},   {"U8", torch::kByte}};
  for (const auto& [name, type] : types) {
    EXPECT_TRUE(same(file.tensors[name], torch::arange(6).view({2, 3}).to(type))) << name;
  }
  EXPECT_TRUE(same(file.tensors["BOOL"], torch::tensor({0, 1, 0, 1, 0, 1}).view({2, 3}) == 1));
  EXPECT_TRUE(same(file.tensors["scalar"], torch::tensor(0.1, torch::kDouble)));
  EXPECT_EQ(file.tensors["scalar"].dim(), 0);
  EXPECT_TRUE(same(file.tensors["empty"], torch::zeros({0, 3})));
  EXPECT_THAT(file.tensors["rank6"].sizes().vec(), ElementsAre(1, 1, 2, 1, 1, 1));
  EXPECT_EQ(file.tensors["näme \"quoted\"\n\\"].item<int>(), 7);
  const auto special = file.tensors["special"];
  EXPECT_TRUE(std::isnan(special[0].item<float>()));
  EXPECT_EQ(special[1].item<float>(), INFINITY);
  EXPECT_TRUE(std::signbit(special[2].item<float>()));
  EXPECT_EQ(special[3].item<float>(), 1e-45f);
  EXPECT_THAT(file.metadata,
              ElementsAre(std::pair("format", "pt"), std::pair("note", "zwölf \"Boxkämpfer\"\n")));
}

TEST(Safetensors, GivesBackEveryBitThatWasWritten) {
  const TemporaryFolder folder;
  const auto python = read_safetensors(DNC_SOURCE_DIR "/tests/golden/all_types.safetensors");
  write_safetensors(folder / "x", python.tensors, python.metadata);
  const auto ours = read_safetensors(folder / "x");
  EXPECT_EQ(ours.metadata, python.metadata);
  ASSERT_EQ(ours.tensors.size(), python.tensors.size());
  for (const auto& item : python.tensors) {
    const auto& tensor = ours.tensors[item.key()];
    EXPECT_EQ(tensor.scalar_type(), item.value().scalar_type()) << item.key();
    ASSERT_EQ(tensor.sizes(), item.value().sizes()) << item.key();
    if (tensor.numel() == 0) continue;  // it has no memory to compare
    EXPECT_EQ(std::memcmp(tensor.data_ptr(), item.value().data_ptr(), tensor.nbytes()), 0)
        << item.key();
  }
}

TEST(Safetensors, WritesStridedTensorsAsTheyAreSeen) {
  const TemporaryFolder folder;
  const auto base = torch::arange(24.0f).view({2, 3, 4});
  TensorMap tensors;
  tensors.insert("transposed", base.transpose(0, 2));
  tensors.insert("part", base.slice(1, 1, 2));
  tensors.insert("expanded", torch::ones({1}).expand({5}));
  tensors.insert("channels_last",
                 torch::randn({2, 3, 4, 5}).contiguous(torch::MemoryFormat::ChannelsLast));
  tensors.insert("requires_grad", torch::randn({2}, torch::requires_grad()));
  write_safetensors(folder / "x", tensors);
  const auto read = read_safetensors(folder / "x").tensors;
  for (const auto& item : tensors) EXPECT_TRUE(same(read[item.key()], item.value())) << item.key();
}

TEST(Safetensors, AlignsEachTensorForItsType) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", some_tensors());
  const auto bytes = bytes_of(folder / "x");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  EXPECT_EQ(header % 8, 0u);
  EXPECT_THAT(bytes.substr(8, header),
              HasSubstr(R"({"layer.bias":{"dtype":"F64","shape":[4],"data_offsets":[0,32]},)"
                        R"("layer.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[32,80]},)"
                        R"("bytes":{"dtype":"U8","shape":[5],"data_offsets":[80,85]}})"));
}

TEST(Safetensors, HoldsNoTensorAtAll) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", TensorMap());
  EXPECT_TRUE(read_safetensors(folder / "x").tensors.is_empty());
}

TEST(Safetensors, RefusesToWriteATypeWithoutAName) {
  const TemporaryFolder folder;
  TensorMap tensors;
  tensors.insert("spectrum", torch::zeros({2}, torch::kComplexFloat));
  const auto message =
      message_of<CheckpointError>([&] { write_safetensors(folder / "x", tensors); });
  EXPECT_THAT(message, HasSubstr(": cannot hold 'spectrum', a tensor of type ComplexFloat "
                                 "(possible: F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL)"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Safetensors, RefusesLengthsThatCannotBe) {
  EXPECT_EQ(rejection(""), "has 0 bytes, too few for a safetensors file");
  EXPECT_EQ(rejection("1234567"), "has 7 bytes, too few for a safetensors file");
  EXPECT_EQ(rejection(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8)),
            "is not a safetensors file: its first 8 bytes would mean a header of 100000001 bytes, "
            "at most 100000000 are allowed");
  EXPECT_EQ(rejection(std::string(8, '\xff')),
            "is not a safetensors file: its first 8 bytes would mean a header of "
            "18446744073709551615 bytes, at most 100000000 are allowed");
  EXPECT_EQ(rejection(std::string("\x03\0\0\0\0\0\0\0{}", 10)),
            "the safetensors header has 3 bytes, but only 2 follow: the file is cut short");
  EXPECT_EQ(rejection(file_of("")),
            "is not a safetensors file: its header does not begin with '{'");
  EXPECT_EQ(rejection(file_of(" {}")),
            "is not a safetensors file: its header does not begin with '{'");
}

TEST(Safetensors, RefusesAHeaderThatIsNotJson) {
  EXPECT_EQ(header_rejection("{"), "it is not valid JSON at byte 2");
  EXPECT_EQ(header_rejection("{}x"), "it is not valid JSON at byte 3");
  EXPECT_EQ(header_rejection("{\"\xff\":{}}"), "it is not valid JSON at byte 3");
  EXPECT_EQ(header_rejection({"{\"a\0\":{}}", 9}), "it is not valid JSON at byte 4");
  EXPECT_EQ(header_rejection(R"({"a":{"dtype":"F32",}})"), "it is not valid JSON at byte 21");
}

TEST(Safetensors, RefusesADeepHeaderWithoutFollowingIt) {
  EXPECT_EQ(header_rejection("{\"a\":" + std::string(1'000'000, '[')), "'a' is a list, not a map");
  std::string maps = "{";
  for (int i = 0; i < 100'000; ++i) maps += "\"a\":{";
  EXPECT_EQ(header_rejection(maps), "'a': 'a' cannot be a map");
}

TEST(Safetensors, RefusesAHeaderOfAnotherForm) {
  EXPECT_EQ(header_rejection(R"({"a":5})"), "'a' is a number, not a map");
  EXPECT_EQ(header_rejection(R"({"a":null})"), "'a' is null, not a map");
  EXPECT_EQ(header_rejection(R"({"a":{}})"), "'a' has no 'dtype'");
  EXPECT_EQ(header_rejection(R"({"a":{"dtype":"F32","data_offsets":[0,0]}})"),
            "'a' has no 'shape'");
  EXPECT_EQ(header_rejection(R"({"a":{"dtype":"F32","shape":[]}})"), "'a' has no 'data_offsets'");
  EXPECT_EQ(header_rejection(R"({"a":{"dtype":3}})"), "'a': 'dtype' cannot be a number");
  EXPECT_EQ(header_rejection(R"({"a":{"dtype":["F32"]}})"), "'a': 'dtype' cannot be a list");
  EXPECT_EQ(header_rejection(R"({"a":{"colour":"F32"}})"), "'a': 'colour' cannot be text");
  EXPECT_EQ(header_rejection(R"({"a":{"shape":"[1]"}})"), "'a': 'shape' cannot be text");
  EXPECT_EQ(header_rejection(R"({"a":{"shape":[[1]]}})"), "'a': 'shape' cannot be a list");
  EXPECT_EQ(header_rejection(R"({"a":{"shape":[true]}})"), "'a': 'shape' cannot be true or false");
}

TEST(Safetensors, RefusesATypeItDoesNotKnow) {
  EXPECT_EQ(header_rejection(one_tensor("[1]", "[0,1]", "F8_E4M3"), 1),
            "'a' is of type 'F8_E4M3', which is not known here (known: F64, F32, F16, BF16, I64, "
            "I32, I16, I8, U8, BOOL)");
}

TEST(Safetensors, RefusesNumbersThatAreNoSizes) {
  EXPECT_EQ(header_rejection(one_tensor("[-1]", "[0,4]"), 4),
            "'a': 'shape' cannot be a negative number");
  EXPECT_EQ(header_rejection(one_tensor("[1.5]", "[0,4]"), 4),
            "'a': 'shape' cannot be a number that is not an integer of 64 bits");
  EXPECT_EQ(header_rejection(one_tensor("[9223372036854775808]", "[0,4]"), 4),
            "'a': 'shape' cannot be a number beyond 63 bits");
  EXPECT_EQ(header_rejection(one_tensor("[1e3]", "[0,4]"), 4),
            "'a': 'shape' cannot be a number that is not an integer of 64 bits");
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  EXPECT_EQ(header_rejection(one_tensor("[" + ones + "]", "[0,4]"), 4),
            "'a': 'shape' is a list of more than 64 numbers");
  for (const char* offsets : {"[]", "[0]", "[0,4,8]", "[4,0]"}) {
    EXPECT_EQ(header_rejection(one_tensor("[1]", offsets), 4),
              "'a': 'data_offsets' must be [begin, end]");
  }
}

TEST(Safetensors, RefusesNamesThatAreThereTwice) {
  const std::string empty = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(header_rejection(R"({"a":)" + empty + R"(,"a":)" + empty + "}"), "'a' is there twice");
  EXPECT_EQ(header_rejection(R"({"a":{"dtype":"F32","dtype":"F32"}})"),
            "'a' has two times 'dtype'");
  EXPECT_EQ(header_rejection(R"({"__metadata__":{"a":"1","a":"2"}})"),
            "'__metadata__' has two times 'a'");
  EXPECT_EQ(header_rejection(R"({"__metadata__":{},"__metadata__":{}})"),
            "'__metadata__' is there twice");
}

TEST(Safetensors, RefusesMetadataThatIsNotText) {
  EXPECT_EQ(header_rejection(R"({"__metadata__":"text"})"), "'__metadata__' is text, not a map");
  EXPECT_EQ(header_rejection(R"({"__metadata__":{"a":1}})"),
            "'__metadata__': 'a' cannot be a number");
  EXPECT_EQ(header_rejection(R"({"__metadata__":{"a":{}}})"),
            "'__metadata__': 'a' cannot be a map");
  EXPECT_EQ(header_rejection(R"({"__metadata__":{"shape":[1]}})"),
            "'__metadata__': 'shape' cannot be a list");
}

TEST(Safetensors, RefusesShapesThatOverflow) {
  const std::string reason = "the shape of 'a' is too large for any memory";
  EXPECT_EQ(rejection(file_of(one_tensor("[4611686018427387904,4]", "[0,0]"))), reason);
  EXPECT_EQ(rejection(file_of(one_tensor("[9223372036854775807]", "[0,4]"), 4)), reason);
  // No elements, yet strides that do not fit.
  EXPECT_EQ(rejection(file_of(one_tensor("[0,4611686018427387904,4]", "[0,0]"))), reason);
}

TEST(Safetensors, RefusesTensorsThatDoNotCoverTheData) {
  const auto two = [](const std::string& a, const std::string& b) {
    const std::string entry = R"({"dtype":"U8","shape":[4],"data_offsets":)";
    return R"({"a":)" + entry + a + R"(},"b":)" + entry + b + "}}";
  };
  EXPECT_EQ(rejection(file_of(one_tensor("[2]", "[0,4]"), 4)),
            "'a' has 4 bytes of data, its type and shape need 8");
  EXPECT_EQ(rejection(file_of(one_tensor("[1]", "[4,8]"), 8)),
            "'a' begins at byte 4 of the data, after a gap; byte 0 was expected");
  EXPECT_EQ(rejection(file_of(two("[0,4]", "[2,6]"), 8)),
            "'b' begins at byte 2 of the data, inside the tensor before it; byte 4 was expected");
  EXPECT_EQ(rejection(file_of(two("[0,4]", "[0,4]"), 4)),
            "'b' begins at byte 0 of the data, inside the tensor before it; byte 4 was expected");
  EXPECT_EQ(rejection(file_of(two("[0,4]", "[5,9]"), 9)),
            "'b' begins at byte 5 of the data, after a gap; byte 4 was expected");
  EXPECT_EQ(rejection(file_of(two("[0,4]", "[4,8]"), 7)),
            "'b' ends at byte 8 of the data, of which there are 7: the file is cut short");
  EXPECT_EQ(rejection(file_of(two("[4,8]", "[0,4]"), 9)), "the last 1 bytes belong to no tensor");
  EXPECT_EQ(rejection(file_of(two("[4,8]", "[0,4]"), 8)), "accepted");
}

TEST(Safetensors, RefusesBoolsThatAreNeitherTrueNorFalse) {
  auto bytes = file_of(one_tensor("[2]", "[0,2]", "BOOL"), 2);
  EXPECT_EQ(rejection(bytes), "accepted");
  bytes.back() = '\2';
  EXPECT_EQ(rejection(bytes), "'a' is of type BOOL and has bytes other than 0 and 1");
}

TEST(Safetensors, RefusesEveryLengthButItsOwn) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", some_tensors());
  const auto bytes = bytes_of(folder / "x");
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_NE(rejection(bytes.substr(0, length)), "accepted") << length;
  }
  EXPECT_NE(rejection(bytes + '\0'), "accepted");
  EXPECT_EQ(rejection(bytes), "accepted");
}

TEST(Safetensors, ReadsOrRefusesDamagedFilesAndNeverCrashes) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", some_tensors(), {{"format", "pt"}});
  const auto good = bytes_of(folder / "x");
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    auto bytes = good;
    // Most of the changes in the header, where they matter.
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
      bytes[random() % (i % 4 ? 300 : bytes.size())] = static_cast<char>(random());
    }
    refused += rejection(bytes) != "accepted";
  }
  EXPECT_GT(refused, 2000);
}

TEST(Safetensors, NamesAFileThatIsNotThere) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of<FileError>([&] { read_safetensors(folder / "none"); }),
            (folder / "none").string() + ": cannot be opened: No such file or directory");
}

}  // namespace
}  // namespace dnc
