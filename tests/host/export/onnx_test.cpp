#include "host/export/onnx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/torch.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "formats/error.h"
#include "host/export/onnx_run.h"
#include "host/export/torch_script.h"
#include "registry/error.h"
#include "tests/host/export/exported_model.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A network, and what keeps it to one size of images.
struct Case {
  std::string name;
  std::string model;
  std::string fixed_by;
  bool pixels = false;

  Exported build() const { return Exported(model, pixels ? ", task: pixels" : ""); }
};

std::vector<Case> cases() {
  const std::string image = kImageHead, dnc = "{type: DNC, sub_centroids: 3}";
  const std::string whole = "{type: ResNet, depth: 18, out_stages: [1, 2]}, decode_head: ";
  const std::string mit = "backbone: MixVisionTransformer, ";
  return {
      {"ResNetLinear", "backbone: {type: ResNet, depth: 18}, " + image + "Linear", ""},
      {"ResNetDnc", "backbone: {type: ResNet, depth: 50}, " + image + dnc, ""},
      {"ResNetCifarLinear", "backbone: {type: ResNetCifar, depth: 8}, " + image + "Linear", ""},
      {"ResNetCifarDnc", "backbone: {type: ResNetCifar, depth: 8}, " + image + dnc, ""},
      {"MobileNetV2Linear", "backbone: MobileNetV2, " + image + "Linear", ""},
      {"MobileNetV2Dnc", "backbone: MobileNetV2, " + image + dnc, ""},
      {"ConvNeXtLinear", "backbone: {type: ConvNeXt, size: tiny}, " + image + "Linear", ""},
      {"ConvNeXtDnc", "backbone: {type: ConvNeXt, size: tiny}, " + image + dnc, ""},
      {"VisionTransformerLinear",
       "backbone: {type: VisionTransformer, size: tiny, image_size: 64}, " + image + "Linear",
       "model.backbone"},
      {"VisionTransformerDnc",
       "backbone: {type: VisionTransformer, size: tiny, image_size: 64}, " + image + dnc,
       "model.backbone"},
      {"SwinTransformerLinear",
       "backbone: {type: SwinTransformer, size: tiny}, " + image + "Linear", "model.backbone"},
      {"SwinTransformerDnc", "backbone: {type: SwinTransformer, size: tiny}, " + image + dnc,
       "model.backbone"},
      {"MixVisionTransformerDnc", mit + image + dnc, ""},
      {"FcnDnc", "backbone: " + whole + "{type: FCN, channels: 16}, head: " + dnc, "", true},
      {"FcnLinear", "backbone: " + whole + "{type: FCN, channels: 16}, head: Linear", "", true},
      {"ReleasedHead",
       "backbone: " + whole +
           "{type: FCN, channels: 16}, head: {type: DNC, embedding_norm: layer_norm, score_norm: "
           "layer_norm}",
       "", true},
      {"PspDnc", "backbone: " + whole + "{type: PSP, channels: 16}, head: " + dnc,
       "model.decode_head", true},
      {"AsppDnc", "backbone: " + whole + "{type: ASPP, channels: 16}, head: " + dnc,
       "model.decode_head", true},
      {"UPerDnc", "backbone: " + whole + "{type: UPer, channels: 16}, head: " + dnc,
       "model.decode_head", true},
      {"SegformerDnc", mit + "decode_head: {type: Segformer, channels: 16}, head: " + dnc,
       "model.decode_head", true},
      {"HRNetDnc",
       "backbone: HRNet, decode_head: {type: FCN, channels: 16, input_transform: resize_concat, "
       "in_index: [0, 1, 2, 3]}, head: " +
           dnc,
       "model.backbone", true},
  };
}

class OnnxExportOf : public testing::TestWithParam<Case> {};

