#include "host/train/profile.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <nlohmann/json.hpp>
#include <set>

#include "host/train/phase.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

std::set<std::string> names_in(const std::filesystem::path& file) {
  const auto trace = nlohmann::json::parse(bytes_of(file));
  std::set<std::string> names;
  for (const auto& event : trace["traceEvents"]) {
    if (event.value("ph", "") == "X") names.insert(event["name"]);
  }
  return names;
}

void work() {
  const Phase phase("forward");
  torch::ones({3, 4}).matmul(torch::ones({4, 2}));
}

TEST(Profile, HasPhasesAndOperatorsOfItsTimeAlone) {
  const TemporaryFolder folder;
  const auto file = folder / "trace.json";
  { const Phase before("before"); }
  Profile profile(torch::kCPU);
  work();
  profile.save(file);
  { const Phase after("after"); }
  const auto names = names_in(file);
  EXPECT_TRUE(names.contains("forward"));
  EXPECT_TRUE(names.contains("aten::mm"));
  EXPECT_FALSE(names.contains("before"));
  EXPECT_FALSE(names.contains("after"));
}

TEST(Profile, CanBeDroppedAndBegunAnew) {
  const TemporaryFolder folder;
  { const Profile dropped(torch::kCPU); }
  Profile profile(torch::kCPU);
  work();
  profile.save(folder / "trace.json");
  EXPECT_TRUE(names_in(folder / "trace.json").contains("forward"));
}

TEST(Profile, AFileThatCannotBeWrittenIsAnError) {
  const TemporaryFolder folder;
  const auto file = folder / "none" / "trace.json";
  Profile profile(torch::kCPU);
  EXPECT_EQ(message_of<Error>([&] { profile.save(file); }),
            file.string() + ": the trace cannot be written there");
}

TEST(NvtxRanges, NeedAGpu) {
  EXPECT_EQ(message_of<Error>([] { NvtxRanges(torch::kCPU); }),
            "NVTX ranges come with LibTorch's CUDA half, but the device is cpu; use device: cuda, "
            "or --profile for a trace without Nsight");
}

}  // namespace
}  // namespace dnc
