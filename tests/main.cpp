#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace {

/// LibTorch's generator starts from a random seed: a test must see the same numbers in every run.
class SeedEachTest final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { torch::manual_seed(0); }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new SeedEachTest);
  return RUN_ALL_TESTS();
}