// Both are float32; 1e-4 of the largest value.
TEST_P(OnnxExportOf, GivesWhatTheModelGives) {
  const torch::NoGradGuard no_grad;
  const auto one = GetParam().build();
  const auto exported = to_onnx(*one.network, one.info);
  EXPECT_EQ(exported.fixed_by, GetParam().fixed_by);
  const auto model = read_onnx("test", write_onnx(exported.model));
  auto tried = std::vector{bytes(3, 64, 64)};
  if (exported.fixed_by.empty()) tried.push_back(bytes(2, 77, 91));
  for (const auto& images : tried) {
    const auto found = run_onnx(model, {images});
    const auto expected = one.network->forward(images);
    const auto scores = resize_scores(expected.scores, {images.size(2), images.size(3)});
    EXPECT_LT(difference(found.at(0), scores), 1e-4);
    EXPECT_TRUE(torch::equal(found.at(1), found.at(0).argmax(1)));
    EXPECT_LT(difference(found.at(2), scores.softmax(1).amax(1)), 1e-4);
    EXPECT_LT(difference(found.at(3), expected.embeddings), 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, OnnxExportOf, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

// By another implementation than ours: onnx.checker, and onnxruntime beside TorchScript in Python;
// 1e-4 of the largest value, as the script says.
TEST(OnnxExport, OnnxruntimeGivesWhatTorchScriptGives) {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string python = given ? given : "python3";
  if (std::system((python + " -c 'import torch, onnx, onnxruntime' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << python << " has no torch, onnx and onnxruntime; name one by DNC_PYTHON";
  }
  const TemporaryFolder folder;
  for (const auto& each : cases()) {
    const auto one = each.build();
    const auto path = (folder / each.name).string();
    const auto script = to_torch_script(*one.network, one.info);
    write_torch_script(script.module, *one.network, one.info, path + ".pt");
    write_onnx_file(to_onnx(*one.network, one.info), *one.network, one.info, path + ".onnx");
  }
  const auto output = (folder / "output").string();
  const auto command = python + " -W ignore " DNC_SOURCE_DIR "/tests/golden/onnx_peer.py '" +
                       folder.path().string() + "' > '" + output + "' 2>&1";
  const auto code = std::system(command.c_str());
  std::ifstream file(output);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(code, 0) << text;
  EXPECT_THAT(text, HasSubstr(std::to_string(cases().size()) + " models agree"));
}

TEST(OnnxExport, SaysWhatItIs) {
  const TemporaryFolder folder;
  const auto one = cases().at(3).build();
  const auto path = (folder / "model.onnx").string();
  write_onnx_file(to_onnx(*one.network, one.info), *one.network, one.info, path);
  std::ifstream file(path, std::ios::binary);
  const std::string read{std::istreambuf_iterator<char>(file), {}};
  const auto model = read_onnx(path, read);

  const auto about = nlohmann::json::parse(model.metadata.at("dnc.json"));
  EXPECT_EQ(about["classes"], one.info.classes.names);
  EXPECT_EQ(about["task"], "images");
  EXPECT_EQ(about["mean"], (std::vector<double>{10, 20, 30}));
  EXPECT_EQ(about["any_size"], true);
  EXPECT_EQ(model.metadata.at("config.yaml"), "a: 1");
  ASSERT_EQ(model.inputs.size(), 1);
  EXPECT_EQ(model.inputs[0].name, "images");
  EXPECT_EQ(model.inputs[0].type, at::kByte);
  std::vector<std::string> outputs;
  for (const auto& output : model.outputs) outputs.push_back(output.name);
  EXPECT_THAT(outputs, ElementsAre("scores", "classes", "probabilities", "embeddings"));
  for (const auto& parameter : one.network->named_parameters()) {
    const auto* constant = model.constants.find(parameter.key());
    ASSERT_TRUE(constant) << parameter.key();
    EXPECT_TRUE(torch::equal(*constant, parameter.value())) << parameter.key();
  }
}

struct Pool : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back().mean({2, 3}); }
  int64_t channels() const override { return 3; }
};

struct Plain : Head {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings * 2; }
};

/// What an example network does, as a backbone.
class Does : public Backbone {
 public:
  using Function = std::function<torch::Tensor(const torch::Tensor&)>;
  explicit Does(Function function)
      : function_(std::move(function)),
        weight_(register_parameter("weight", torch::rand({3, 3, 3, 3}))) {}
  Features forward(const torch::Tensor& images) override {
    return {function_(torch::conv2d(images, weight_, {}, 1, 1))};
  }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}}; }

 private:
  Function function_;
  torch::Tensor weight_;
};

Model model_that(Does::Function function) {
  return Model({}, std::make_shared<Does>(std::move(function)),
               {std::make_shared<Pool>(), std::make_shared<Plain>()});
}

ExportInfo three_classes() { return {{{"a", "b", "c"}, {}}, Task::kImages, {}, {32, 32}, ""}; }

