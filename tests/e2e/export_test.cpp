#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "host/export/onnx_run.h"
#include "host/weights/pth.h"
#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

/// A run of a small network, its exported file, and a picture.
class Export : public testing::Test {
 protected:
  void SetUp() override {
    const auto config = write_small_config(folder_.path()).string();
    const auto trained = run_program({"train", config, "-o", run_});
    ASSERT_EQ(trained.code, 0) << trained.output;
    exported_ = run_program({"export", run_, "--out", model_});
    torch::manual_seed(3);
    pixels_ = torch::randint(0, 256, {20, 30, 3}, torch::kUInt8);
    std::ofstream file(picture_, std::ios::binary);
    file << "P6\n30 20\n255\n";
    file.write(static_cast<const char*>(pixels_.data_ptr()), pixels_.numel());
  }

  std::string in_folder(const std::string& name) const { return (folder_ / name).string(); }

  /// The class of the picture and its probability, as the program itself predicts them.
  std::pair<std::string, double> expected() const {
    const auto predicted = run_program({"predict", run_, picture_, "--format", "jsonl", "-k", "1"});
    EXPECT_EQ(predicted.code, 0) << predicted.output;
    const auto best = nlohmann::json::parse(predicted.output)["predictions"][0];
    return {best["class"], best["score"]};
  }

  /// A line that another program printed: some words, and then the probability.
  static void expect_answer(const std::string& line, const std::string& words, double score) {
    ASSERT_TRUE(line.starts_with(words)) << line;
    EXPECT_NEAR(std::stod(line.substr(words.size())), score, 1e-5) << line;
  }

  TemporaryFolder folder_;
  const std::string run_ = in_folder("run"), model_ = in_folder("model.pt"),
                    picture_ = in_folder("picture.ppm");
  Finished exported_;
  torch::Tensor pixels_;
};

TEST_F(Export, FilePredictsWhatTheProgramPredicts) {
  ASSERT_EQ(exported_.code, 0) << exported_.output;
  EXPECT_NE(exported_.output.find(run_ + " -> " + model_ + " ("), std::string::npos)
      << exported_.output;
  EXPECT_NE(exported_.output.find("): images [N, 3, H, W], 4 classes; equal to the model\n"),
            std::string::npos)
      << exported_.output;

  auto module = torch::jit::load(model_);
  const auto images = pixels_.permute({2, 0, 1}).unsqueeze(0);
  const auto answer = module.get_method("predict")({images}).toTuple();
  const auto label = answer->elements()[0].toTensor().item<int64_t>();
  const auto [name, score] = expected();
  EXPECT_EQ(module.attr("class_names").toList().get(label).toStringRef(), name);
  EXPECT_NEAR(answer->elements()[1].toTensor().item<double>(), score, 1e-5);
}

TEST_F(Export, RunsInAnotherProgram) {
  const auto output = in_folder("output");
  const auto command = std::string(DNC_BUILD_DIR "/tests/classify '") + model_ + "' '" + picture_ +
                       "' > '" + output + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
  const auto [name, score] = expected();
  expect_answer(bytes_of(output), name + " ", score);
}

