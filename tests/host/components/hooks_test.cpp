#include "host/components/hooks.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <boost/crc.hpp>
#include <cstring>
#include <filesystem>

#include "registry/prototypes.h"
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
