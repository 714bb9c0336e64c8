#include "tests/golden/golden.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dnc {
namespace {

TEST(GoldenValues, AreThoseOfThePythonScripts) {
  const auto golden = Golden::load("backbones.txt");
  EXPECT_TRUE(is_close(golden_values("probe", {3, 5}), golden["values/probe"], 1e-8));
}

TEST(GoldenValues, DependOnNameAndPosition) {
  const auto values = golden_values("conv1.weight", {1000});
  EXPECT_FALSE(torch::equal(values, golden_values("conv2.weight", {1000})));
  EXPECT_TRUE(torch::equal(values.slice(0, 0, 10), golden_values("conv1.weight", {10})));
  EXPECT_LT(std::abs(values.mean().item<double>()), 0.1);
  EXPECT_NEAR(values.std().item<double>(), 1 / std::sqrt(3.0), 0.05);
  EXPECT_LT(values.abs().max().item<double>(), 1.0);
}

TEST(IsClose, RefusesAnotherShapeANumberTooFarAndNan) {
  const auto expected = torch::tensor({1.0, -4.0});
  EXPECT_TRUE(is_close(torch::tensor({1.3, -4.0}), expected, 0.1));
  EXPECT_FALSE(is_close(torch::tensor({1.5, -4.0}), expected, 0.1));
  EXPECT_FALSE(is_close(torch::tensor({1.0, std::nan("")}), expected, 0.1));
  EXPECT_FALSE(is_close(expected, torch::tensor({1.0, std::nan("")}), 0.1));
  EXPECT_FALSE(is_close(expected.unsqueeze(0), expected, 0.1));
  EXPECT_FALSE(is_close(torch::empty({0}), torch::empty({0}), 0.1));
}

TEST(Golden, NamesTheFileThatLacksATensor) {
  const auto golden = Golden::load("backbones.txt");
  EXPECT_THROW(golden["no/such/tensor"], std::out_of_range);
  EXPECT_THROW(Golden::load("no_such_file.txt"), std::runtime_error);
}

}  // namespace
}  // namespace dnc
