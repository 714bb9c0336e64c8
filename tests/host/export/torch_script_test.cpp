#include "host/export/torch_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "registry/error.h"
#include "tests/host/export/exported_model.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::HasSubstr;

struct Family {
  std::string backbone;
  bool any_size;  // its windows keep a Swin Transformer to the size that was recorded
};

class ExportedBackbone : public testing::TestWithParam<Family> {};

TEST_P(ExportedBackbone, GivesTheModelsScores) {
  const torch::NoGradGuard no_grad;
  Exported one("backbone: " + GetParam().backbone + ", " + kImageHead +
               "{type: DNC, sub_centroids: 3}");
  const auto [module, fixed_by] = to_torch_script(*one.network, one.info);
  EXPECT_EQ(fixed_by, GetParam().any_size ? "" : "model.backbone");
  EXPECT_EQ(module.attr("any_size").toBool(), GetParam().any_size);
  std::vector<torch::Tensor> tried{bytes(3, 64, 64)};
  if (GetParam().any_size) tried.push_back(bytes(2, 77, 91));
  for (const auto& images : tried) {
    const auto expected = one.network->forward(images);
    const auto scores = [&](const torch::Tensor& input) {
      return module.get_method("forward")({input}).toTensor();
    };
    EXPECT_LT(difference(scores(images), expected.scores), 1e-4);
    EXPECT_LT(difference(scores(images.to(torch::kFloat32) / 255), expected.scores), 1e-4);
    EXPECT_LT(difference(module.get_method("embed")({images}).toTensor(), expected.embeddings),
              1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ExportedBackbone,
                         testing::Values(Family{"{type: ResNet, depth: 18}", true},
                                         Family{"{type: ResNetCifar, depth: 8}", true},
                                         Family{"MobileNetV2", true},
                                         Family{"{type: SwinTransformer, size: tiny}", false},
                                         Family{"{type: ConvNeXt, size: tiny}", true}),
                         [](const auto& test) { return "Number" + std::to_string(test.index); });

TEST(TorchScriptExport, HasNamesParametersAndAnswersOfItsOwn) {
  const torch::NoGradGuard no_grad;
  Exported one(std::string("backbone: {type: ResNetCifar, depth: 8}, ") + kImageHead + "DNC");
  const auto module = to_torch_script(*one.network, one.info).module;
  EXPECT_EQ(module.attr("class_names").toListRef().size(), one.info.classes.names.size());
  EXPECT_EQ(module.attr("class_names").toListRef()[0].toStringRef(), one.info.classes.names[0]);
  EXPECT_EQ(module.attr("task").toStringRef(), "images");

  std::map<std::string, torch::Tensor> tensors;
  for (const auto& parameter : module.named_parameters()) tensors[parameter.name] = parameter.value;
  for (const auto& buffer : module.named_buffers()) tensors[buffer.name] = buffer.value;
  for (const auto& parameter : one.network->named_parameters()) {
    ASSERT_TRUE(tensors.count(parameter.key())) << parameter.key();
    EXPECT_TRUE(tensors[parameter.key()].is_same(parameter.value()));
  }
  EXPECT_TRUE(tensors.count("head.prototypes"));

  const auto images = bytes(5, 32, 32);
  const auto answer = module.get_method("predict")({images}).toTuple();
  const auto shares = one.network->forward(images).scores.softmax(1);
  EXPECT_TRUE(torch::equal(answer->elements()[0].toTensor(), shares.argmax(1)));
  EXPECT_LT(difference(answer->elements()[1].toTensor(), shares.amax(1)), 1e-4);
}

TEST(TorchScriptExport, OfPixelsScoresEachPixelOfTheImages) {
  const torch::NoGradGuard no_grad;
  Exported one(
      "backbone: {type: ResNet, depth: 18, out_stages: [1, 2]}, decode_head: {type: FCN, "
      "in_index: 1, channels: 16}, head: {type: DNC, sub_centroids: 2}, auxiliary_heads: "
      "[{decode_head: {type: FCN, in_index: 0, channels: 8}, head: Linear}]",
      ", task: pixels");
  const auto module = to_torch_script(*one.network, one.info).module;
  for (const auto& parameter : module.named_parameters()) {
    EXPECT_FALSE(parameter.name.starts_with("auxiliary_heads")) << parameter.name;
  }
  const auto images = bytes(2, 70, 90);
  const auto scores = resize_scores(one.network->forward(images).scores, {70, 90});
  EXPECT_LT(difference(module.get_method("forward")({images}).toTensor(), scores), 1e-4);
  const auto answer = module.get_method("predict")({images}).toTuple();
  EXPECT_EQ(answer->elements()[0].toTensor().sizes(), at::IntArrayRef({2, 70, 90}));
}

TEST(TorchScriptExport, IsReadAgainWithWhatItSaysAboutItself) {
  const torch::NoGradGuard no_grad;
  const TemporaryFolder folder;
  Exported one(std::string("backbone: {type: ResNetCifar, depth: 8}, ") + kImageHead + "DNC");
  const auto path = (folder / "model.pt").string();
  write_torch_script(to_torch_script(*one.network, one.info).module, *one.network, one.info, path);

  torch::jit::ExtraFilesMap files{{"dnc.json", ""}, {"config.yaml", ""}};
  auto module = torch::jit::load(path, torch::kCPU, files);
  const auto json = nlohmann::json::parse(files["dnc.json"]);
  EXPECT_EQ(json["task"], "images");
  EXPECT_EQ(json["classes"], one.info.classes.names);
  EXPECT_EQ(json["mean"], (std::vector<double>{10, 20, 30}));
  EXPECT_EQ(json["size"], (std::vector<int64_t>{64, 64}));
  EXPECT_EQ(json["any_size"], true);
  EXPECT_EQ(files["config.yaml"], "a: 1");
  const auto images = bytes(4, 40, 40);
  EXPECT_LT(difference(module.forward({images}).toTensor(), one.network->forward(images).scores),
            1e-4);
}

// Their sizes become numbers when they are recorded.
struct FlattensByNumber : Backbone {
  Features forward(const torch::Tensor& images) override {
    const auto half = images.narrow(3, 0, images.size(3) / 2);
    return {half.mean({2, 3}, /*keepdim=*/true)};
  }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}}; }
};

