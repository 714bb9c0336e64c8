#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <tuple>

#include "plugins/backbones/resnet/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"
#include "tests/plugins/traced.h"

namespace dnc {
namespace {

const std::vector<int64_t> kLarge = {2, 3, 67, 53};
const std::vector<int64_t> kSmall = {2, 3, 29, 22};

ResNet::Options all_stages(int64_t depth, ResNet::Stem stem = ResNet::Stem::kImageNet) {
  ResNet::Options options;
  options.depth = depth;
  options.stem = stem;
  options.out_stages = {0, 1, 2, 3};
  return options;
}

ResNet::Options narrow() {
  auto options = all_stages(18, ResNet::Stem::kCifar);
  options.width = 4;
  return options;
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(ResNet, Depth18MatchesTorchvision) {
  ResNet net(all_stages(18));
  expect_golden(Golden::load("backbones.txt"), "resnet18", net, kLarge);
}

TEST(ResNet, Depth34MatchesTorchvision) {
  ResNet net(all_stages(34));
  expect_golden(Golden::load("backbones.txt"), "resnet34", net, kLarge);
}

TEST(ResNet, Depth50MatchesTorchvision) {
  ResNet net(all_stages(50));
  expect_golden(Golden::load("backbones.txt"), "resnet50", net, kLarge);
}

TEST(ResNet, Depth18WithCifarStemMatchesReference) {
  ResNet net(all_stages(18, ResNet::Stem::kCifar));
  expect_golden(Golden::load("backbones.txt"), "resnet18_cifar", net, kSmall);
}

TEST(ResNet, Depth50WithCifarStemMatchesReference) {
  ResNet net(all_stages(50, ResNet::Stem::kCifar));
  expect_golden(Golden::load("backbones.txt"), "resnet50_cifar", net, kSmall);
}

/// A relative of ResNet against the golden values of resnet_variants.py.
void expect_variant(const std::string& name, ResNet::Options options) {
  options.out_stages = {0, 1, 2, 3};
  ResNet net(options);
  const auto golden = Golden::load("resnet_variants.txt");
  EXPECT_EQ(parameter_count(net), golden[name + "/parameters"].item<int64_t>());
  if (!golden.names(name + "/state/").empty()) expect_state(golden, name, net);
  expect_golden(golden, name, net, kLarge);
}

ResNet::Options dilated(int64_t depth) {
  auto options = all_stages(depth);
  options.strides = {1, 2, 1, 1};
  options.dilations = {1, 1, 2, 4};
  return options;
}

TEST(ResNet, V1cMatchesTimm) { expect_variant("resnet50c", ResNetV1c::Options()); }

TEST(ResNet, V1dMatchesTimm) { expect_variant("resnet50d", ResNetV1d::Options()); }

TEST(ResNet, V1dOfBasicBlocksMatchesTimm) {
  ResNetV1d::Options options;
  options.depth = 18;
  expect_variant("resnet18d", options);
}

TEST(ResNet, ResNeXtMatchesTorchvision) { expect_variant("resnext50_32x4d", ResNeXt::Options()); }

TEST(ResNet, WideMatchesTorchvision) {
  ResNet::Options options;
  options.base_width = 128;
  expect_variant("wide_resnet50_2", options);
}

TEST(ResNet, DilatedMatchesTorchvisionWithContractedDilations) {
  auto options = dilated(50);
  options.contract_dilation = true;
  expect_variant("resnet50_contracted", options);
}

TEST(ResNet, DilatedMatchesReference) { expect_variant("resnet50_dilated", dilated(50)); }

TEST(ResNet, DilatedOfBasicBlocksMatchesReference) {
  expect_variant("resnet18_dilated", dilated(18));
}

TEST(ResNet, V1MatchesReference) {
  ResNet::Options options;
  options.style = StrideIn::kFirst;
  expect_variant("resnet50_caffe", options);
}

TEST(ResNet, WithGroupNormsMatchesTorchvision) {
  ResNet::Options options;
  options.depth = 18;
  options.norm.type = NormOptions::Type::kGroup;
  options.norm.groups = 8;
  expect_variant("resnet18_group", options);
}

TEST(ResNet, LargeVariantsHaveTheNumberOfParametersOfTorchvisionAndTimm) {
  const auto golden = Golden::load("resnet_variants.txt");
  const auto expect_count = [&](const std::string& name, ResNet::Options options) {
    EXPECT_EQ(parameter_count(ResNet(options)), golden[name + "/parameters"].item<int64_t>())
        << name;
  };
  for (const int64_t depth : {101, 152}) {
    ResNetV1d::Options options;
    options.depth = depth;
    expect_count("resnet" + std::to_string(depth) + "d", options);
  }
  for (const auto& [name, groups, width] :
       std::vector<std::tuple<std::string, int64_t, int64_t>>{{"resnext101_32x8d", 32, 8},
                                                              {"resnext101_64x4d", 64, 4},
                                                              {"wide_resnet101_2", 1, 128}}) {
    ResNet::Options options;
    options.depth = 101;
    options.groups = groups;
    options.base_width = width;
    expect_count(name, options);
  }
}

TEST(ResNet, SyncBatchNormIsBatchNormInOneProcess) {
  auto options = narrow();
  ResNet batch(options);
  options.norm.type = NormOptions::Type::kSyncBatch;
  ResNet sync(options);
  expect_maps_of(batch, sync, {0, 1, 2, 3}, kSmall);
}

TEST(ResNet, NormsThatRequireNoGradientKeepTheirWeights) {
  auto options = narrow();
  options.norm.requires_grad = false;
  const ResNet net(options);
  for (const auto& item : net.named_parameters()) {
    EXPECT_EQ(item.value().requires_grad(), item.value().dim() == 4) << item.key();
  }
}

TEST(ResNet, HasTorchvisionsNumberOfParameters) {
  const auto golden = Golden::load("backbones.txt");
  for (const int64_t depth : {18, 34, 50, 101, 152}) {
    const ResNet net(all_stages(depth));
    const auto name = "resnet" + std::to_string(depth) + "/parameters";
    EXPECT_EQ(parameter_count(net), golden[name].item<int64_t>()) << name;
  }
}

TEST(ResNet, HasTorchvisionsNamesAndShapesInItsOrder) {
  const auto golden = Golden::load("backbones.txt");
  for (const int64_t depth : {18, 50}) {
    const ResNet net(all_stages(depth));
    const auto prefix = "resnet" + std::to_string(depth) + "/state/";
    std::set<std::string> expected;
    std::vector<std::string> expected_parameters;
    for (const auto& name : golden.names(prefix)) {
      expected.insert(name);
      const bool buffer = name.find(".running_") != std::string::npos ||
                          name.find(".num_batches_tracked") != std::string::npos;
      if (!buffer) expected_parameters.push_back(name);
    }
    auto state = net.named_parameters();
    EXPECT_EQ(state.keys(), expected_parameters);
    state.update(net.named_buffers());
    const auto keys = state.keys();
    ASSERT_EQ(std::set<std::string>(keys.begin(), keys.end()), expected);
    for (const auto& item : state) {
      const auto shape = torch::tensor(item.value().sizes().vec(), torch::kFloat64);
      EXPECT_TRUE(torch::equal(shape, golden[prefix + item.key()])) << item.key();
    }
  }
}

TEST(ResNet, GivesTheMapsThatShapesPromise) {
  for (const auto stem : {ResNet::Stem::kImageNet, ResNet::Stem::kCifar}) {
    for (const int64_t depth : {18, 50}) {
      auto options = all_stages(depth, stem);
      options.width = 8;
      ResNet net(options);
      expect_shapes(net, 64, 64);
      expect_shapes(net, 28, 28);
      expect_shapes(net, 33, 51);
      expect_shapes(net, 1, 1);
    }
  }
}

TEST(ResNet, GivesTheMapsThatShapesPromiseForOtherStrides) {
  auto options = dilated(50);
  options.width = 8;
  options.deep_stem = options.avg_down = true;
  ResNet net(options);
  EXPECT_EQ(net.shapes().back().stride, 8);
  expect_shapes(net, 64, 64);
  expect_shapes(net, 33, 51);
}

TEST(ResNet, BuildsNoStageAfterTheLastThatIsAskedFor) {
  auto options = narrow();
  options.out_stages = {0, 2};
  ResNet net(options);
  expect_shapes(net, 32, 32);
  EXPECT_FALSE(net.named_children().contains("layer4"));

  ResNet whole(narrow());
  fill(net);
  fill(whole);
  net.eval();
  whole.eval();
  const auto images = golden_images(kSmall);
  const auto maps = net.forward(images);
  const auto all = whole.forward(images);
  ASSERT_EQ(maps.size(), 2);
  EXPECT_TRUE(torch::equal(maps[0], all[0]));
  EXPECT_TRUE(torch::equal(maps[1], all[2]));
}

TEST(ResNet, ReturnsTheLastMapByDefault) {
  const ResNet::Options defaults;
  EXPECT_EQ(defaults.out_stages, std::vector<int64_t>{3});
  EXPECT_EQ(defaults.stem, ResNet::Stem::kImageNet);
  EXPECT_EQ(ResNetCifarStem::Options().stem, ResNet::Stem::kCifar);
}

TEST(ResNet, DrawsConvolutionsByKaimingNormalOverFanOut) {
  torch::manual_seed(1);
  const ResNet net(all_stages(18));
  for (const auto& item : net.named_parameters()) {
    const auto& value = item.value();
    if (value.dim() == 4) {
      const auto expected = std::sqrt(2.0 / static_cast<double>(value.numel() / value.size(1)));
      EXPECT_NEAR(value.std().item<double>() / expected, 1, 0.05) << item.key();
      EXPECT_NEAR(value.mean().item<double>() / expected, 0, 0.05) << item.key();
    } else {
      const double expected = item.key().find("weight") != std::string::npos ? 1 : 0;
      EXPECT_TRUE((value == expected).all().item<bool>()) << item.key();
    }
  }
}

TEST(ResNet, ZeroInitResidualBeginsBlocksAsTheirShortcuts) {
  for (const int64_t depth : {18, 50}) {
    auto options = narrow();
    options.depth = depth;
    options.zero_init_residual = true;
    const ResNet net(options);
    const std::string last = depth == 18 ? ".bn2.weight" : ".bn3.weight";
    int64_t zeros = 0;
    for (const auto& item : net.named_parameters()) {
      if (item.value().dim() != 1 || item.key().find("weight") == std::string::npos) continue;
      const bool is_last = item.key().find(last) != std::string::npos;
      zeros += is_last;
      EXPECT_TRUE((item.value() == (is_last ? 0.0 : 1.0)).all().item<bool>()) << item.key();
    }
    EXPECT_EQ(zeros, depth == 18 ? 8 : 16);
  }
}

// Names of the parameters that got a gradient and of the buffers that changed in a training step.
std::set<std::string> what_learns(ResNet& net) {
  std::map<std::string, torch::Tensor> before;
  for (const auto& item : net.named_buffers()) before[item.key()] = item.value().clone();
  net.eval();  // a round trip must not thaw what is frozen
  net.train();
  const auto maps = net.forward(golden_values("images", {4, 3, 16, 16}));
  maps.back().sum().backward();
  std::set<std::string> names;
  for (const auto& item : net.named_parameters()) {
    if (item.value().grad().defined()) names.insert(item.key());
  }
  for (const auto& item : net.named_buffers()) {
    if (!torch::equal(item.value(), before[item.key()])) names.insert(item.key());
  }
  return names;
}

TEST(ResNet, FrozenStagesNeitherLearnNorChangeTheirStatistics) {
  for (int64_t frozen = -1; frozen <= 4; ++frozen) {
    auto options = narrow();
    options.frozen_stages = frozen;
    ResNet net(options);
    std::set<std::string> expected;
    auto state = net.named_parameters();
    state.update(net.named_buffers());
    for (const auto& name : state.keys()) {
      const bool stem = name.rfind("layer", 0) != 0;
      const int64_t stage = stem ? 0 : name[5] - '0';
      if (stage > frozen) expected.insert(name);
    }
    if (frozen == 4) {
      EXPECT_TRUE(expected.empty());
      for (const auto& parameter : net.parameters()) EXPECT_FALSE(parameter.requires_grad());
      net.train();
      const auto before = net.named_buffers()["layer4.1.bn2.running_mean"].clone();
      EXPECT_FALSE(net.forward(golden_values("images", {4, 3, 16, 16})).back().requires_grad());
      EXPECT_TRUE(torch::equal(net.named_buffers()["layer4.1.bn2.running_mean"], before));
      continue;
    }
    EXPECT_EQ(what_learns(net), expected) << "frozen_stages " << frozen;
  }
}

TEST(ResNet, NormEvalKeepsStatisticsAndLearnsAllParameters) {
  auto options = narrow();
  options.norm_eval = true;
  ResNet net(options);
  const auto names = net.named_parameters().keys();
  EXPECT_EQ(what_learns(net), std::set<std::string>(names.begin(), names.end()));
}

std::vector<double> drop_rates(const ResNet& net) {
  std::vector<double> rates;
  for (const auto& module : net.modules(/*include_self=*/false)) {
    const auto block = std::dynamic_pointer_cast<ResidualBlock>(module);
    if (block) rates.push_back(block->drop_rate());
  }
  return rates;
}

TEST(ResNet, RatesOfStochasticDepthAreTimms) {
  const auto golden = Golden::load("resnet_variants.txt");
  for (const int64_t depth : {18, 50}) {
    auto options = all_stages(depth);
    options.stochastic_depth = 0.2;
    const auto rates = drop_rates(ResNet(options));
    const auto name = "resnet" + std::to_string(depth) + "/drop_rates";
    EXPECT_TRUE(is_close(torch::tensor(rates, torch::kDouble), golden[name], 1e-8)) << name;
    // Stages that are not built count as well.
    options.out_stages = {1};
    const auto first = drop_rates(ResNet(options));
    EXPECT_EQ(first, std::vector<double>(rates.begin(), rates.begin() + std::ssize(first)));
  }
}

TEST(ResNet, StochasticDepthSkipsBlocksAtRandomInTrainingOnly) {
  auto options = narrow();
  options.stochastic_depth = 0.5;
  ResNet net(options);
  expect_random_in_training_only(net, {4, 3, 16, 16});
}

TEST(ResNet, StochasticDepthNearOneLeavesTheShortcutOfTheLastBlock) {
  auto options = narrow();
  options.stochastic_depth = 1 - 1e-7;
  ResNet net(options);
  torch::manual_seed(1);
  net.train();
  const auto map = net.forward(golden_values("images", {4, 3, 16, 16})).back();
  EXPECT_TRUE(map.isfinite().all().item<bool>());
  map.sum().backward();
  for (const auto& item : net.named_parameters()) {
    const auto& gradient = item.value().grad();
    ASSERT_TRUE(gradient.isfinite().all().item<bool>()) << item.key();
    // The last block passes its input on; the first, at rate 0, learns.
    if (item.key().starts_with("layer4.1.")) {
      EXPECT_FALSE(gradient.any().item<bool>()) << item.key();
    }
    if (item.key() == "layer1.0.conv1.weight") {
      EXPECT_TRUE(gradient.any().item<bool>());
    }
  }
}

TEST(ResNet, FrozenBlocksAreNotSkippedAtRandom) {
  auto options = narrow();
  options.stochastic_depth = 0.5;
  options.frozen_stages = 4;
  ResNet net(options);
  net.train();
  const auto images = golden_values("images", {4, 3, 16, 16});
  EXPECT_TRUE(torch::equal(net.forward(images).back(), net.forward(images).back()));
}

TEST(ResNet, KeepsChannelsLast) {
  ResNet net(narrow());
  net.eval();
  const auto images = golden_values("images", kSmall);
  const auto expected = net.forward(images);
  for (const auto& parameter : net.parameters()) {
    if (parameter.dim() == 4) {
      parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
  const auto maps = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast));
  for (size_t i = 0; i < maps.size(); ++i) {
    EXPECT_TRUE(maps[i].is_contiguous(torch::MemoryFormat::ChannelsLast)) << "map " << i;
    EXPECT_TRUE(is_close(maps[i], expected[i], 1e-5)) << "map " << i;
  }
}

TEST(ResNet, IsTracedForAnySize) {
  ResNet net(narrow());
  net.eval();
  for (const auto& parameter : net.parameters()) parameter.requires_grad_(false);
  const auto last_map = [&](const torch::Tensor& images) { return net.forward(images).back(); };
  const auto traced = trace(last_map, torch::zeros({1, 3, 32, 32}));
  const auto images = golden_values("images", {3, 3, 29, 22});
  EXPECT_TRUE(is_close(traced(images), last_map(images), 1e-6));
}

TEST(ResNet, TakesOptionsUnderOpenMmlabNames) {
  const auto net = build_component<Backbone, ResNet>(
      "{type: T, depth: 18, base_channels: 8, out_indices: [1, 2], frozen_stages: 1}");
  const auto shapes = net->shapes();
  ASSERT_EQ(shapes.size(), 2);
  EXPECT_EQ(shapes[0].channels, 16);
  EXPECT_EQ(shapes[0].stride, 8);
  EXPECT_EQ(shapes[1].channels, 32);
  EXPECT_EQ(shapes[1].stride, 16);
  const auto dilated = build_component<Backbone, ResNetV1c>(
      "{type: T, depth: 50, base_channels: 8, stem_channels: 16, style: caffe, avg_down: true, "
      "strides: [1, 2, 1, 1], dilations: [1, 1, 2, 4], contract_dilation: true, with_cp: true, "
      "norm_cfg: {type: GN, num_groups: 4, requires_grad: false}}");
  EXPECT_EQ(dilated->shapes().at(0).stride, 8);
  EXPECT_EQ(dilated->named_parameters()["conv1.6.weight"].size(0), 16);
  EXPECT_TRUE(dilated->buffers().empty());
  const auto grouped = build_component<Backbone, ResNeXt>("{type: T, width_per_group: 2}");
  EXPECT_EQ(grouped->named_parameters()["layer1.0.conv2.weight"].sizes().vec(),
            (std::vector<int64_t>{64, 2, 3, 3}));
  const auto small = build_component<Backbone, ResNetCifarStem>("{type: T, depth: 18, width: 8}");
  EXPECT_EQ(small->shapes().at(0).stride, 8);
}

TEST(ResNet, SaysWhichDepthsThereAre) {
  EXPECT_EQ((build_error<Backbone, ResNet>("type: T\ndepth: 20\n")),
            "test.yaml:2:8: 'depth' must be 18, 34, 50, 101 or 152, not 20");
}

TEST(ResNet, RefusesOptionsThatDoNotGoTogether) {
  const auto error = [](const std::string& options) {
    return build_error<Backbone, ResNet>("type: T\n" + options + "\n");
  };
  EXPECT_EQ((build_error<Backbone, ResNet>("{type: T, depth: 18,\n groups: 2}")),
            "test.yaml:2:10: 'groups' is for bottlenecks, of depth 50 and more, not 18");
  EXPECT_EQ((build_error<Backbone, ResNet>("{type: T, depth: 34,\n base_width: 128}")),
            "test.yaml:2:14: 'base_width' is for bottlenecks, of depth 50 and more, not 34");
  EXPECT_EQ(
      error("groups: 7"),
      "test.yaml:2:9: 'groups' must divide the 64 channels of the 3x3 convolutions, not 7; or "
      "give base_width");
  EXPECT_EQ(
      (build_error<Backbone, ResNet>("{type: T, stem: cifar,\n deep_stem: true}")),
      "test.yaml:2:13: 'deep_stem' is for the stem 'imagenet'; 'cifar' is one 3x3 convolution");
  EXPECT_EQ(
      error("norm: {type: group, groups: 48}"),
      "test.yaml:2:29: 'norm.groups' is 48, which does not divide the 64 channels of a layer");
  EXPECT_NE(error("norm: {type: layer}"), "");
  EXPECT_NE(error("norm: group"), "");
  EXPECT_NE(error("strides: [1, 2, 2]"), "");
  EXPECT_NE(error("dilations: [0, 1, 1, 1]"), "");
  EXPECT_NE(error("style: tensorflow"), "");
}

TEST(ResNet, RefusesStagesOutOfOrderTwiceOrNone) {
  const std::string wrong =
      "test.yaml:2:13: 'out_stages' must name each stage once, from fine to coarse";
  EXPECT_EQ((build_error<Backbone, ResNet>("type: T\nout_stages: [2, 1]\n")), wrong);
  EXPECT_EQ((build_error<Backbone, ResNet>("type: T\nout_stages: [1, 1]\n")), wrong);
  EXPECT_NE((build_error<Backbone, ResNet>("type: T\nout_stages: []\n")), "");
  EXPECT_NE((build_error<Backbone, ResNet>("type: T\nout_stages: [4]\n")), "");
  EXPECT_NE((build_error<Backbone, ResNet>("type: T\nwidth: 0\n")), "");
  EXPECT_NE((build_error<Backbone, ResNet>("type: T\nfrozen_stages: 5\n")), "");
}

}  // namespace
}  // namespace dnc