std::string refusal(Does::Function function, const std::string& path = "") {
  auto model = model_that(std::move(function));
  try {
    const auto exported = to_onnx(model, three_classes());
    if (!path.empty()) write_onnx_file(exported, model, three_classes(), path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(OnnxExport, NamesAnOperatorWithoutARuleAndItsComponent) {
  EXPECT_EQ(refusal([](const torch::Tensor& x) { return torch::special::entr(x.abs()); }),
            "the model cannot be exported to ONNX: model.backbone, at 'backbone.weight', uses "
            "aten::special_entr: there is no rule for it. TorchScript takes any model (--format "
            "torchscript); see docs/export.md for the operators");
}

TEST(OnnxExport, RefusesAKindOfOperatorThatItsRuleDoesNotCover) {
  EXPECT_THAT(refusal([](const torch::Tensor& x) { return torch::div(x, 2.0, "floor"); }),
              HasSubstr("uses aten::div: it rounds"));
  EXPECT_THAT(refusal([](const torch::Tensor& x) {
                return torch::conv_transpose2d(x, torch::ones({3, 3, 2, 2}), {}, 2);
              }),
              HasSubstr("it is a transposed convolution"));
}

TEST(OnnxExport, RefusesToRoundUpWhereRuntimesDiffer) {
  EXPECT_THAT(
      refusal([](const torch::Tensor& x) { return torch::max_pool2d(x, 1, 2, 0, 1, true); }),
      HasSubstr("a window may begin behind the image"));
  EXPECT_THAT(refusal([](const torch::Tensor& x) {
                return torch::avg_pool2d(x, 3, 2, 1, true, /*count_include_pad=*/true);
              }),
              HasSubstr("it counts its padding"));
}

// LibTorch finds a common type, ONNX has none.
TEST(OnnxExport, NeverWritesAFileWithInputsOfTwoTypes) {
  const TemporaryFolder folder;
  const auto path = (folder / "model.onnx").string();
  EXPECT_THAT(refusal([](const torch::Tensor& x) { return x * x.to(torch::kLong); }, path),
              testing::MatchesRegex(".*model.onnx: the exported model cannot be used, so it is not "
                                    "written: ONNX operator Mul 'model.backbone/Mul_[0-9]+': has "
                                    "inputs of two types, Float and Long. Export it with .*"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(OnnxExport, NeverWritesMoreThanProtocolBuffersHold) {
  OnnxModel model;
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  // Their bytes alone would fit.
  model.constants.insert("weight", torch::zeros({1}, torch::kUInt8).expand({kMost - 20}));
  try {
    write_onnx(model);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("but an .onnx file ends at"));
  }
}

TEST(PlainExecutors, LastAsLongAsAnyOfThem) {
  const auto& mode = torch::jit::getExecutorMode();
  const bool before = mode;
  auto first = std::make_unique<PlainExecutor>();
  auto second = std::make_unique<PlainExecutor>();
  first.reset();
  EXPECT_FALSE(mode.load());
  second.reset();
  EXPECT_EQ(mode.load(), before);
}

// A view that sees what is written into the tensor later: ONNX has no such thing.
TEST(OnnxExport, NeverWritesAFileThatGivesOtherScores) {
  const TemporaryFolder folder;
  const auto path = (folder / "model.onnx").string();
  const auto text = refusal(
      [](const torch::Tensor& x) {
        const auto view = x.narrow(1, 0, 1);
        const auto changed = x.add_(1);
        return changed + view;
      },
      path);
  EXPECT_THAT(text, HasSubstr("gives other scores for 2 images of 32 x 32, so it is not written"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

/// Rules that no network of ours needs at present, each against LibTorch.
struct Rule {
  std::string name;
  torch::Tensor (*function)(const torch::Tensor&);
};

class OnnxRuleOf : public testing::TestWithParam<Rule> {};

TEST_P(OnnxRuleOf, GivesWhatLibTorchGives) {
  torch::manual_seed(2);
  const torch::NoGradGuard no_grad;
  auto model = model_that(GetParam().function);
  const auto exported = to_onnx(model, three_classes());
  auto tried = std::vector{bytes(2, 32, 32)};
  if (exported.fixed_by.empty()) tried.push_back(bytes(3, 41, 55));
  for (const auto& images : tried) {
    const auto found = run_onnx(read_onnx("test", write_onnx(exported.model)), {images});
    EXPECT_LT(difference(found.at(0), model.forward(images).scores), 1e-4);
  }
}

using T = torch::Tensor;

INSTANTIATE_TEST_SUITE_P(
    All, OnnxRuleOf,
    testing::Values(
        Rule{"GroupNorm",
             [](const T& x) {
               return torch::group_norm(x, 3, torch::tensor({1.0F, 2.0F, 3.0F}),
                                        torch::tensor({0.0F, 1.0F, 2.0F}), 1e-3);
             }},
        Rule{"AveragePool", [](const T& x) { return torch::avg_pool2d(x, 3, 2, 1); }},
        Rule{"AveragePoolWithoutPadding",
             [](const T& x) { return torch::avg_pool2d(x, 3, 2, 1, false, false); }},
        Rule{"AdaptivePool",
             [](const T& x) {
               return torch::adaptive_avg_pool2d(x, {5, 7});
             }},
        Rule{"AveragePoolCeil",
             [](const T& x) { return torch::avg_pool2d(x, 2, 2, 0, true, true); }},
        Rule{"MaxPoolCeil", [](const T& x) { return torch::max_pool2d(x, 3, 2, 1, 1, true); }},
        Rule{"NearestByFactor",
             [](const T& x) {
               return torch::upsample_nearest2d(x, std::nullopt, std::vector<double>{2, 2});
             }},
        Rule{"BilinearByFactor",
             [](const T& x) {
               return torch::upsample_bilinear2d(x, std::nullopt, false,
                                                 std::vector<double>{2, 1.5});
             }},
        Rule{"BilinearAligned",
             [](const T& x) {
               return torch::upsample_bilinear2d(x, {20, 50}, true);
             }},
        Rule{"Silu", [](const T& x) { return torch::silu(x / 1000); }},
        Rule{"GeluTanh", [](const T& x) { return torch::gelu(x / 1000, "tanh"); }},
        Rule{"LeakyRelu", [](const T& x) { return torch::leaky_relu(x - 500, 0.2); }},
        Rule{"Hardtanh", [](const T& x) { return torch::hardtanh(x / 1000, -0.5, 0.7); }},
        Rule{"ClampMin", [](const T& x) { return (x / 1000).clamp_min(0.3); }},
        Rule{"Hardswish", [](const T& x) { return torch::hardswish(x / 100 - 5); }},
        Rule{"SqueezeExcitation",
             [](const T& x) {
               return x * torch::sigmoid(x.mean({2, 3}, true) / 1000);
             }},
        Rule{"SubtractTwice", [](const T& x) { return torch::sub(x, x.relu().neg(), 2); }},
        Rule{"MinimumAndMaximum",
             [](const T& x) { return torch::minimum(x, torch::maximum(-x, x / 2)); }},
        Rule{"Where", [](const T& x) { return torch::where(x.eq(0), x + 1, x * 2); }},
        Rule{"SelectAndStackByCat",
             [](const T& x) {
               return torch::cat({x.select(1, 0).unsqueeze(1), x.select(1, -1).unsqueeze(1), x}, 1)
                   .narrow(1, 1, 3);
             }},
        Rule{"SplitBySize",
             [](const T& x) {
               const auto parts = torch::split(x, 2, 1);
               return torch::cat({parts[1], parts[0]}, 1);
             }},
        Rule{"RollBack",
             [](const T& x) {
               return torch::roll(x, {-3, 2}, {2, 3}).slice(2, 1, 9);
             }},
        Rule{"SumAndPower",
             [](const T& x) {
               return (x / 1000).pow(2).sum(1, true).sqrt().add(1).log().expand_as(x);
             }}),
    [](const auto& test) { return test.param.name; });

TEST(OnnxModel, ReadsOnlyWhatIsInOrder) {
  OnnxModel model;
  model.constants.insert("weight", torch::arange(6).view({2, 3}));
  model.nodes.push_back({"Add", "sum", {"weight", "x"}, {"y"}, {}});
  const auto written = write_onnx(model);
  EXPECT_TRUE(torch::equal(read_onnx("f", written).constants["weight"], model.constants["weight"]));
  EXPECT_THROW(run_onnx(read_onnx("f", written), {}), Error);  // x is not defined
  for (size_t size = 1; size < written.size(); ++size) {
    try {  // cut anywhere, and with one byte changed
      read_onnx("f", std::string_view(written).substr(0, size));
      auto changed = written;
      changed[size] = static_cast<char>(changed[size] ^ 0x55);
      read_onnx("f", changed);
    } catch (const FormatError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("f: "));
    }
  }
}

}  // namespace
}  // namespace dnc
