#include "host/cuda_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "host/parallel/nccl.h"
#include "host/train/device_graph.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

CudaFacts usable() { return {true, "", 13000, 13000, 2, "not set"}; }

TEST(CudaLibrary, NothingIsWrongWithADriverAGpuAndTheLibrary) {
  EXPECT_EQ(gpu_problem(usable()), "");
  auto facts = usable();
  facts.driver_version = 13020;
  facts.library_version = 13030;  // of one major version
  EXPECT_EQ(gpu_problem(facts), "");
  facts.driver_version = 14000;  // newer
  EXPECT_EQ(gpu_problem(facts), "");
  facts.driver_version = facts.library_version = 0;  // nobody says
  EXPECT_EQ(gpu_problem(facts), "");
}

TEST(CudaLibrary, SaysWhyNoGpuCanBeUsed) {
  EXPECT_EQ(gpu_problem({}), "there is no NVIDIA driver (libcuda.so.1 is not found)");
  auto facts = usable();
  facts.library_error = "libtorch_cuda.so: cannot open shared object file";
  EXPECT_EQ(gpu_problem(facts),
            "LibTorch's CUDA half cannot be opened: libtorch_cuda.so: cannot open shared object "
            "file");
  facts = usable();
  facts.devices = 0;
  facts.driver_version = 12040;  // a driver that is too old shows none
  EXPECT_EQ(gpu_problem(facts),
            "the NVIDIA driver is too old: it serves CUDA 12.4, and LibTorch was built for CUDA "
            "13.0; install a newer driver");
  facts.driver_version = 13000;
  facts.visible = "7";
  EXPECT_EQ(gpu_problem(facts), "the NVIDIA driver shows none (CUDA_VISIBLE_DEVICES: 7)");
}

TEST(CudaLibrary, WithoutADriverNothingIsOpened) {
  const auto facts = cuda_facts();
  EXPECT_EQ(open_cuda_library(), facts.has_driver && facts.library_error.empty());
  EXPECT_EQ(gpu_problem(facts).empty(), torch::cuda::is_available());
}

TEST(CudaLibrary, AMissingLibraryIsAnErrorThatSaysWhatForAndWhatToDo) {
  EXPECT_THAT(message_of<Error>(
                  [] { function_of_library("dnc_none.so", "make", "flying", "Build wings."); }),
              AllOf(HasSubstr("/lib/dnc-host/dnc_none.so: flying needs it, but it cannot be "
                              "opened: "),
                    testing::EndsWith(". Build wings.")));
  EXPECT_THAT(message_of<Error>([] {
                function_of_library("plugins/heads_linear.so", "make", "flying", "Build wings.");
              }),
              testing::EndsWith("plugins/heads_linear.so: has no make; build it anew"));
}

// Both libraries need LibTorch's CUDA half in the process, which is not there.
TEST(CudaLibrary, NcclAndGraphsWithoutAGpuAreErrors) {
  if (gpu_problem(cuda_facts()).empty()) GTEST_SKIP() << "there is a GPU";
  EXPECT_THAT(message_of<Error>([] {
                make_nccl(c10::make_intrusive<c10d::HashStore>(), 0, 1, std::chrono::seconds(1));
              }),
              AllOf(HasSubstr("dnc_nccl.so: training on several GPUs needs it, but it cannot be "
                              "opened: "),
                    testing::EndsWith("or use device: cpu.")));
  EXPECT_THAT(message_of<Error>([] { make_cuda_graph(torch::Device("cuda:0")); }),
              AllOf(HasSubstr("dnc_cuda_graph.so: train.cuda_graph needs it, but it cannot be "
                              "opened: "),
                    testing::EndsWith("or set train.cuda_graph: off.")));
}

}  // namespace
}  // namespace dnc
