#include "host/components/optimizers.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "registry/error.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

using Make = std::function<std::unique_ptr<Optimizer>()>;

std::unique_ptr<Optimizer> sgd(double lr, double momentum = 0, double dampening = 0,
                               double weight_decay = 0, bool nesterov = false) {
  SGD::Options options;
  options.lr = lr;
  options.momentum = momentum;
  options.dampening = dampening;
  options.weight_decay = weight_decay;
  options.nesterov = nesterov;
  return std::make_unique<SGD>(options);
}

template <typename T>
std::unique_ptr<Optimizer> adam(bool with_decay) {
  typename T::Options options;
  options.lr = 1e-2;
  if (with_decay) {
    options.betas = {0.8, 0.95};
    options.eps = 1e-6;
    options.weight_decay = 0.05;
  }
  return std::make_unique<T>(options);
}

std::unique_ptr<Optimizer> lamb(const LAMB::Options& options) {
  return std::make_unique<LAMB>(options);
}

/// The option sets of tests/golden/optim.py.
std::map<std::string, Make> option_sets() {
  return {{"sgd/plain", [] { return sgd(0.1); }},
          {"sgd/momentum", [] { return sgd(0.1, 0.9); }},
          {"sgd/nesterov", [] { return sgd(0.05, 0.8, 0, 0.01, true); }},
          {"sgd/dampening", [] { return sgd(0.1, 0.9, 0.3, 0.01); }},
          {"adam/default", [] { return adam<Adam>(false); }},
          {"adam/decay", [] { return adam<Adam>(true); }},
          {"adamw/default", [] { return adam<AdamW>(false); }},
          {"adamw/decay", [] { return adam<AdamW>(true); }},
          {"lamb/default", [] { return lamb({.lr = 1e-2}); }},
          {"lamb/clip",
           [] {
             return lamb({.lr = 1e-2,
                          .betas = {0.8, 0.95},
                          .weight_decay = 0,
                          .max_grad_norm = 0,
                          .trust_clip = true,
                          .always_adapt = true});
           }},
          {"lamb/sum", [] {
             return lamb(
                 {.lr = 5e-3, .weight_decay = 0.05, .grad_averaging = false, .max_grad_norm = 2.5});
           }}};
}

constexpr int64_t kSteps = 10;

/// How the parameters lie in memory; strided ones cannot be given to the fused operators.
enum class Layout { kDense, kStrided };

torch::Tensor place(const torch::Tensor& values, Layout layout) {
  if (layout == Layout::kDense || values.dim() == 0) return values.clone();
  auto sizes = values.sizes().vec();
  sizes.back() *= 2;
  return torch::zeros(sizes).slice(-1, 0, sizes.back(), 2).copy_(values);
}

/// The parameters, groups and gradients of tests/golden/optim.py.
struct Training {
  explicit Training(const Make& make, Layout layout = Layout::kDense) : optimizer(make()) {
    const std::map<std::string, std::vector<int64_t>> shapes = {
        {"a", {37, 5}}, {"b", {19}}, {"c", {6, 4, 1, 1}}, {"d", {}}, {"e", {3, 5, 3, 3}}};
    for (const auto& [name, shape] : shapes) {
      parameters[name] = place(golden_values("parameter/" + name, shape), layout).requires_grad_();
    }
    std::vector<ParameterGroup> groups(2);
    for (const std::string name : {"a", "b", "d"}) add(groups[0], name);
    for (const std::string name : {"c", "e"}) add(groups[1], name);
    groups[1].lr_scale = 0.1;
    groups[1].weight_decay = 0.2;
    optimizer->set_groups(groups);
  }

  void add(ParameterGroup& group, const std::string& name) {
    group.names.push_back(name);
    group.parameters.push_back(parameters.at(name));
  }

  void set_gradients(int64_t step, double factor = 1) {
    for (auto& [name, parameter] : parameters) {
      const bool missing = (name == "b" && step % 3 == 1) || (name == "c" && step < 3);
      parameter.mutable_grad() =
          missing
              ? torch::Tensor()
              : golden_values("gradient/" + std::to_string(step) + "/" + name, parameter.sizes()) *
                    factor;
    }
  }

  void step(int64_t step) {
    set_gradients(step);
    optimizer->step(1 - 0.05 * static_cast<double>(step), {}, {});
  }