struct FixedSize : Backbone {
  Features forward(const torch::Tensor& images) override {
    TORCH_CHECK(images.size(2) == 64 && images.size(3) == 64, "takes 64 x 64");
    return {images.mean({2, 3}, /*keepdim=*/true)};
  }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}}; }
};

struct Pool : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back().flatten(1); }
  int64_t channels() const override { return 3; }
};

struct CountsByNumber : DecodeHead {
  torch::Tensor forward(const Features& features) override {
    return features.back().reshape({features.back().size(0), -1}) +
           static_cast<double>(features.back().size(0));
  }
  int64_t channels() const override { return 3; }
};

struct Plain : Head {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings * 2; }
};

ExportInfo three_classes() { return {{{"a", "b", "c"}, {}}, Task::kImages, {}, {64, 64}, ""}; }

std::string refusal(std::shared_ptr<Backbone> backbone, std::shared_ptr<DecodeHead> decode_head) {
  Model model({}, std::move(backbone), {std::move(decode_head), std::make_shared<Plain>()});
  try {
    to_torch_script(model, three_classes());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TorchScriptExport, NamesTheComponentThatCannotBeRecorded) {
  EXPECT_THAT(refusal(std::make_shared<FixedSize>(), std::make_shared<CountsByNumber>()),
              HasSubstr("the model cannot be exported: model.decode_head depends on the number of "
                        "the images in a way that a recording does not hold"));
}

TEST(TorchScriptExport, TakesOneSizeWhereARecordingHoldsForOneOnly) {
  Model model({}, std::make_shared<FlattensByNumber>(),
              {std::make_shared<Pool>(), std::make_shared<Plain>()});
  const auto exported = to_torch_script(model, three_classes());
  EXPECT_EQ(exported.fixed_by, "model.backbone");
  EXPECT_FALSE(exported.module.attr("any_size").toBool());
  const auto images = bytes(2, 64, 64);
  EXPECT_LT(difference(exported.module.get_method("forward")({images}).toTensor(),
                       model.forward(images).scores),
            1e-4);
  try {
    exported.module.get_method("forward")({bytes(2, 64, 96)});
    FAIL() << "another size was taken";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("this model was exported for images of 64 x 64"));
  }
}

TEST(TorchScriptExport, OfANetworkForOneSizeSaysSo) {
  Model model({}, std::make_shared<FixedSize>(),
              {std::make_shared<Pool>(), std::make_shared<Plain>()});
  EXPECT_EQ(to_torch_script(model, three_classes()).fixed_by, "the model");
}

}  // namespace
}  // namespace dnc
