#include "host/train/ema.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/golden/golden.h"

namespace dnc {
namespace {

void set_parameters(const torch::nn::Module& model, int64_t step) {
  const torch::NoGradGuard no_grad;
  for (auto& item : model.named_parameters()) {
    item.value().copy_(
        golden_values("ema/" + std::to_string(step) + "/" + item.key(), item.value().sizes()));
  }
}

torch::Tensor average(Ema& ema, const std::string& name) {
  for (const auto& [key, tensor] : ema.state()) {
    if (key == "average." + name) return tensor;
  }
  throw std::out_of_range(name);
}

TEST(Ema, MatchesPyTorchTo1e6) {
  const auto golden = Golden::load("optim.txt");
  const torch::nn::Linear model(7, 3);
  set_parameters(*model, 0);
  EmaOptions options;
  options.decay = 0.9;
  Ema ema(*model, options);
  for (int64_t step = 1; step < 6; ++step) {
    set_parameters(*model, step);
    ema.update();
  }
  for (const std::string name : {"weight", "bias"}) {
    EXPECT_TRUE(is_close(average(ema, name), golden["ema/" + name], 1e-6)) << name;
  }
}

TEST(Ema, StaysAsItIsWhereTheStepWasLeftOut) {
  const torch::nn::Linear model(7, 3);
  set_parameters(*model, 0);
  Ema ema(*model, {});
  const auto start = average(ema, "weight").clone();
  set_parameters(*model, 1);
  ema.update(torch::tensor(true));
  EXPECT_TRUE(torch::equal(average(ema, "weight"), start));
  ema.update(torch::tensor(false));
  const auto expected = start + (model->weight.detach() - start) * 1e-3;
  EXPECT_TRUE(is_close(average(ema, "weight"), expected, 1e-7));
}

TEST(Ema, SwapsInPlaceAndRestoresBitForBit) {
  const torch::nn::Linear model(7, 3);
  Ema ema(*model, {});
  set_parameters(*model, 1);
  ema.update();
  const auto live = model->weight.detach().clone();
  const auto averaged = average(ema, "weight").clone();
  ASSERT_FALSE(torch::equal(live, averaged));
  const void* const memory = model->weight.data_ptr();
  {
    const AveragedParameters scope(&ema);
    EXPECT_TRUE(torch::equal(model->weight, averaged));
    EXPECT_TRUE(model->weight.requires_grad());
    EXPECT_THROW(ema.update(), c10::Error);
    EXPECT_THROW(ema.state(), c10::Error);
  }
  EXPECT_TRUE(torch::equal(model->weight, live));
  EXPECT_TRUE(torch::equal(average(ema, "weight"), averaged));
  EXPECT_EQ(model->weight.data_ptr(), memory);
  const AveragedParameters nothing(nullptr);
}

TEST(Ema, UpdatesAtEveryNthStepAndFasterInWarmup) {
  const torch::nn::Linear model(torch::nn::LinearOptions(1, 1).bias(false));
  const torch::NoGradGuard no_grad;
  model->weight.fill_(0);
  EmaOptions options;
  options.every = 2;
  options.decay = 0.15;
  options.warmup = 10;
  Ema ema(*model, options);
  model->weight.fill_(1);
  ema.update();
  EXPECT_EQ(average(ema, "weight").item<float>(), 0);
  ema.update();  // the first update keeps 1 / 10
  EXPECT_FLOAT_EQ(average(ema, "weight").item<float>(), 0.9F);
  model->weight.fill_(0);
  ema.update();
  ema.update();  // the second would keep 2 / 11, above the limit of 0.15
  EXPECT_FLOAT_EQ(average(ema, "weight").item<float>(), 0.9F * 0.15F);
}

TEST(Ema, ContinuesBitForBitFromItsState) {
  const torch::nn::Linear model(7, 3);
  EmaOptions options;
  options.every = 2;
  options.warmup = 10;
  Ema whole(*model, options);
  for (int64_t step = 0; step < 3; ++step) {
    set_parameters(*model, step);
    whole.update();
  }
  Ema second(*model, options);
  const auto saved = whole.state();
  auto filled = second.state();
  ASSERT_EQ(saved.size(), 3);
  for (size_t i = 0; i < saved.size(); ++i) {
    EXPECT_EQ(saved[i].first, filled[i].first);
    filled[i].second.copy_(saved[i].second);
  }
  for (int64_t step = 3; step < 8; ++step) {
    set_parameters(*model, step);
    whole.update();
    second.update();
  }
  EXPECT_TRUE(torch::equal(average(whole, "weight"), average(second, "weight")));
  EXPECT_FALSE(torch::equal(average(whole, "weight"), model->weight));
}

TEST(Ema, LeavesBuffersAloneAndTakesSharedParametersOnce) {
  struct Net : torch::nn::Module {
    Net() {
      bn = register_module("bn", torch::nn::BatchNorm1d(3));
      fc = register_module("fc", torch::nn::Linear(3, 3));
      register_module("tied", fc.ptr());
    }
    torch::nn::BatchNorm1d bn{nullptr};
    torch::nn::Linear fc{nullptr};
  };
  const Net net;
  Ema ema(net, {});
  EXPECT_EQ(ema.state().size(), 5);  // two of each layer, and the count
  const torch::NoGradGuard no_grad;
  net.bn->running_mean.fill_(3);
  ema.update();
  const AveragedParameters scope(&ema);
  EXPECT_TRUE(torch::equal(net.bn->running_mean, torch::full({3}, 3.0)));
}

}  // namespace
}  // namespace dnc
