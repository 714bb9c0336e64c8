#include "host/out_of_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <new>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

std::string message(const std::function<void()>& work) {
  return message_of<Error>([&] { with_memory_advice("step 3", "Try less.", work); });
}

TEST(OutOfMemory, SaysWhatWasDoneHowMuchWasWantedAndWhatHelps) {
  EXPECT_EQ(message([] {
              TORCH_CHECK_WITH(OutOfMemoryError, false,
                               "CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines.");
            }),
            "out of memory in step 3: CUDA out of memory. Tried to allocate 2.00 GiB.\nTry less.");
  EXPECT_EQ(message([] { throw std::bad_alloc(); }), "out of memory in step 3\nTry less.");
}

TEST(OutOfMemory, OfTheMachineIsSaidToo) {
  const auto said = message([] { torch::empty({int64_t{1} << 55}); });
  EXPECT_THAT(said, testing::StartsWith("out of memory in step 3: "));
  EXPECT_THAT(said, testing::HasSubstr("you tried to allocate 144115188075855872 bytes"));
}

TEST(OutOfMemory, OtherErrorsStayAsTheyAre) {
  EXPECT_THROW(with_memory_advice("", "", [] { TORCH_CHECK(false, "shapes"); }), c10::Error);
  EXPECT_EQ(message([] { throw ConfigError("c.yaml: wrong"); }), "c.yaml: wrong");
  int calls = 0;
  with_memory_advice("", "", [&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace dnc