  std::map<std::string, torch::Tensor> state() {
    std::map<std::string, torch::Tensor> all;
    for (const auto& [name, tensor] : optimizer->state()) all[name] = tensor;
    return all;
  }

  std::unique_ptr<Optimizer> optimizer;
  std::map<std::string, torch::Tensor> parameters;
};

void expect_equal(Training& a, Training& b) {
  for (const auto& [name, parameter] : a.parameters) {
    EXPECT_TRUE(torch::equal(parameter, b.parameters.at(name))) << name;
  }
  const auto state = b.state();
  for (const auto& [name, tensor] : a.state()) {
    EXPECT_TRUE(torch::equal(tensor, state.at(name))) << name;
  }
}

class Optimizers : public testing::TestWithParam<std::string> {
 protected:
  Make make() const { return option_sets().at(GetParam()); }
};

void expect_golden(const std::string& id, const Make& make, Layout layout) {
  const auto golden = Golden::load("optim.txt");
  Training run(make, layout);
  for (int64_t step = 0; step < kSteps; ++step) {
    run.step(step);
    for (const auto& [name, parameter] : run.parameters) {
      const auto key = id + "/" + std::to_string(step) + "/" + name;
      if (!golden.contains(key)) continue;
      EXPECT_TRUE(is_close(parameter, golden[key], 1e-6)) << key;
    }
  }
  EXPECT_TRUE(golden.contains(id + "/9/a"));
  auto names = golden.names(id + "/state/");
  EXPECT_EQ(names.empty(), id == "sgd/plain");
  const auto state = run.state();
  for (const auto& name : names) {
    EXPECT_TRUE(is_close(state.at(name), golden[id + "/state/" + name], 1e-6)) << name;
  }
}

// LAMB has none and takes the others; its peer is timm.
TEST_P(Optimizers, MatchPyTorchTo1e6ByFusedOperators) {
  expect_golden(GetParam(), make(), Layout::kDense);
}

TEST_P(Optimizers, MatchPyTorchTo1e6ByForeachOperators) {
  expect_golden(GetParam(), make(), Layout::kStrided);
}

TEST_P(Optimizers, RepeatBitForBitWithAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  Training one(make());
  at::set_num_threads(1);
  for (int64_t step = 0; step < kSteps; ++step) one.step(step);
  Training two(make());
  at::set_num_threads(2);
  for (int64_t step = 0; step < kSteps; ++step) two.step(step);
  at::set_num_threads(threads);
  expect_equal(one, two);
}

TEST_P(Optimizers, ResumeBitForBitFromTheirStateAtAnyStep) {
  // Step 2: "c" has had no gradient yet.
  for (const int64_t stop : {0, 2, 7}) {
    Training whole(make());
    Training second(make());
    for (int64_t step = 0; step < stop; ++step) whole.step(step);
    const torch::NoGradGuard no_grad;
    for (auto& [name, parameter] : second.parameters) parameter.copy_(whole.parameters.at(name));
    const auto saved = whole.state();
    for (auto& [name, tensor] : second.state()) tensor.copy_(saved.at(name));
    for (int64_t step = stop; step < kSteps; ++step) {
      whole.step(step);
      second.step(step);
    }
    expect_equal(whole, second);
  }
}

TEST_P(Optimizers, LeaveEverythingAsItIsWhereFoundInfIsOne) {
  for (const auto layout : {Layout::kDense, Layout::kStrided}) {
    Training plain(make(), layout);
    Training skipping(make(), layout);
    for (int64_t step = 0; step < kSteps; ++step) {
      plain.step(step);
      // Before the first good step, too.
      skipping.set_gradients(step, std::numeric_limits<double>::infinity());
      skipping.optimizer->step(1, {}, torch::ones({}));
      skipping.set_gradients(step);
      skipping.optimizer->step(1 - 0.05 * static_cast<double>(step), {}, torch::zeros({}));
    }
    expect_equal(plain, skipping);
  }
}

TEST_P(Optimizers, DivideGradientsByGradScale) {
  for (const auto layout : {Layout::kDense, Layout::kStrided}) {
    Training plain(make(), layout);
    Training scaled(make(), layout);
    for (int64_t step = 0; step < kSteps; ++step) {
      plain.step(step);
      scaled.set_gradients(step, 1024);  // a power of two: exact
      scaled.optimizer->step(1 - 0.05 * static_cast<double>(step), torch::full({}, 1024.0),
                             torch::zeros({}));
    }
    expect_equal(plain, scaled);
  }
}

