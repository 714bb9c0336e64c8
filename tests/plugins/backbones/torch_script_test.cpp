#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/import.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "plugins/backbones/torch_script/network.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/component.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

const std::vector<int64_t> kImages = {2, 3, 21, 26};

fs::path file(const std::string& name) {
  return fs::path(DNC_SOURCE_DIR) / "tests/golden/torch_script" / name;
}

TorchScript::Options of(const std::string& name) {
  TorchScript::Options options;
  options.file.value = file(name).string();
  return options;
}

/// What building it with these options says, without the place in the config and the file's folder.
std::string error(const std::string& options, const fs::path& path) {
  auto text =
      build_error<Backbone, TorchScript>("{type: T, file: " + path.string() + options + "}");
  const auto folder = path.parent_path().string() + "/";
  for (size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
  const auto place = text.find(": '");
  return place == std::string::npos ? text : text.substr(place + 2);
}

// Float64 on both sides; forward within 1e-5, gradients within 1e-4 of the largest value.
TEST(TorchScript, ScriptedModuleTrainsAsInPython) {
  TorchScript net(of("small.pt"));
  expect_golden(Golden::load("torch_script.txt"), "small", net, kImages);
}

TEST(TorchScript, TupleListAndDictGiveAMapForEachTensor) {
  for (const auto* name : {"intuple.pt", "inlist.pt", "indict.pt"}) {
    SCOPED_TRACE(name);
    TorchScript net(of(name));
    expect_golden(Golden::load("torch_script.txt"), "two", net, kImages);
    net.to(torch::kFloat32);
    expect_shapes(net, 64, 64);
  }
}

TEST(TorchScript, FindsOutChannelsAndStrides) {
  const TorchScript net(of("intuple.pt"));
  const auto shapes = net.shapes();
  ASSERT_EQ(shapes.size(), 2);
  EXPECT_EQ(shapes[0].channels, 6);
  EXPECT_EQ(shapes[0].stride, 2);
  EXPECT_EQ(shapes[1].channels, 10);
  EXPECT_EQ(shapes[1].stride, 4);
}

TEST(TorchScript, PooledOutputIsOnePixel) {
  TorchScript net(of("pooled.pt"));
  EXPECT_EQ(net.forward(torch::zeros(kImages)).at(0).sizes().vec(),
            (std::vector<int64_t>{2, 10, 1, 1}));
  EXPECT_EQ(net.shapes().at(0).stride, 224);
}

TEST(TorchScript, ParametersAndBuffersHaveTheModulesNames) {
  const TorchScript net(of("small.pt"));
  EXPECT_EQ(net.named_parameters().keys(),
            (std::vector<std::string>{"first.0.weight", "first.1.weight", "first.1.bias",
                                      "second.weight", "second.bias"}));
  for (const auto* name : {"scale", "first.1.running_mean", "first.1.num_batches_tracked"}) {
    EXPECT_TRUE(net.named_buffers().contains(name)) << name;
  }
}

TEST(TorchScript, TryingItOutLeavesItsStatistics) {
  const TorchScript net(of("small.pt"));
  EXPECT_EQ(net.named_buffers()["first.1.num_batches_tracked"].item<int64_t>(), 0);
  EXPECT_TRUE(net.is_training());
  // Recorded in training: its statistics move with each call.
  const auto saved = torch::jit::load(file("traced.pt").string());
  const auto mean = TorchScript(of("traced.pt")).named_buffers()["first.1.running_mean"];
  EXPECT_TRUE(torch::equal(
      mean, saved.attr("first").toModule().attr("1").toModule().attr("running_mean").toTensor()));
}

TEST(TorchScript, TrainAndEvalReachAScriptedModule) {
  TorchScript net(of("dropping.pt"));
  fill(net);
  net.to(torch::kFloat32);
  expect_random_in_training_only(net, kImages);
}

TEST(TorchScript, ATraceKeepsItsMode) {
  TorchScript net(of("traced.pt"));
  net.eval();
  const auto batches = net.named_buffers()["first.1.num_batches_tracked"];
  const auto before = batches.item<int64_t>();
  net.forward(torch::rand(kImages));
  EXPECT_EQ(batches.item<int64_t>(), before + 1);
}

TEST(TorchScript, ABufferThatIsReplacedStaysOurs) {
  TorchScript net(of("counting.pt"));
  const auto scale = net.named_buffers()["scale"];
  net.train();
  net.forward(torch::rand(kImages));
  net.forward(torch::rand(kImages));
  EXPECT_EQ(scale.item<double>(), 2.5);
  scale.zero_();  // as loading weights does
  net.eval();
  EXPECT_EQ(net.forward(torch::rand(kImages)).at(0).abs().max().item<double>(), 0);
}

TEST(TorchScript, FrozenNeitherLearnsNorLeavesEvaluationMode) {
  auto options = of("small.pt");
  options.frozen = true;
  TorchScript net(options);
  net.train();
  EXPECT_FALSE(net.forward(torch::rand(kImages)).at(0).requires_grad());
  EXPECT_EQ(net.named_buffers()["first.1.num_batches_tracked"].item<int64_t>(), 0);
  EXPECT_FALSE(net.is_training());
  options = of("frozen.pt");
  options.frozen = true;
  EXPECT_EQ(TorchScript(options).shapes().at(0).channels, 10);
}

TEST(TorchScript, TakesTheSizeOnWhichItIsTriedOut) {
  auto options = of("fixed.pt");
  options.image_size = 32;
  EXPECT_EQ(TorchScript(options).shapes().at(0).stride, 4);
  EXPECT_EQ(error("", file("fixed.pt")),
            "'file' is 'fixed.pt', whose module fails on an image of 224 x 224 pixels "
            "(image_size): returns 49 samples for one image");
  EXPECT_EQ(error(", image_size: 31", file("fixed.pt")),
            "'file' is 'fixed.pt', whose module fails on an image of 31 x 31 pixels (image_size): "
            "RuntimeError: shape '[-1, 3, 32, 32]' is invalid for input of size 2883");
}

TEST(TorchScript, RefusesWhatIsNoModule) {
  EXPECT_EQ(error("", file("none.pt")), "'file' is 'none.pt', which is not there or no file");
  const auto weights = error("", file("state.pth"));
  EXPECT_EQ(
      weights.rfind("'file' is 'state.pth', which is no module that torch.jit.save wrote, or a "
                    "damaged one: ",
                    0),
      0)
      << weights;
  const TemporaryFolder folder;
  std::ofstream(folder / "text.pt") << "no archive";
  EXPECT_NE(error("", folder / "text.pt").find("no module that torch.jit.save wrote"),
            std::string::npos);
}

TEST(TorchScript, RefusesDamagedFiles) {
  const TemporaryFolder folder;
  const auto cut = folder / "cut.pt";
  for (const int share : {1, 2, 3}) {
    fs::copy_file(file("small.pt"), cut, fs::copy_options::overwrite_existing);
    fs::resize_file(cut, fs::file_size(cut) * share / 4);
    EXPECT_NE(error("", cut).find("or a damaged one: "), std::string::npos);
  }
}

TEST(TorchScript, RefusesATensorThatReachesBeyondWhatIsStored) {
  const auto wrong = error("", file("beyond.pt"));
  EXPECT_EQ(wrong, "'file' is damaged: 'weight' reaches beyond what is stored");
}

TEST(TorchScript, RefusesWhatReturnsNoMaps) {
  const std::string fails = "whose module fails on an image of 224 x 224 pixels (image_size): ";
  EXPECT_EQ(error("", file("number.pt")),
            "'file' is 'number.pt', " + fails +
                "returns a Int; expected a tensor, or a tuple, list or dict of tensors");
  EXPECT_EQ(error("", file("mixed.pt")),
            "'file' is 'mixed.pt', " + fails + "returns a Int inside a Tuple; expected tensors");
  EXPECT_EQ(error("", file("flat.pt")),
            "'file' is 'flat.pt', " + fails +
                "returns a tensor [31360] of float; expected floats [N, C, H, W] or [N, C]");
}

TEST(TorchScript, RefusesWhatCannotLearnUnlessItIsFrozen) {
  EXPECT_EQ(error("", file("frozen.pt")),
            "'file' is 'frozen.pt', which has no parameter that learns; set frozen: true, or save "
            "the module without torch.jit.freeze");
}

TEST(TorchScript, RefusesOtherChannelsOrStridesThanExpected) {
  EXPECT_EQ(error(", out_channels: [10], strides: [4]", file("small.pt")), "");
  EXPECT_EQ(error(", out_channels: [6, 8]", file("intuple.pt")),
            "'out_channels' is [6, 8], but the module gives [6, 10]");
  EXPECT_EQ(error(", strides: [8]", file("small.pt")),
            "'strides' is [8], but the module gives [4]");
}

}  // namespace
}  // namespace dnc
