#include "host/weights/pth.h"

#include <caffe2/serialize/inline_container.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "registry/error.h"
#include "tests/golden/golden.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using namespace std::string_literals;
namespace fs = std::filesystem;
using testing::ElementsAre;

fs::path fixture(const std::string& name) {
  return fs::path(DNC_SOURCE_DIR "/tests/golden/weights") / name;
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && torch::equal(a, b);
}

std::string rejection(const fs::path& path) {
  const auto message = message_of<CheckpointError>([&] { read_pth(path); });
  const auto begin = path.string() + ": ";
  return message.starts_with(begin) ? message.substr(begin.size()) : message;
}

/// A zip file with this pickle and these storages.
fs::path zip_of(const std::string& pickle,
                const std::vector<std::pair<std::string, std::string>>& records = {}) {
  static const TemporaryFolder folder;
  const auto path = folder / "x.pth";
  fs::remove(path);
  caffe2::serialize::PyTorchStreamWriter zip(path.string());
  if (!pickle.empty()) zip.writeRecord("data.pkl", pickle.data(), pickle.size());
  for (const auto& [name, bytes] : records) zip.writeRecord(name, bytes.data(), bytes.size());
  zip.writeEndOfFile();
  return path;
}

/// What torch.save({"a": a tensor of four values}) writes.
std::string one_tensor(const std::string& type = "FloatStorage", const std::string& sizes = "K\4t",
                       const std::string& strides = "K\1t") {
  return "}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\n"s + type +
         "\nX\1\0\0\0"s + "0X\3\0\0\0cpuK\4tQK\0("s + sizes + "(" + strides + "\x89}tRs.";
}

void expect_all_types(const TensorMap& tensors) {
  const std::vector<std::pair<std::string, torch::ScalarType>> types = {
      {"float64", torch::kDouble},    {"float32", torch::kFloat},
      {"float16", torch::kHalf},      {"int64", torch::kLong},
      {"bfloat16", torch::kBFloat16}, {"int32", torch::kInt},
      {"int16", torch::kShort},       {"int8", torch::kChar},
      {"uint8", torch::kByte},        {"complex64", torch::kComplexFloat}};
  for (const auto& [name, type] : types) {
    EXPECT_TRUE(same(tensors[name], torch::arange(6).view({2, 3}).to(type))) << name;
  }
  EXPECT_TRUE(same(tensors["bool"], torch::tensor({0, 1, 0, 1, 0, 1}).view({2, 3}) == 1));
  EXPECT_TRUE(same(tensors["scalar"], torch::tensor(0.1, torch::kDouble)));
  EXPECT_TRUE(same(tensors["empty"], torch::zeros({0, 3})));
  const auto base = torch::arange(24.0, torch::kFloat).view({2, 3, 4});
  EXPECT_TRUE(same(tensors["base"], base));
  EXPECT_TRUE(same(tensors["transposed"], base.permute({2, 0, 1})));
  EXPECT_TRUE(same(tensors["slice"], base[1].slice(1, 1, 3)));
  EXPECT_TRUE(same(tensors["parameter"], torch::tensor({1.0f, 2.0f})));
  EXPECT_TRUE(same(tensors["näme \n\\"], torch::tensor({7}, torch::kByte)));
  EXPECT_EQ(tensors.size(), 18u);
}

/// The tensors of the module that pth_files.py makes.
void expect_net(const TensorMap& tensors) {
  const std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = {
      {"conv.weight", {4, 3, 3, 3}},
      {"block.0.weight", {4}},
      {"block.0.bias", {4}},
      {"block.0.running_mean", {4}},
      {"block.0.running_var", {4}},
      {"fc.weight", {2, 4}},
      {"fc.bias", {2}}};
  for (const auto& [name, shape] : shapes) {
    ASSERT_TRUE(tensors.contains(name)) << name;
    EXPECT_TRUE(same(tensors[name], golden_values(name, shape))) << name;
  }
  EXPECT_TRUE(same(tensors["block.0.num_batches_tracked"], torch::tensor(0)));
  EXPECT_EQ(tensors.size(), shapes.size() + 1);
}

TEST(ReadPth, ReadsAllTypesAndViewsInEachFormat) {
  for (const char* file : {"all_types.pth", "all_types_protocol4.pth", "all_types_legacy.pth"}) {
    SCOPED_TRACE(file);
    const auto weights = read_pth(fixture(file));
    expect_all_types(weights.tensors);
    EXPECT_EQ(weights.format, file == "all_types_legacy.pth"s ? "PyTorch before 1.6" : "PyTorch");
    EXPECT_EQ(weights.part, "");
  }
}