TEST_P(Optimizers, TakeChannelsLastParametersWithGradientsOfAnyLayout) {
  const auto values = golden_values("values", {4, 3, 2, 2});
  const auto run = [&](at::MemoryFormat parameters, at::MemoryFormat gradients) {
    auto parameter = values.clone(parameters).requires_grad_();
    const auto optimizer = make()();
    optimizer->set_groups({{{"p"}, {parameter}, 1, {}}});
    for (int64_t step = 0; step < 3; ++step) {
      parameter.mutable_grad() =
          golden_values("gradient" + std::to_string(step), {4, 3, 2, 2}).clone(gradients);
      optimizer->step(1, {}, {});
    }
    return parameter;
  };
  const auto plain = at::MemoryFormat::Contiguous;
  const auto channels_last = at::MemoryFormat::ChannelsLast;
  const auto expected = run(plain, plain);
  EXPECT_FALSE(torch::equal(expected, values));
  for (const auto gradients : {plain, channels_last}) {
    const auto found = run(channels_last, gradients);
    EXPECT_TRUE(found.is_contiguous(channels_last));
    EXPECT_TRUE(torch::allclose(found, expected, 0, 1e-7));
  }
}

TEST_P(Optimizers, TakeParametersOfSeveralTypesInOneGroup) {
  const std::vector<torch::ScalarType> types = {torch::kFloat32, torch::kBFloat16, torch::kFloat64,
                                                torch::kFloat16, torch::kFloat32};
  std::vector<torch::Tensor> parameters;
  const auto optimizer = make()();
  ParameterGroup group;
  for (size_t i = 0; i < types.size(); ++i) {
    group.names.push_back("parameter" + std::to_string(i));
    group.parameters.push_back(golden_values("p", {33}).to(types[i]).requires_grad_());
  }
  optimizer->set_groups({group});
  for (int64_t step = 0; step < 3; ++step) {
    for (auto& parameter : group.parameters) {
      parameter.mutable_grad() =
          golden_values("gradient" + std::to_string(step), {33}).to(parameter.scalar_type());
    }
    optimizer->step(1, {}, {});
  }
  const auto& exact = group.parameters[2];
  EXPECT_TRUE(is_close(group.parameters[0], exact, 1e-6));
  EXPECT_TRUE(torch::equal(group.parameters[0], group.parameters[4]));
  EXPECT_TRUE(is_close(group.parameters[1], exact, 3e-2));
  EXPECT_TRUE(is_close(group.parameters[3], exact, 3e-3));
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  const auto slash = info.param.find('/');
  return info.param.substr(0, slash) + '_' + info.param.substr(slash + 1);
}

INSTANTIATE_TEST_SUITE_P(All, Optimizers,
                         testing::Values("sgd/plain", "sgd/momentum", "sgd/nesterov",
                                         "sgd/dampening", "adam/default", "adam/decay",
                                         "adamw/default", "adamw/decay", "lamb/default",
                                         "lamb/clip", "lamb/sum"),
                         test_name);

TEST(SGD, KeepsOnlyTheStateThatItsOptionsNeed) {
  const auto names = [](const Make& make) {
    auto parameter = torch::zeros({2}).requires_grad_();
    const auto optimizer = make();
    optimizer->set_groups({{{"w"}, {parameter}, 1, {}}});
    std::vector<std::string> all;
    for (const auto& [name, tensor] : optimizer->state()) all.push_back(name);
    return all;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names([] { return sgd(0.1); }), Names());
  EXPECT_EQ(names([] { return sgd(0.1, 0.9); }), Names({"momentum.w"}));
  EXPECT_EQ(names([] { return sgd(0.1, 0.9, 0.5); }), Names({"momentum.w", "step.w"}));
  EXPECT_EQ(names([] { return adam<AdamW>(false); }),
            Names({"exp_avg.w", "exp_avg_sq.w", "step.w"}));
  EXPECT_EQ(names([] { return lamb({}); }), Names({"exp_avg.w", "exp_avg_sq.w", "step.w"}));
}

