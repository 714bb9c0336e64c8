#include "host/components/hooks.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <boost/crc.hpp>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "host/data/image_decoder.h"
#include "host/report/confusion.h"
#include "registry/prototypes.h"
#include "tests/image_testing.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// Two classes with two prototypes, of fixed mass.
struct FixedPrototypes final : Prototypes {
  torch::Tensor prototypes() const override { return torch::zeros({2, 2, 1}); }
  torch::Tensor project(const torch::Tensor& embeddings) override { return embeddings; }
  torch::Tensor mass() const override { return torch::tensor({{0.25, 0.75}, {0.5, 0.5}}); }
  void set_prototypes(const torch::Tensor&, const torch::Tensor&, const torch::Tensor&) override {}
  std::vector<std::pair<std::string, double>> figures() const override { return {{"dead", 0.5}}; }
};

uint32_t masked(const std::string& bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const auto sum = static_cast<uint32_t>(crc.checksum());
  return ((sum >> 15) | (sum << 17)) + 0xA282EAD8u;
}

// The payloads of a TFRecord file, checksums compared.
std::vector<std::string> records_of(const std::string& bytes) {
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    uint32_t crc = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    std::memcpy(&crc, bytes.data() + at + 8, 4);
    EXPECT_EQ(crc, masked(bytes.substr(at, 8)));
    records.push_back(bytes.substr(at + 12, length));
    std::memcpy(&crc, bytes.data() + at + 12 + length, 4);
    EXPECT_EQ(crc, masked(records.back()));
    at += 16 + length;
  }
  return records;
}

TEST(TensorBoardHook, WritesRecordsWithTagsAndChecksums) {
  const TemporaryFolder folder;
  const FixedPrototypes prototypes;
  RunState state;
  state.folder = folder.path();
  state.prototypes = &prototypes;
  state.losses = {{"loss", 1.5}};
  TensorBoardHook::Options options;
  options.every = 10;
  TensorBoardHook hook(options);
  hook.before_run(state);
  for (state.step = 1; state.step <= 20; ++state.step) hook.after_step(state);
  hook.after_evaluation(state, {"val", {{"accuracy/top1", 0.5}}, {}});
  hook.after_run(state);

  const auto file = fs::directory_iterator(folder.path())->path();
  EXPECT_EQ(file.filename().string().rfind("events.out.tfevents.", 0), 0u);
  const auto records = records_of(bytes_of(file));
  ASSERT_EQ(records.size(), 4u) << "version, two steps, one evaluation";
  EXPECT_NE(records[0].find("brain.Event:2"), std::string::npos);
  // tag "train/loss" (field 1, 10 bytes), simple_value 1.5f (field 2, 4 bytes).
  EXPECT_NE(records[1].find(std::string("\x0A\x0Atrain/loss\x15\0\0\xC0\x3F", 17)),
            std::string::npos);
  EXPECT_NE(records[3].find("val/accuracy/top1"), std::string::npos);
  EXPECT_NE(records[3].find("prototypes/dead"), std::string::npos);
}

// A field of a protocol buffer message, all of them in their order.
struct ProtoField {
  int number = 0;
  uint64_t value = 0;  // of a varint
  std::string bytes;   // of the other types
};

std::vector<ProtoField> fields_of(const std::string& message) {
  std::vector<ProtoField> fields;
  size_t at = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const auto key = varint();
    ProtoField field{static_cast<int>(key >> 3), 0, ""};
    size_t length = 0;
    if ((key & 7) == 0) field.value = varint();
    if ((key & 7) == 1) length = 8;
    if ((key & 7) == 2) length = varint();
    if ((key & 7) == 5) length = 4;
    field.bytes = message.substr(at, length);
    EXPECT_EQ(field.bytes.size(), length);
    at += length;
    fields.push_back(std::move(field));
  }
  return fields;
}

const ProtoField& field_of(const std::vector<ProtoField>& fields, int number) {
  for (const auto& field : fields) {
    if (field.number == number) return field;
  }
  throw std::out_of_range("no field " + std::to_string(number));
}

struct LoggedImage {
  uint64_t step = 0;
  uint64_t channels = 0;
  Image image;  // RGB
};