TEST(ReadPth, FindsTheStateDictBesideUnknownObjects) {
  for (const char* file : {"mm.pth", "mm_legacy.pth"}) {
    SCOPED_TRACE(file);
    const auto weights = read_pth(fixture(file));
    expect_net(weights.tensors);
    EXPECT_EQ(weights.part, "state_dict");
    EXPECT_THAT(weights.unused, ElementsAre("meta", "optimizer"));
  }
}

TEST(ReadPth, GoesThroughWholeModulesWithoutTheirClass) {
  for (const char* file : {"module.pth", "module_legacy.pth"}) {
    SCOPED_TRACE(file);
    const auto weights = read_pth(fixture(file));
    expect_net(weights.tensors);
    EXPECT_EQ(weights.part, "model");
    EXPECT_THAT(weights.unused, ElementsAre("epoch"));
  }
}

TEST(ReadPth, ReadsTorchScriptArchivesWithoutRunningThem) {
  for (const char* file : {"scripted.pt", "traced.pt"}) {
    SCOPED_TRACE(file);
    const auto weights = read_pth(fixture(file));
    expect_net(weights.tensors);
    EXPECT_EQ(weights.format, "TorchScript");
  }
}

TEST(ReadPth, RefusesFilesWithoutWeights) {
  EXPECT_EQ(
      rejection(fixture("no_weights.pth")),
      "has no weights: expected a dict of tensors, or one under state_dict, model, "
      "model_state_dict, module, net, ema_state_dict, model_ema, state_dict_ema; it has epoch, "
      "loss. Save model.state_dict().");
  EXPECT_EQ(
      rejection(fixture("expanded.pth")),
      "'wide' has 4.0 kB of values, but only 4 bytes are stored: save a copy of the tensor, not "
      "a view that repeats values");
}

TEST(ReadPth, RefusesFilesOfOtherKinds) {
  const TemporaryFolder folder;
  const auto put = [&](const std::string& bytes) {
    put_bytes(folder / "x.pth", bytes);
    return folder / "x.pth";
  };
  EXPECT_EQ(rejection(put("abc")), "has 3 bytes, too few for weights. Copy or download it again.");
  EXPECT_EQ(rejection(put("<html></html>")),
            "is neither a zip file nor a pickle of torch.save. Is it a file of weights?");
  EXPECT_EQ(rejection(put("\x80\2K\1.")),
            "is a pickle, but not one of torch.save. Save the weights with "
            "torch.save(model.state_dict(), FILE).");
  EXPECT_EQ(
      rejection(put("PK\3\4 and no more")),
      "is a zip file that cannot be read as one of torch.save: it is damaged or cut short. Copy "
      "or download it again.");
  EXPECT_EQ(message_of<FileError>([&] { read_pth(folder / "none"); }),
            (folder / "none").string() + ": cannot be opened: No such file or directory");
}

TEST(ReadPth, RefusesZipFilesThatLackSomething) {
  EXPECT_EQ(rejection(zip_of(one_tensor(), {{"data/0", std::string(16, '\0')}})), "");
  EXPECT_EQ(rejection(zip_of("", {{"data/0", "abcd"}})),
            "is a zip file, but not one of torch.save: it has no data.pkl");
  EXPECT_EQ(rejection(zip_of(one_tensor())),
            "has no 'data/0', which is needed. Copy or download it again.");
  EXPECT_EQ(
      rejection(zip_of(one_tensor(), {{"data/0", std::string(15, '\0')}})),
      "'data/0' has 15 bytes, 16 are needed: the file is damaged. Copy or download it again.");
  EXPECT_EQ(rejection(zip_of(one_tensor(), {{"byteorder", "big"}})),
            "was written on a big-endian machine, which is not supported");
  EXPECT_EQ(rejection(zip_of(one_tensor("BoolStorage"), {{"data/0", "\1\1\0\2"s}})),
            "'a' is of type bool and has bytes other than 0 and 1");
}