TEST_F(Export, RunsInPython) {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string python = given ? given : "python3";
  if (std::system((python + " -c 'import torch, numpy, PIL' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << python << " has no torch, numpy and pillow; name one that has by DNC_PYTHON";
  }
  const auto output = in_folder("output");
  const auto command = python + " -W ignore " DNC_SOURCE_DIR "/examples/python_inference.py '" +
                       model_ + "' '" + picture_ + "' > '" + output + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << bytes_of(output);
  const auto [name, score] = expected();
  expect_answer(bytes_of(output), picture_ + " " + name + " ", score);
}

TEST_F(Export, OnnxFileSaysAndGivesWhatTheModelGives) {
  const auto path = in_folder("model.onnx");
  const auto finished = run_program({"export", run_, "--out", path});
  EXPECT_EQ(finished.code, 0) << finished.output;
  EXPECT_NE(finished.output.find("): images [N, 3, H, W], 4 classes; equal to the model\n"),
            std::string::npos)
      << finished.output;
  const auto model = read_onnx(path, bytes_of(path));
  const auto about = nlohmann::json::parse(model.metadata.at("dnc.json"));
  const auto outputs = run_onnx(model, {pixels_.permute({2, 0, 1}).unsqueeze(0)});
  const auto [name, score] = expected();
  EXPECT_EQ(about["classes"][outputs.at(1).item<int64_t>()], name);
  EXPECT_NEAR(outputs.at(2).item<double>(), score, 1e-5);
}

TEST_F(Export, SafetensorsFileHoldsTheWeightsAndWhatTheyAreFor) {
  const auto path = in_folder("model.safetensors");
  const auto finished = run_program({"export", run_, "--out", path});
  EXPECT_EQ(finished.code, 0) << finished.output;
  EXPECT_NE(finished.output.find(" tensors, 4 classes\n"), std::string::npos) << finished.output;
  const auto file = read_safetensors(path);
  const auto about = nlohmann::json::parse(file.metadata.at("dnc.json"));
  EXPECT_EQ(about["classes"].size(), 4);
  EXPECT_EQ(about["mean"].size(), 3);
  EXPECT_NE(file.metadata.at("config.yaml").find("ResNetCifar"), std::string::npos);
  const auto module = torch::jit::load(model_);
  for (const auto& parameter : module.named_parameters()) {
    ASSERT_TRUE(file.tensors.contains(parameter.name)) << parameter.name;
    EXPECT_TRUE(torch::equal(file.tensors[parameter.name], parameter.value)) << parameter.name;
  }
}

TEST_F(Export, WeightsForTorchExportHaveTheNamesOfTheExportedModule) {
  const auto path = in_folder("weights.pth");
  const auto finished = run_program({"export", run_, "--out", path});
  EXPECT_EQ(finished.code, 0) << finished.output;
  const auto weights = read_pth(path).tensors;
  const auto module = torch::jit::load(model_);
  size_t count = 0;
  const auto expect_in_file = [&](const std::string& name, const torch::Tensor& tensor) {
    ++count;
    ASSERT_TRUE(weights.contains(name)) << name;
    EXPECT_TRUE(torch::equal(weights[name], tensor)) << name;
  };
  for (const auto& parameter : module.named_parameters()) {
    expect_in_file(parameter.name, parameter.value);
  }
  for (const auto& buffer : module.named_buffers()) expect_in_file(buffer.name, buffer.value);
  EXPECT_EQ(weights.size(), count);
  const auto named =
      run_program({"export", run_, "--out", in_folder("weights.pt"), "--format", "pt2-weights"});
  EXPECT_EQ(named.code, 0) << named.output;
}

TEST_F(Export, BecomesAProgramOfTorchExport) {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string python = given ? given : "python3";
  if (std::system((python + " -c 'import torch._export.converter' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << python << " has no torch with torch.export; name one that has by DNC_PYTHON";
  }
  const auto weights = in_folder("weights.pth"), output = in_folder("output");
  ASSERT_EQ(run_program({"export", run_, "--out", weights}).code, 0);
  const auto command = python + " -W ignore " DNC_SOURCE_DIR "/examples/python_pt2.py '" + model_ +
                       "' '" + weights + "' '" + in_folder("program.pt2") + "' > '" + output +
                       "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << bytes_of(output);
  EXPECT_NE(bytes_of(output).find("equal to the model"), std::string::npos) << bytes_of(output);
  EXPECT_TRUE(fs::exists(in_folder("program.pt2")));
}

TEST_F(Export, SaysWhatItCannotDo) {
  const auto said = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"export", run_};
    words.insert(words.end(), more.begin(), more.end());
    const auto finished = run_program(words);
    EXPECT_EQ(finished.code, 1);
    return finished.output;
  };
  const auto out = [&](const std::string& name) { return in_folder(name); };
  EXPECT_EQ(said({"--out", out("model.bin")}),
            "error: --out: '" + out("model.bin") +
                "' must end with .pt, .onnx, .safetensors or .pth, which says what is written\n");
  EXPECT_EQ(said({"--out", out("model.pt"), "--format", "onx"}),
            "error: --format: 'onx' is not known; did you mean 'onnx'? (known: torchscript, onnx, "
            "safetensors, pt2-weights)\n");
  EXPECT_EQ(said({"--out", out("model.pt"), "--format", "onnx"}),
            "error: --out: '" + out("model.pt") + "' must end with .onnx, as files of onnx do\n");
  fs::create_directory(out("folder.onnx"));
  EXPECT_EQ(said({"--out", out("folder.onnx")}),
            "error: --out: '" + out("folder.onnx") + "' is a folder; give the name of a file\n");
  const auto folder = run_program({"export", run_, "--out", in_folder("no/model.pt")});
  EXPECT_EQ(folder.code, 1);
  EXPECT_NE(folder.output.find("No such file or directory"), std::string::npos) << folder.output;
  const auto run = run_program({"export", in_folder("norun"), "--out", in_folder("x.pt")});
  EXPECT_EQ(run.code, 1);
  EXPECT_FALSE(fs::exists(in_folder("x.pt")));
}

}  // namespace
}  // namespace dnc
