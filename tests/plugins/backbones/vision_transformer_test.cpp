#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "plugins/backbones/vision_transformer/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

using Output = VisionTransformer::Output;
using Size = VisionTransformer::Size;

VisionTransformer::Options small_net(Output output) {
  VisionTransformer::Options options;
  options.embed_dims = 24;
  options.depth = 3;
  options.heads = 3;
  options.patch = 8;
  options.image_size = 32;
  options.output = output;
  return options;
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(VisionTransformer, ClassTokenMatchesTorchvision) {
  VisionTransformer net(small_net(Output::kToken));
  expect_golden(Golden::load("modern_backbones.txt"), "vit_token", net, {2, 3, 32, 32});
}

TEST(VisionTransformer, MapOfALargerImageMatchesTimm) {
  VisionTransformer net(small_net(Output::kMap));
  expect_golden(Golden::load("modern_backbones.txt"), "vit_map", net, {2, 3, 45, 32});
}

TEST(VisionTransformer, MapOfASmallerImageMatchesTimm) {
  VisionTransformer net(small_net(Output::kMap));
  expect_golden(Golden::load("modern_backbones.txt"), "vit_map_smaller", net, {2, 3, 17, 24});
}

TEST(VisionTransformer, HasTorchvisionsAndTimmsNumberOfParameters) {
  struct Preset {
    Size size;
    int64_t patch;
    std::string name;
  };
  const auto golden = Golden::load("modern_backbones.txt");
  for (const auto& preset : std::vector<Preset>{{Size::kTiny, 16, "tiny_16"},
                                                {Size::kSmall, 16, "small_16"},
                                                {Size::kBase, 16, "base_16"},
                                                {Size::kBase, 32, "base_32"},
                                                {Size::kLarge, 16, "large_16"}}) {
    VisionTransformer::Options options;
    options.size = preset.size;
    options.patch = preset.patch;
    EXPECT_EQ(parameter_count(VisionTransformer(options)),
              golden["vit_" + preset.name + "/parameters"].item<int64_t>())
        << preset.name;
  }
}

TEST(VisionTransformer, HasTorchvisionsNamesAndShapesInItsOrder) {
  expect_state(Golden::load("modern_backbones.txt"), "vit",
               VisionTransformer(small_net(Output::kToken)));
}

TEST(VisionTransformer, GivesTheMapThatShapesPromises) {
  VisionTransformer net(small_net(Output::kMap));
  expect_shapes(net, 32, 32);
  expect_shapes(net, 33, 90);
  expect_shapes(net, 1, 1);
}

TEST(VisionTransformer, GivesTheClassTokenAsOnePixel) {
  VisionTransformer net(small_net(Output::kToken));
  const std::vector<int64_t> pixel = {2, 24, 1, 1};
  EXPECT_EQ(net.forward(torch::zeros({2, 3, 32, 32})).at(0).sizes().vec(), pixel);
  EXPECT_EQ(net.forward(torch::zeros({2, 3, 90, 33})).at(0).sizes().vec(), pixel);
  ASSERT_EQ(net.shapes().size(), 1);
  EXPECT_EQ(net.shapes()[0].channels, 24);
  EXPECT_EQ(net.shapes()[0].stride, 32);
}

TEST(VisionTransformer, GivesAnImageTheSameWhateverTheBatch) {
  for (const auto output : {Output::kToken, Output::kMap}) {
    VisionTransformer net(small_net(output));
    fill(net);
    net.to(torch::kFloat32);
    expect_images_apart(net, {3, 3, 45, 32});
  }
}

TEST(VisionTransformer, SkipsBlocksAtRandomInTrainingOnly) {
  auto options = small_net(Output::kMap);
  options.stochastic_depth = 0.5;
  VisionTransformer net(options);
  expect_random_in_training_only(net, {4, 3, 32, 32});
}

TEST(VisionTransformer, FrozenBlocksNeitherLearnNorAreSkippedAtRandom) {
  auto options = small_net(Output::kMap);
  options.stochastic_depth = 0.5;
  const std::vector<int64_t> shape = {2, 3, 32, 32};
  std::vector<std::string> frozen;
  for (const int64_t stages : {-1, 0, 1, 3}) {
    options.frozen_stages = stages;
    VisionTransformer net(options);
    if (stages == 0) frozen = {"class_token", "conv_proj.", "encoder.pos_embedding"};
    if (stages == 1) frozen.push_back("encoder.layers.encoder_layer_0.");
    if (stages == 3) frozen.push_back("encoder.");
    expect_frozen(net, frozen, shape);
    if (stages < 3) continue;
    const auto images = golden_values("images", shape);
    EXPECT_TRUE(torch::equal(net.forward(images).back(), net.forward(images).back()));
  }
}

TEST(VisionTransformer, IsTracedForAnyNumberOfImages) {
  VisionTransformer token(small_net(Output::kToken));
  expect_traced(token, {1, 3, 32, 32}, {3, 3, 32, 32});
  VisionTransformer map(small_net(Output::kMap));
  expect_traced(map, {1, 3, 45, 32}, {3, 3, 45, 32});
}

TEST(VisionTransformer, TakesChannelsLastImages) {
  VisionTransformer net(small_net(Output::kMap));
  net.eval();
  const auto images = golden_values("images", {2, 3, 32, 32});
  const auto map = net.forward(images.contiguous(torch::MemoryFormat::ChannelsLast)).back();
  EXPECT_TRUE(is_close(map, net.forward(images).back(), 1e-5));
}

TEST(VisionTransformer, DrawsItsInitialWeightsAsTorchvision) {
  torch::manual_seed(1);
  VisionTransformer::Options options;
  options.size = Size::kTiny;
  options.depth = 1;
  const VisionTransformer net(options);
  const auto parameters = net.named_parameters();
  const auto deviation = [&](const std::string& name) {
    return parameters[name].std().item<double>();
  };
  const auto xavier = [](double in, double out) { return std::sqrt(2 / (in + out)); };
  const std::string layer = "encoder.layers.encoder_layer_0.";
  EXPECT_NEAR(deviation("conv_proj.weight"), std::sqrt(1.0 / 768), 1e-3);
  EXPECT_NEAR(deviation("encoder.pos_embedding"), 0.02, 1e-3);
  EXPECT_NEAR(deviation(layer + "self_attention.in_proj_weight"), xavier(192, 576), 1e-3);
  EXPECT_NEAR(deviation(layer + "mlp.0.weight"), xavier(192, 768), 1e-3);
  EXPECT_NEAR(deviation(layer + "mlp.0.bias"), 1e-6, 1e-7);
  for (const auto* name : {"class_token", "conv_proj.bias"}) {
    EXPECT_EQ(parameters[name].abs().max().item<double>(), 0) << name;
  }
  EXPECT_EQ(parameters[layer + "self_attention.in_proj_bias"].abs().max().item<double>(), 0);
}

TEST(VisionTransformer, TakesOptionsUnderOpenMmlabNames) {
  const auto net = build_component<Backbone, VisionTransformer>(
      "{type: T, arch: small, embed_dims: 32, num_layers: 2, num_heads: 4, patch_size: 4, "
      "img_size: 18, output: map, drop_path_rate: 0.1, frozen_stages: 1, with_cp: true}");
  const auto parameters = net->named_parameters();
  EXPECT_EQ(parameters["encoder.pos_embedding"].sizes().vec(), (std::vector<int64_t>{1, 26, 32}));
  EXPECT_FALSE(parameters.contains("encoder.layers.encoder_layer_2.ln_1.weight"));
  EXPECT_EQ(net->shapes().at(0).stride, 4);
}

TEST(VisionTransformer, RefusesWrongOptions) {
  EXPECT_EQ((build_error<Backbone, VisionTransformer>("type: T\nheads: 5\n")),
            "test.yaml:2:8: 'heads' asks for 768 channels in 5 heads; the heads must divide them");
  EXPECT_EQ(
      (build_error<Backbone, VisionTransformer>("type: T\nembed_dims: 100\n")),
      "test.yaml:2:13: 'embed_dims' asks for 100 channels in 12 heads; the heads must divide them");
  EXPECT_NE((build_error<Backbone, VisionTransformer>("type: T\npatch: 0\n")), "");
  EXPECT_NE((build_error<Backbone, VisionTransformer>("type: T\noutput: mean\n")), "");
}

}  // namespace
}  // namespace dnc