TEST(ReadPth, RefusesOldFilesThatContradictThemselves) {
  const TemporaryFolder folder;
  const auto number = [](int64_t value) { return std::string(reinterpret_cast<char*>(&value), 8); };
  const auto file = [&](const std::string& keys, const std::string& storages) {
    const auto magic = "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s;
    const auto machine = "}X\x0d\0\0\0little_endian\x88s."s;
    put_bytes(folder / "x", magic + "M\xe9\3." + machine + one_tensor() + keys + storages);
    return rejection(folder / "x");
  };
  const auto one_key = "]X\1\0\0\0"s + "0a.";
  const auto two_keys = "](X\1\0\0\0"s + "0X\1\0\0\0"s + "0e.";
  const auto data = std::string(16, '\0');
  EXPECT_EQ(file(one_key, number(4) + data), "");
  EXPECT_EQ(
      file(one_key, number(5) + data),
      "has 5 elements in storage '0', 4 are needed: it is damaged. Copy or download it again.");
  EXPECT_EQ(
      file(one_key, number(-1) + data),
      "has -1 elements in storage '0', 4 are needed: it is damaged. Copy or download it again.");
  EXPECT_EQ(file(two_keys, number(4) + data + number(4) + data),
            "has storage '0' twice: it is damaged");
  EXPECT_EQ(file("].", ""), "has no storage '0', which is needed. Copy or download it again.");
  EXPECT_EQ(file("]X\1\0\0\0"s + "7a.", number(4) + data),
            "has a storage '7' that belongs to nothing: it is damaged");
  EXPECT_EQ(file("N.", ""), "has no list of its storages: it is damaged");
  EXPECT_THAT(file(one_key, number(4) + data.substr(1)), testing::StartsWith("is cut short: "));
}

TEST(ReadPth, RefusesModulesThatContainThemselves) {
  // Two attributes each, both the module itself: 2^100 names.
  const auto pickle = "clost\nNet\n)\x81q\0}(X\1\0\0\0ah\0X\1\0\0\0bh\0ub."s;
  EXPECT_EQ(
      rejection(zip_of(pickle)),
      "'a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
      "a.a.a.a.a.' is a module inside more than 100 others, or one of more than 100000: modules "
      "that contain themselves cannot be read. Save model.state_dict() instead.");
}

TEST(ReadPth, RefusesCompressedRecordsThatAreLargerThanTheFile) {
  const TemporaryFolder folder;
  const auto path = folder / "bomb.pth";
  {
    const std::string zeros(10'000'000, '\0');
    caffe2::serialize::PyTorchStreamWriter zip(path.string());
    zip.writeRecord("data.pkl", zeros.data(), zeros.size(), true);
    zip.writeEndOfFile();
  }
  EXPECT_EQ(
      rejection(path),
      "'data.pkl' has 10000000 bytes, more than the file has left: it is compressed or damaged. "
      "Save it again with torch.save.");
}

TEST(ReadPth, RefusesEveryLengthButItsOwn) {
  const TemporaryFolder folder;
  for (const char* file : {"mm.pth", "mm_legacy.pth"}) {
    const auto bytes = bytes_of(fixture(file));
    for (size_t length = 0; length < bytes.size(); length += 7) {
      put_bytes(folder / "x", bytes.substr(0, length));
      EXPECT_NE(rejection(folder / "x"), "") << file << " " << length;
    }
  }
}

TEST(ReadPth, ReadsOrRefusesDamagedFilesAndNeverCrashes) {
  const TemporaryFolder folder;
  std::mt19937 random(1);
  for (const char* file : {"all_types.pth", "all_types_legacy.pth", "module.pth", "scripted.pt"}) {
    const auto good = bytes_of(fixture(file));
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
      auto bytes = good;
      for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; --changes) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      put_bytes(folder / "x", bytes);
      refused += !rejection(folder / "x").empty();
    }
    EXPECT_GT(refused, 200) << file;
  }
}

TEST(WritePth, GoesThroughAFileUnchanged) {
  const TemporaryFolder folder;
  const auto source = read_pth(fixture("all_types.pth")).tensors;
  write_pth(folder / "x.pth", source);
  const auto weights = read_pth(folder / "x.pth");
  EXPECT_EQ(weights.tensors.keys(), source.keys());
  expect_all_types(weights.tensors);
}

TEST(WritePth, LeavesTheOldFileWhereItFails) {
  const TemporaryFolder folder;
  put_bytes(folder / "x.pth", "old");
  TensorMap tensors;
  tensors.insert("a", torch::zeros({2}, torch::kUInt16));
  EXPECT_EQ(message_of<CheckpointError>([&] { write_pth(folder / "x.pth", tensors); }),
            (folder / "x.pth").string() + ": cannot hold 'a', a tensor of type UInt16");
  EXPECT_EQ(bytes_of(folder / "x.pth"), "old");
  const auto nowhere = folder / "x.pth" / "y.pth";
  EXPECT_NE(message_of<FileError>([&] { write_pth(nowhere, TensorMap()); }), "");
}

}  // namespace
}  // namespace dnc
