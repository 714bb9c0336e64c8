#include "host/model.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <memory>
#include <vector>

namespace dnc {
namespace {

// A 1x1 convolution with one of its two weights frozen, and a buffer.
struct Tiny : Backbone {
  Tiny() : conv(register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 5, 3)))) {
    conv->bias.requires_grad_(false);
    register_buffer("count", torch::zeros({7}));
  }
  Features forward(const torch::Tensor& images) override {
    seen = images;
    return {images, conv(images)};
  }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}, {5, 1}}; }
  torch::nn::Conv2d conv;
  torch::Tensor seen;
};

struct Mean : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back().mean({2, 3}); }
  int64_t channels() const override { return 5; }
};

struct Scores : Head {
  Scores() { weight = register_parameter("weight", torch::ones({2, 5})); }
  torch::Tensor forward(const torch::Tensor& embeddings) override {
    return embeddings.matmul(weight.t());
  }
  torch::Tensor weight;
};

struct Nearest : Head, Prototypes {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings; }
  torch::Tensor prototypes() const override { return {}; }
  torch::Tensor project(const torch::Tensor& embeddings) override { return embeddings; }
  torch::Tensor mass() const override { return {}; }
  void set_prototypes(const torch::Tensor&, const torch::Tensor&, const torch::Tensor&) override {}
  std::vector<std::pair<std::string, double>> figures() const override { return {}; }
};

class ModelTest : public testing::Test {
 protected:
  ModelTest() { torch::manual_seed(1); }

  std::shared_ptr<Tiny> backbone_ = std::make_shared<Tiny>();
  Preprocess preprocess_{{10, 20, 30}, {2, 4, 8}};
  Model model_{preprocess_, backbone_, {std::make_shared<Mean>(), std::make_shared<Scores>()}};
};

TEST_F(ModelTest, RunsImagesThroughBackboneDecodeHeadAndHead) {
  const auto images = torch::rand({4, 3, 6, 6});
  const auto output = model_.forward(images);
  EXPECT_EQ(output.embeddings.sizes(), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(output.scores.sizes(), (std::vector<int64_t>{4, 2}));
  EXPECT_TRUE(torch::equal(output.embeddings, backbone_->conv(images).mean({2, 3})));
  EXPECT_TRUE(torch::equal(output.embeddings, model_.embed(images)));
}

TEST_F(ModelTest, AuxiliaryBranchesSeeTheSameFeaturesAndAreNamedByTheirPlace) {
  Model model(preprocess_, backbone_, {std::make_shared<Mean>(), std::make_shared<Scores>()},
              {{std::make_shared<Mean>(), std::make_shared<Scores>()}});
  EXPECT_TRUE(model.named_parameters().contains("auxiliary_heads.0.head.weight"));
  const auto images = torch::rand({4, 3, 6, 6});
  const auto outputs = model.forward_all(images);
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_TRUE(torch::equal(outputs[0].scores, model.forward(images).scores));
  EXPECT_TRUE(torch::equal(outputs[1].embeddings, outputs[0].embeddings));
}

TEST_F(ModelTest, NormalisesBytesPerChannel) {
  const auto images = torch::randint(0, 256, {2, 3, 6, 6}, torch::kUInt8);
  model_.embed(images);
  const auto& seen = backbone_->seen;
  EXPECT_EQ(seen.scalar_type(), torch::kFloat32);
  for (int64_t c = 0; c < 3; ++c) {
    const auto i = static_cast<size_t>(c);
    const auto expected =
        (images.select(1, c).to(torch::kFloat64) - preprocess_.mean[i]) / preprocess_.std[i];
    EXPECT_TRUE(torch::allclose(seen.select(1, c).to(torch::kFloat64), expected, 1e-6, 1e-6));
  }
  // The caller's bytes stay what they were.
  EXPECT_EQ(images.scalar_type(), torch::kUInt8);
}

TEST_F(ModelTest, TakesFloatImagesAsTheyAre) {
  const auto images = torch::rand({2, 3, 6, 6});
  model_.embed(images);
  EXPECT_TRUE(torch::equal(backbone_->seen, images));
}

TEST_F(ModelTest, KeepsTheMemoryFormatOfBytes) {
  const auto images = torch::randint(0, 256, {2, 3, 6, 6}, torch::kUInt8)
                          .contiguous(torch::MemoryFormat::ChannelsLast);
  model_.embed(images);
  EXPECT_TRUE(backbone_->seen.is_contiguous(torch::MemoryFormat::ChannelsLast));
}

TEST_F(ModelTest, NamesItsStateAfterItsThreeParts) {
  std::vector<std::string> names;
  for (const auto& item : model_.named_parameters()) names.push_back(item.key());
  for (const auto& item : model_.named_buffers()) names.push_back(item.key());
  // Mean and deviation are not among them: they belong to the config.
  EXPECT_EQ(names, (std::vector<std::string>{"backbone.conv.weight", "backbone.conv.bias",
                                             "head.weight", "backbone.count"}));
}

TEST_F(ModelTest, CountsItsSize) {
  const auto size = model_.size();
  EXPECT_EQ(size.learnable, 5 * 3 * 9 + 2 * 5);
  EXPECT_EQ(size.total, 5 * 3 * 9 + 5 + 2 * 5);
  EXPECT_EQ(size.buffers, 7);
}

TEST_F(ModelTest, LaysConvolutionsOutChannelsLastWithoutChangingThem) {
  const auto before = backbone_->conv->weight.detach().clone();
  auto* const handle = backbone_->conv->weight.unsafeGetTensorImpl();
  model_.to_channels_last();
  const auto& weight = backbone_->conv->weight;
  EXPECT_TRUE(weight.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(torch::equal(weight, before));
  // The same parameter, so that an optimizer that holds it goes on.
  EXPECT_EQ(weight.unsafeGetTensorImpl(), handle);
  EXPECT_TRUE(weight.requires_grad());
  EXPECT_TRUE(weight.is_leaf());
}

TEST_F(ModelTest, OffersThePrototypesOfAHeadThatHasThem) {
  EXPECT_EQ(model_.prototypes(), nullptr);
  const auto nearest = std::make_shared<Nearest>();
  Model other(preprocess_, backbone_, {std::make_shared<Mean>(), nearest});
  EXPECT_EQ(other.prototypes(), nearest.get());
  EXPECT_EQ(&other.head(), nearest.get());
}

}  // namespace
}  // namespace dnc
