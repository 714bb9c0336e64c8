#include "host/train/parameter_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <string>
#include <vector>

#include "registry/error.h"

namespace dnc {
namespace {

using testing::ElementsAre;

/// A layer of a plugin's own.
struct RmsNormImpl : torch::nn::Module {
  RmsNormImpl() { register_parameter("scale", torch::ones({4})); }
};

struct Body : torch::nn::Module {
  Body() {
    register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3).bias(true)));
    register_module("bn", torch::nn::BatchNorm2d(4));
    register_module("ln", torch::nn::LayerNorm(torch::nn::LayerNormOptions({4})));
    register_module("rms", std::make_shared<RmsNormImpl>());
    register_parameter("in_proj_bias", torch::zeros({4}));
    register_parameter("position", torch::zeros({4}));
  }
};

struct Net : torch::nn::Module {
  Net() {
    backbone = register_module("backbone", std::make_shared<Body>());
    fc = register_module("fc", torch::nn::Linear(torch::nn::LinearOptions(4, 2).bias(false)));
  }
  std::shared_ptr<Body> backbone;
  torch::nn::Linear fc{nullptr};
};

std::vector<std::string> names_of(const torch::nn::Module& model) {
  std::vector<std::string> names;
  for (const auto& item : model.named_parameters()) names.push_back(item.key());
  return names;
}

TEST(ParameterGroups, AreOneWithoutRulesAndInTheModelsOrder) {
  const Net net;
  const auto groups = make_parameter_groups(net, {});
  ASSERT_EQ(groups.size(), 1);
  EXPECT_EQ(groups[0].names, names_of(net));
  EXPECT_EQ(groups[0].lr_scale, 1);
  EXPECT_EQ(groups[0].weight_decay, std::nullopt);
  const auto parameters = net.named_parameters();
  for (size_t i = 0; i < groups[0].names.size(); ++i) {
    EXPECT_TRUE(groups[0].parameters[i].is_same(parameters[groups[0].names[i]]));
  }
}

TEST(ParameterGroups, KnowNormalizationLayersByTypeAndBiasesByName) {
  const Net net;
  ParameterRules rules;
  rules.no_decay = {"norm"};
  auto groups = make_parameter_groups(net, rules);
  ASSERT_EQ(groups.size(), 2);
  EXPECT_EQ(groups[1].weight_decay, 0);
  EXPECT_THAT(groups[1].names,
              ElementsAre("backbone.bn.weight", "backbone.bn.bias", "backbone.ln.weight",
                          "backbone.ln.bias", "backbone.rms.scale"));
  rules.no_decay = {"bias"};
  groups = make_parameter_groups(net, rules);
  ASSERT_EQ(groups.size(), 2);
  EXPECT_EQ(groups[0].weight_decay, 0);
  EXPECT_THAT(groups[0].names, ElementsAre("backbone.in_proj_bias", "backbone.conv.bias",
                                           "backbone.bn.bias", "backbone.ln.bias"));
  rules.no_decay = {"*.pos*"};
  groups = make_parameter_groups(net, rules);
  ASSERT_EQ(groups.size(), 2);
  EXPECT_THAT(groups[1].names, ElementsAre("backbone.position"));
}

TEST(ParameterGroups, TakeTheFirstRuleThatMatches) {
  const Net net;
  ParameterRules rules;
  rules.rules = {{"backbone.conv.*", 0, std::nullopt}, {"backbone.*", 0.1, std::nullopt}};
  const auto groups = make_parameter_groups(net, rules);
  ASSERT_EQ(groups.size(), 3);
  EXPECT_EQ(groups[0].lr_scale, 0.1);
  EXPECT_EQ(groups[1].lr_scale, 0);
  EXPECT_THAT(groups[1].names, ElementsAre("backbone.conv.weight", "backbone.conv.bias"));
  EXPECT_EQ(groups[2].lr_scale, 1);
  EXPECT_THAT(groups[2].names, ElementsAre("fc.weight"));
}

TEST(ParameterGroups, JoinARulesLrWithNoDecayUnlessTheRuleHasAWeightDecay) {
  const Net net;
  ParameterRules rules;
  rules.no_decay = {"norm"};
  rules.rules = {{"backbone.ln.*", 0.1, 0.5}, {"backbone.bn.*", 0.1, std::nullopt}};
  const auto groups = make_parameter_groups(net, rules);
  ASSERT_EQ(groups.size(), 4);
  EXPECT_THAT(groups[1].names, ElementsAre("backbone.bn.weight", "backbone.bn.bias"));
  EXPECT_EQ(groups[1].lr_scale, 0.1);
  EXPECT_EQ(groups[1].weight_decay, 0);
  EXPECT_THAT(groups[2].names, ElementsAre("backbone.ln.weight", "backbone.ln.bias"));
  EXPECT_EQ(groups[2].weight_decay, 0.5);
  EXPECT_THAT(groups[3].names, ElementsAre("backbone.rms.scale"));
}

TEST(ParameterGroups, LeaveOutFrozenParametersAndTakeSharedOnesOnce) {
  Net net;
  for (auto& parameter : net.backbone->parameters()) parameter.set_requires_grad(false);
  net.register_module("tied", net.fc.ptr());
  ParameterRules rules;
  rules.rules = {{"backbone.*", 0.1, std::nullopt}};  // matches frozen ones: no error
  const auto groups = make_parameter_groups(net, rules);
  ASSERT_EQ(groups.size(), 1);
  EXPECT_THAT(groups[0].names, ElementsAre("fc.weight"));
}

void expect_refusal(const ParameterRules& rules, const std::string& option,
                    const std::string& text) {
  try {
    make_parameter_groups(Net(), rules);
    FAIL() << "did not throw";
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), option);
    EXPECT_EQ(error.what(), text);
  }
}

TEST(ParameterGroups, RefuseAPatternThatMatchesNothing) {
  ParameterRules rules;
  rules.rules = {{"fc.*", 1, std::nullopt}, {"bakcbone.*", 0.1, std::nullopt}};
  expect_refusal(rules, "rules.1.match",
                 "'bakcbone.*' matches no parameter; did you mean 'backbone.*'? (names of "
                 "parameters begin with: backbone, fc)");
  rules = {};
  rules.no_decay = {"norm", "fc.wieght"};
  expect_refusal(rules, "no_decay.1",
                 "'fc.wieght' matches no parameter; did you mean 'fc.weight'? (names of "
                 "parameters begin with: backbone, fc)");
  rules.no_decay = {"*.cls_token"};
  expect_refusal(rules, "no_decay.0",
                 "'*.cls_token' matches no parameter (names of parameters begin with: backbone, "
                 "fc)");
}

TEST(ParameterGroups, AllowNormAndBiasForAModelWithoutAny) {
  const torch::nn::Linear linear(torch::nn::LinearOptions(2, 2).bias(false));
  ParameterRules rules;
  rules.no_decay = {"norm", "bias"};
  const auto groups = make_parameter_groups(*linear, rules);
  ASSERT_EQ(groups.size(), 1);
  EXPECT_EQ(groups[0].weight_decay, std::nullopt);
}

}  // namespace
}  // namespace dnc