// The images of an event file, by their tags; see event.proto and summary.proto of TensorFlow.
std::map<std::string, LoggedImage> images_in(const fs::path& folder) {
  std::map<std::string, LoggedImage> images;
  for (const auto& record : records_of(bytes_of(fs::directory_iterator(folder)->path()))) {
    const auto event = fields_of(record);
    for (const auto& summary : event) {
      if (summary.number != 5) continue;
      const auto value = fields_of(field_of(fields_of(summary.bytes), 1).bytes);
      if (value.back().number != 4) continue;  // a scalar
      const auto image = fields_of(value.back().bytes);
      const auto& png = field_of(image, 4).bytes;
      LoggedImage logged{field_of(event, 2).value, field_of(image, 3).value, {}};
      logged.image = ImageDecoder().open(std::vector<uint8_t>(png.begin(), png.end()), "x.png");
      EXPECT_EQ(field_of(image, 1).value, static_cast<uint64_t>(logged.image.height()));
      EXPECT_EQ(field_of(image, 2).value, static_cast<uint64_t>(logged.image.width()));
      images[field_of(value, 1).bytes] = logged;
    }
  }
  return images;
}

TEST(TensorBoardHook, WritesPicturesAndTheConfusionMatrixAsPngFiles) {
  const TemporaryFolder folder;
  RunState state;
  state.folder = folder.path();
  TensorBoardHook hook({});
  hook.before_run(state);
  const auto batch = test_picture("batch", 20, 30, 3);
  const auto gray = test_picture("gray", 5, 4, 1);
  hook.after_picture(state, "train/batch", batch);
  hook.after_picture(state, "gray", gray);
  state.step = 300;
  const Table confusion{"confusion", {"a", "b"}, {"a", "b"}, {3, 1, 0, 4}};
  const Table other{"per_class", {"recall"}, {"a", "b"}, {0.75, 1}};
  hook.after_evaluation(state, {"val", {{"accuracy/top1", 0.875}}, {other, confusion}});

  const auto images = images_in(folder.path());
  ASSERT_EQ(images.size(), 3);
  EXPECT_TRUE(is_same(images.at("train/batch").image, batch));
  EXPECT_EQ(images.at("train/batch").step, 0);
  EXPECT_EQ(images.at("train/batch").channels, 3);
  EXPECT_TRUE(is_same(images.at("gray").image, gray.to_channels(3)));
  EXPECT_EQ(images.at("gray").channels, 1);
  EXPECT_TRUE(is_same(images.at("val/confusion").image, report::confusion_picture(confusion, 320)));
  EXPECT_EQ(images.at("val/confusion").step, 300);
}

TEST(TensorBoardHook, WritesNoPicturesWithoutImages) {
  const TemporaryFolder folder;
  RunState state;
  state.folder = folder.path();
  TensorBoardHook::Options options;
  options.images = 0;
  TensorBoardHook hook(options);
  EXPECT_EQ(hook.images(), 0);
  hook.before_run(state);
  hook.after_evaluation(state, {"val", {{"f1", 1}}, {{"confusion", {"a"}, {"a"}, {1}}}});
  EXPECT_TRUE(images_in(folder.path()).empty());
}

TEST(PrototypeMassHook, WritesALineAtEachEvaluationAndForgetsStepsThatAreDoneAgain) {
  const TemporaryFolder folder;
  const FixedPrototypes prototypes;
  RunState state;
  state.folder = folder.path();
  state.prototypes = &prototypes;
  PrototypeMassHook hook;
  hook.before_run(state);
  for (const int64_t step : {5, 10}) {
    state.step = step;
    hook.after_evaluation(state, {});
  }
  const std::string first = "{\"step\":5,\"mass\":[[0.25,0.75],[0.5,0.5]]}\n";
  const std::string second = "{\"step\":10,\"mass\":[[0.25,0.75],[0.5,0.5]]}\n";
  EXPECT_EQ(bytes_of(folder / "prototypes.jsonl"), first + second);
  state.step = 7;  // resumed from there
  hook.before_run(state);
  EXPECT_EQ(bytes_of(folder / "prototypes.jsonl"), first);
}

TEST(StopFileHook, EndsTheRunOnceTheFileIsThere) {
  const TemporaryFolder folder;
  RunState state;
  state.folder = folder.path();
  put_bytes(folder / "stop", "");
  StopFileHook hook;
  hook.before_run(state);
  hook.after_step(state);
  EXPECT_EQ(state.stop_reason, "") << "a file of an earlier run is removed";
  put_bytes(folder / "stop", "");
  hook.after_step(state);
  EXPECT_EQ(state.stop_reason, "the file 'stop' was found");
}

}  // namespace
}  // namespace dnc
