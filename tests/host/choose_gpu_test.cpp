#include "host/choose_gpu.h"

#include <gtest/gtest.h>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

TEST(ChooseGpu, KnowsTheNamesOfGpus) {
  EXPECT_EQ(gpu_number("cuda"), 0);
  EXPECT_EQ(gpu_number("cuda:12"), 12);
  for (const char* other : {"auto", "cpu", "cuda:", "cuda:-1", "cuda:1x", "cuda:1000", "gpu", ""}) {
    EXPECT_FALSE(gpu_number(other)) << other;
  }
}

TEST(ChooseGpu, OneProcessTakesTheNamedOneOrTheFirst) {
  EXPECT_EQ(choose_gpu("auto", 4, 0, 1), 0);
  EXPECT_EQ(choose_gpu("cuda", 4, 0, 1), 0);
  EXPECT_EQ(choose_gpu("cuda:3", 4, 0, 1), 3);
}

TEST(ChooseGpu, EachOfSeveralTakesItsOwn) {
  EXPECT_EQ(choose_gpu("auto", 4, 2, 4), 2);
  EXPECT_EQ(choose_gpu("cuda", 4, 3, 4), 3);
  EXPECT_EQ(choose_gpu("cuda", 1, 3, 4), 0) << "the launcher shows each its own";
}

TEST(ChooseGpu, OneThatIsNotThereIsAnError) {
  EXPECT_EQ(message_of<OptionError>([] { choose_gpu("cuda:4", 4, 0, 1); }),
            "is 'cuda:4', but there are 4 GPUs, numbered from 0");
  EXPECT_EQ(message_of<OptionError>([] { choose_gpu("cuda", 2, 2, 4); }),
            "is 'cuda', GPU 2 for this rank, but there are 2 GPUs, numbered from 0");
  EXPECT_EQ(message_of<OptionError>([] { choose_gpu("cuda:1", 4, 1, 2); }),
            "is 'cuda:1', one GPU for the 2 ranks of this machine; use cuda, which gives each its "
            "own");
}

}  // namespace
}  // namespace dnc
