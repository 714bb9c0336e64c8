#include "host/train/grad_scaler.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <limits>
#include <string>

#include "host/components/optimizers.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

GradScalerOptions golden_options() {
  GradScalerOptions options;
  options.initial_scale = 1024;
  options.growth_interval = 3;
  return options;
}

TEST(GradScaler, MatchesPyTorchTo1e6) {
  const auto golden = Golden::load("optim.txt");
  GradScaler scaler(golden_options(), torch::kCPU);
  auto parameter = torch::zeros({4}).requires_grad_();
  SGD::Options options;
  options.lr = 1;
  SGD sgd(options);
  sgd.set_groups({{{"p"}, {parameter}, 1, {}}});
  const std::string marks = "gggginggggggi";  // as in optim.py
  for (size_t step = 0; step < marks.size(); ++step) {
    const auto id = "scaler/" + std::to_string(step);
    auto gradient = golden_values(id, {4}) * 100;
    if (marks[step] == 'i') gradient[2] = std::numeric_limits<float>::infinity();
    if (marks[step] == 'n') gradient[2] = std::numeric_limits<float>::quiet_NaN();
    parameter.mutable_grad() = gradient;
    scaler.unscale({parameter.grad(), torch::Tensor()});
    EXPECT_EQ(scaler.found_inf().item<float>(), marks[step] == 'g' ? 0 : 1);
    sgd.step(1, {}, scaler.found_inf());
    scaler.update();
    EXPECT_EQ(scaler.value(), golden[id + "/scale"].item<double>()) << id;
    EXPECT_TRUE(
        torch::allclose(parameter.detach().to(torch::kFloat64), golden[id + "/parameter"], 0, 1e-6))
        << id;
  }
}

TEST(GradScaler, ScalesTheLossWithItsGraph) {
  const GradScaler scaler(golden_options(), torch::kCPU);
  const auto x = torch::ones({3}).requires_grad_();
  const auto loss = scaler.scale(x.sum());
  loss.backward();
  EXPECT_EQ(loss.item<float>(), 3 * 1024);
  EXPECT_TRUE(torch::equal(x.grad(), torch::full({3}, 1024.0)));
}

TEST(GradScaler, TakesGradientsOfSeveralTypesAndKeepsWhatWasFound) {
  GradScaler scaler(golden_options(), torch::kCPU);
  const auto half = torch::full({2}, 2048.0, torch::kFloat16);
  const auto single = torch::full({3}, 512.0, torch::kFloat32);
  scaler.unscale({half, single});
  EXPECT_TRUE(torch::equal(half, torch::full({2}, 2.0, torch::kFloat16)));
  EXPECT_TRUE(torch::equal(single, torch::full({3}, 0.5)));
  EXPECT_EQ(scaler.found_inf().item<float>(), 0);
  scaler.unscale({torch::full({1}, std::numeric_limits<float>::infinity())});
  scaler.unscale({torch::ones({1})});
  EXPECT_EQ(scaler.found_inf().item<float>(), 1);
  scaler.update();
  EXPECT_EQ(scaler.found_inf().item<float>(), 0);
  EXPECT_EQ(scaler.value(), 512);
}

TEST(GradScaler, ContinuesFromItsState) {
  GradScaler first(golden_options(), torch::kCPU);
  first.update();
  first.update();
  GradScaler second(golden_options(), torch::kCPU);
  const auto saved = first.state();
  auto filled = second.state();
  ASSERT_EQ(saved.size(), 2);
  for (size_t i = 0; i < saved.size(); ++i) filled[i].second.copy_(saved[i].second);
  second.update();  // the third good step in a row
  EXPECT_EQ(second.value(), 2048);
}

}  // namespace
}  // namespace dnc