TEST(LAMB, ParametersMoveByAShareOfTheirLengthWhateverTheirGradientsAre) {
  // The first update of Adam is 1 in each element, so |p| / |u| * u is the root mean square of p.
  for (const double scale : {1.0, 100.0}) {
    auto parameter = torch::tensor({3.0, 4.0, 0.0, 0.0}).requires_grad_();
    const auto optimizer = lamb({.lr = 0.1, .eps = 0, .weight_decay = 0, .always_adapt = true});
    optimizer->set_groups({{{"w"}, {parameter}, 1, {}}});
    parameter.mutable_grad() = torch::tensor({1.0, -1.0, 2.0, -2.0}) * scale;
    optimizer->step(0.5, {}, {});
    EXPECT_TRUE(is_close(parameter, torch::tensor({2.875, 4.125, -0.125, 0.125}), 1e-6)) << scale;
  }
}

TEST(LAMB, ParametersOfLengthZeroLeaveIt) {
  auto parameter = torch::zeros({3}).requires_grad_();
  const auto optimizer = lamb({.lr = 0.1, .eps = 0});
  optimizer->set_groups({{{"w"}, {parameter}, 1, {}}});
  parameter.mutable_grad() = torch::tensor({0.5, -0.5, 0.5});
  optimizer->step(1, {}, {});
  EXPECT_TRUE(is_close(parameter, torch::tensor({-0.1, 0.1, -0.1}), 1e-6));
}

TEST(LAMB, ClipsTheGradientsOfAllGroupsTogether) {
  auto first = torch::zeros({1}).requires_grad_();
  auto second = torch::zeros({1}, torch::kFloat64).requires_grad_();
  const auto optimizer = lamb({.betas = {0, 0.5}, .max_grad_norm = 1});
  optimizer->set_groups({{{"a"}, {first}, 1, {}}, {{"b"}, {second}, 0.5, {}}});
  first.mutable_grad() = torch::full({1}, 3.0f);
  second.mutable_grad() = torch::full({1}, 4.0, torch::kFloat64);
  optimizer->step(1, {}, {});
  std::map<std::string, torch::Tensor> state;
  for (const auto& [name, tensor] : optimizer->state()) state[name] = tensor;
  EXPECT_NEAR(state.at("exp_avg.a").item<double>(), 0.6, 1e-6);
  EXPECT_NEAR(state.at("exp_avg.b").item<double>(), 0.8, 1e-6);
  EXPECT_EQ(first.grad().item<double>(), 3) << "the gradients themselves stay";
}

TEST(SGD, RefusesNesterovWithoutMomentumOrWithDampening) {
  for (const auto& [momentum, dampening] : {std::pair(0.0, 0.0), std::pair(0.9, 0.1)}) {
    try {
      sgd(0.1, momentum, dampening, 0, true);
      FAIL() << "did not throw";
    } catch (const OptionError& error) {
      EXPECT_EQ(error.option(), "nesterov");
      EXPECT_STREQ(error.what(), "needs momentum above 0 and dampening 0");
    }
  }
}

TEST(SGD, StepsByTheBaseLrTimesTheFactorTimesTheGroupsScale) {
  auto parameter = torch::zeros({1}).requires_grad_();
  const auto optimizer = sgd(0.5);
  EXPECT_EQ(optimizer->base_lr(), 0.5);
  optimizer->set_base_lr(8);
  EXPECT_EQ(optimizer->base_lr(), 8);
  optimizer->set_groups({{{"w"}, {parameter}, 0.25, {}}});
  parameter.mutable_grad() = torch::ones({1});
  optimizer->step(0.5, {}, {});
  EXPECT_EQ(parameter.item<float>(), -1);
}

TEST(SGD, DoesNotKeepGradientsAlive) {
  auto parameter = torch::zeros({1}).requires_grad_();
  const auto optimizer = sgd(0.5, 0.9);
  optimizer->set_groups({{{"w"}, {parameter}, 1, {}}});
  const auto gradient = torch::ones({1});
  parameter.mutable_grad() = gradient;
  optimizer->step(1, {}, {});
  parameter.mutable_grad() = torch::Tensor();
  EXPECT_EQ(gradient.use_count(), 1);
}

}  // namespace
}  // namespace dnc
