#include "host/multiply_adds.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>

#include "host/program.h"
#include "registry/config.h"

namespace dnc {
namespace {

namespace nn = torch::nn;

int64_t counted(const std::function<void()>& work) {
  return multiply_adds(count_multiply_adds(work));
}

TEST(MultiplyAdds, OfConvolutions) {
  const auto images = torch::randn({2, 4, 10, 9});
  nn::Conv2d plain(nn::Conv2dOptions(4, 6, 3));
  EXPECT_EQ(counted([&] { plain(images); }), 2 * 6 * 8 * 7 * 4 * 9);
  nn::Conv2d grouped(nn::Conv2dOptions(4, 6, {3, 1}).stride(2).padding({1, 0}).groups(2));
  EXPECT_EQ(counted([&] { grouped(images); }), 2 * 6 * 5 * 5 * 2 * 3);
  nn::Conv2d wide(nn::Conv2dOptions(4, 6, 3).dilation(2));
  EXPECT_EQ(counted([&] { wide(images); }), 2 * 6 * 6 * 5 * 4 * 9);
  nn::ConvTranspose2d up(nn::ConvTranspose2dOptions(4, 6, 2).stride(2));
  EXPECT_EQ(counted([&] { up(images); }), 2 * 4 * 10 * 9 * 6 * 4);
  nn::Conv1d line(nn::Conv1dOptions(4, 5, 3));
  EXPECT_EQ(counted([&] { line(images[0].transpose(0, 1)); }), 10 * 5 * 7 * 4 * 3);
}

TEST(MultiplyAdds, OfMatrixProducts) {
  const auto x = torch::randn({7, 3}), y = torch::randn({3, 5});
  EXPECT_EQ(counted([&] { x.mm(y); }), 7 * 3 * 5);
  EXPECT_EQ(counted([&] { x.matmul(y[0].narrow(0, 0, 3)); }), 7 * 3);
  nn::Linear linear(3, 5);
  EXPECT_EQ(counted([&] { linear(x); }), 7 * 3 * 5);
  EXPECT_EQ(counted([&] { linear(x.expand({4, 7, 3})); }), 4 * 7 * 3 * 5);
  const auto pair = x.expand({2, 7, 3});
  EXPECT_EQ(counted([&] { torch::einsum("bij,bkj->bik", {pair, pair}); }), 2 * 7 * 3 * 7);
  auto out = torch::empty({7, 5});
  EXPECT_EQ(counted([&] { torch::mm_out(out, x, y); }), 7 * 3 * 5);
}

TEST(MultiplyAdds, OfAttentionAreTheSameWhicheverKernelDoesIt) {
  const auto query = torch::randn({2, 3, 5, 8}), key = torch::randn({2, 3, 7, 8}),
             value = torch::randn({2, 3, 7, 8});
  const auto expected = 2 * 3 * 5 * 7 * (8 + 8);
  EXPECT_EQ(counted([&] { at::scaled_dot_product_attention(query, key, value); }), expected);
  EXPECT_EQ(counted([&] { (query.matmul(key.transpose(2, 3))).softmax(-1).matmul(value); }),
            expected);
}

TEST(MultiplyAdds, WorkElementByElementCostsNothing) {
  const auto x = torch::randn({2, 3, 8, 8});
  nn::BatchNorm2d norm(3);
  EXPECT_EQ(counted([&] { norm(x).relu().mean({2, 3}).softmax(1).sum(); }), 0);
}

TEST(MultiplyAdds, CountsEachOperatorAndOnlyWhileItIsAskedTo) {
  nn::Conv2d conv(nn::Conv2dOptions(3, 8, 3));
  nn::Linear linear(8, 4);
  const auto images = torch::randn({1, 3, 8, 8});
  const auto costs = count_multiply_adds([&] {
    linear(conv(images).mean({2, 3}));
    linear(conv(images).mean({2, 3}));
  });
  conv(images);
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].name, "convolution") << "the most expensive first";
  EXPECT_EQ(costs[0].calls, 2);
  EXPECT_EQ(costs[0].multiply_adds, 2 * 8 * 36 * 27);
  EXPECT_EQ(costs[1].calls, 2);
  EXPECT_EQ(costs[1].multiply_adds, 2 * 32);
}

// In billions at 224 x 224 with 1000 classes: weights.meta["_ops"] of torchvision 0.26, three
// decimals.
struct Published {
  const char* name;
  const char* backbone;
  double billions;
};

class PublishedFigures : public testing::TestWithParam<Published> {};

TEST_P(PublishedFigures, AreWhatIsCounted) {
  static Program program;
  const auto text = "device: cpu\nmodel: {backbone: " + std::string(GetParam().backbone) +
                    ", decode_head: GlobalAveragePooling, head: Linear}\n"
                    "data: {train: {dataset: {type: Synthetic, classes: 1000, length: 1000}}}\n";
  Experiment experiment(program.registry(), program.images(), parse_config(text, "test"));
  const auto model = experiment.build_model();
  model->eval();
  const torch::NoGradGuard no_grad;
  const auto all = counted([&] { model->forward(torch::zeros({1, 3, 224, 224})); });
  EXPECT_NEAR(static_cast<double>(all) / 1e9, GetParam().billions, 0.0006);
}

INSTANTIATE_TEST_SUITE_P(
    Torchvision, PublishedFigures,
    testing::Values(Published{"resnet18", "{type: ResNet, depth: 18}", 1.814},
                    Published{"resnet50", "{type: ResNet, depth: 50}", 4.089},
                    Published{"resnext50_32x4d",
                              "{type: ResNet, depth: 50, groups: 32, base_width: 4}", 4.230},
                    Published{"mobilenet_v2", "MobileNetV2", 0.301},
                    Published{"swin_t", "{type: SwinTransformer, size: tiny}", 4.491},
                    Published{"convnext_tiny", "{type: ConvNeXt, size: tiny}", 4.456},
                    Published{"vit_b_16", "{type: VisionTransformer, size: base}", 17.564}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace dnc
