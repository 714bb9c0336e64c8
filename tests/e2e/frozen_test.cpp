#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The line of the output that is JSON; standard error stands beside it.
json json_of(const Finished& finished) {
  std::istringstream lines(finished.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('{')) return json::parse(line);
  }
  return nullptr;
}

TensorMap weights_of(const fs::path& run) {
  return read_safetensors(run / "checkpoints/step_00000000/model.safetensors").tensors;
}

/// A run with a linear head, whose backbone is frozen in what follows.
class Frozen : public testing::Test {
 protected:
  void SetUp() override {
    linear_ = write_small_config(folder_.path(), "linear.yaml", "{type: Linear}").string();
    dnc_ = write_small_config(folder_.path(), "dnc.yaml", "{type: DNC, sub_centroids: 2}").string();
    const auto trained = run_program({"train", linear_, "-o", run_});
    ASSERT_EQ(trained.code, 0) << trained.output;
  }
  std::string in_folder(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
  std::string linear_;
  std::string dnc_;
  std::string run_ = in_folder("run");
};

TEST_F(Frozen, FitFillsAHeadWithoutTrainingAndLeavesARun) {
  const auto fitted = in_folder("fitted");
  const auto fit = run_program({"fit", dnc_, "--weights", run_, "-o", fitted});
  ASSERT_EQ(fit.code, 0) << fit.output;
  EXPECT_TRUE(has(fit.output, "starts from " + run_)) << fit.output;
  EXPECT_TRUE(has(fit.output, "4 classes with 2 prototypes each from 320 samples; mean cosine "))
      << fit.output;
  // The backbone is the run's to the bit.
  const auto before =
      read_safetensors(fs::path(run_) / "checkpoints/best/model.safetensors").tensors;
  const auto after = weights_of(fitted);
  for (const auto& item : before) {
    if (!item.key().starts_with("backbone.")) continue;
    EXPECT_TRUE(torch::equal(after[item.key()], item.value())) << item.key();
  }
  const auto tested = run_program({"test", fitted, "--json"});
  ASSERT_EQ(tested.code, 0) << tested.output;
  const auto result = json::parse(bytes_of(fs::path(fitted) / "result.json"));
  EXPECT_EQ(json_of(tested)["figures"], result["figures"]);
  EXPECT_GT(result["figures"]["accuracy/top1"].get<double>(), 0.6) << "the linear head finds rings";
  EXPECT_EQ(result["parameters"]["learnable"], 0);
  for (const auto& row : result["prototypes"]["mass"]) {
    EXPECT_NEAR(row[0].get<double>() + row[1].get<double>(), 1, 1e-5);
  }
}

TEST_F(Frozen, FitGivesTheSameAgainAndKeepsItsFolderFromOthers) {
  const auto fitted = in_folder("fitted");
  const std::vector<std::string> arguments{"fit", dnc_, "--weights", run_, "-o", fitted};
  ASSERT_EQ(run_program(arguments).code, 0);
  const auto again = run_program(arguments);
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.output, fitted + ": done already\n");
  ASSERT_EQ(run_program({"fit", dnc_, "--weights", run_, "-o", in_folder("other"), "--set",
                         "data.workers=3", "--set", "data.eval_batch_size=7"})
                .code,
            0);
  EXPECT_TRUE(torch::allclose(weights_of(fitted)["head.prototypes"],
                              weights_of(in_folder("other"))["head.prototypes"], 0, 1e-5))
      << "batches do not matter";
  for (const auto& refused :
       {run_program({"fit", dnc_, "--weights", run_, "-o", fitted, "--iterations", "3"}),
        run_program({"train", dnc_, "--set", "load_from=" + run_, "--set",
                     "load_allow=[\"head.*\"]", "-o", fitted})}) {
    EXPECT_EQ(refused.code, 1) << refused.output;
    EXPECT_TRUE(has(refused.output,
                    "this folder belongs to a run with another config: '"
                    "# By dnc-host fit --transforms test --iterations 20"))
        << refused.output;
  }
}

TEST_F(Frozen, AComparisonTakesAFittedRun) {
  const auto folder = in_folder("compared");
  ASSERT_EQ(run_program({"fit", dnc_, "--weights", run_, "-o", folder + "/dnc/seed_1"}).code, 0);
  const auto compared = run_program(
      {"compare", linear_, dnc_, "--seeds", "1", "-o", folder, "--set", "train.epochs=1"});
  ASSERT_EQ(compared.code, 0) << compared.output;
  EXPECT_TRUE(has(compared.output, "[2/2] dnc seed 1: done already")) << compared.output;
  EXPECT_TRUE(has(compared.output, "\ndnc_fit ")) << compared.output;
  EXPECT_TRUE(fs::exists(fs::path(folder) / "dnc/seed_1/prototypes.json"));
}

TEST_F(Frozen, FitSaysWhatItCannotDo) {
  const auto head = run_program({"fit", linear_, "--weights", run_, "-o", in_folder("x")});
  EXPECT_EQ(head.code, 1);
  EXPECT_TRUE(has(head.output, "error: " + linear_ +
                                   ":7:9: 'model.head' has no prototypes to fill: "
                                   "fit is for a head that classifies by its nearest prototypes. "))
      << head.output;
  EXPECT_FALSE(fs::exists(in_folder("x")));
  const auto folder = run_program({"fit", run_});
  EXPECT_EQ(folder.code, 1);
  EXPECT_TRUE(has(folder.output, "error: " + run_ + ": is a folder; fit is for a config."))
      << folder.output;
  const auto random = run_program({"fit", dnc_, "-o", in_folder("random")});
  EXPECT_EQ(random.code, 0) << random.output;
  EXPECT_TRUE(has(random.output, "warning: " + dnc_ +
                                     ": has no load_from: the weights of the "
                                     "backbone are random; give --weights FILE\n"))
      << random.output;
  EXPECT_EQ(run_program({"fit", dnc_, "--memory", "0"}).code, 1);
  EXPECT_EQ(run_program({"fit", dnc_, "--iterations", "0"}).code, 1);
}

TEST_F(Frozen, KnnSaysHowWellTheBackboneTellsTheClassesApart) {
  const auto table = run_program({"knn", run_});
  ASSERT_EQ(table.code, 0) << table.output;
  EXPECT_TRUE(has(table.output, "test split, 100 samples by 320 of training, temperature 0.07\n"))
      << table.output;
  const auto of_run = json_of(run_program({"knn", run_, "--json", "-k", "1,20"}));
  for (const char* name : {"knn_1/top1", "knn_1/top5", "knn_20/top1", "knn_20/top5"}) {
    ASSERT_TRUE(of_run["figures"].contains(name)) << of_run.dump();
  }
  EXPECT_GT(of_run["figures"]["knn_20/top1"].get<double>(), 0.6);
  EXPECT_EQ(of_run["figures"]["knn_20/top5"], 1)
      << "four classes, all among 20 neighbours or right";
  // The same backbone under a head without weights, from a file.
  const auto file = in_folder("net.pth");
  ASSERT_EQ(run_program({"convert", run_, file, "--names", "torchvision"}).code, 0);
  const auto of_config =
      json_of(run_program({"knn", dnc_, "--weights", file, "--json", "-k", "1,20"}));
  EXPECT_EQ(of_config["figures"], of_run["figures"]);
}

TEST_F(Frozen, KnnSaysWhatItCannotDo) {
  const auto many = run_program({"knn", run_, "-k", "1000"});
  EXPECT_EQ(many.code, 1);
  EXPECT_TRUE(has(many.output, "error: -k: 1000 neighbours of 320 training samples; give less\n"))
      << many.output;
  EXPECT_EQ(run_program({"knn", run_, "-k", "0"}).code, 1);
  EXPECT_EQ(run_program({"knn", run_, "--temperature", "0"}).code, 1);
  EXPECT_EQ(run_program({"knn", run_, "--split", "train"}).code, 1);
}

TEST_F(Frozen, TestAndPredictTakeAConfigWithWeights) {
  const auto file = in_folder("net.pth");
  ASSERT_EQ(run_program({"convert", run_, file, "--names", "torchvision"}).code, 0);
  const auto of_run = json_of(run_program({"test", run_, "--json"}));
  const auto of_file = run_program({"test", linear_, "--weights", file, "--json"});
  EXPECT_EQ(of_file.code, 0) << of_file.output;
  EXPECT_TRUE(
      has(of_file.output, "starts from " + file + " (PyTorch, names of torchvision/timm): "))
      << of_file.output;
  EXPECT_EQ(json_of(of_file)["figures"], of_run["figures"]);
  // load_from in the config is as good.
  EXPECT_EQ(
      json_of(run_program({"test", linear_, "--json", "--set", "load_from=" + file}))["figures"],
      of_run["figures"]);

  std::ofstream(folder_ / "a.ppm") << "P6 16 16 255\n" << std::string(16 * 16 * 3, 'x');
  const auto picture = in_folder("a.ppm");
  const auto from_run = run_program({"predict", run_, picture, "--format", "csv"});
  const std::vector<std::string> no_data{
      "--set",    "data.train.dataset={type: ImageFolder, root: /nowhere}",
      "--set",    "data.test.dataset={type: ImageFolder, root: /nowhere}",
      "--format", "csv"};
  for (const auto& classes : {run_ + "/classes.json", in_folder("names.txt")}) {
    const auto names = json::parse(bytes_of(fs::path(run_) / "classes.json"))["names"];
    std::ofstream list(folder_ / "names.txt");
    for (const auto& name : names) list << name.get<std::string>() << "\r\n\n";
    list.close();
    std::vector<std::string> arguments{"predict", linear_,     picture, "--weights",
                                       file,      "--classes", classes};
    arguments.insert(arguments.end(), no_data.begin(), no_data.end());
    const auto from_file = run_program(arguments);
    EXPECT_EQ(from_file.code, 0) << from_file.output;
    EXPECT_TRUE(has(from_file.output, from_run.output)) << from_file.output << from_run.output;
  }
}

TEST_F(Frozen, AConfigWithoutTheRightWeightsIsRefused) {
  const auto none = run_program({"test", linear_});
  EXPECT_EQ(none.code, 1);
  EXPECT_EQ(none.output, "error: " + linear_ +
                             ": has no weights: give --weights FILE, or load_from in the config\n");
  // A head of other classes must not stay random here, though a training may start so.
  const std::vector<std::string> ten{"--set", "data.train.dataset.classes=10", "--set",
                                     "data.test.dataset.classes=10"};
  std::vector<std::string> arguments{"test", linear_, "--weights", run_};
  arguments.insert(arguments.end(), ten.begin(), ten.end());
  const auto classes = run_program(arguments);
  EXPECT_EQ(classes.code, 1);
  EXPECT_TRUE(has(classes.output, "does not fit the model: 2 of other classes")) << classes.output;
  const auto run = run_program({"test", run_, "--weights", run_});
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.output, "error: " + run_ +
                            ": is no config; --weights and --classes are for a "
                            "config, a run has both\n");
  std::ofstream(folder_ / "empty.txt") << "\n";
  const auto names =
      run_program({"test", linear_, "--weights", run_, "--classes", in_folder("empty.txt")});
  EXPECT_EQ(names.code, 1);
  EXPECT_TRUE(has(names.output, "empty.txt: has no class names; expected one in each line\n"))
      << names.output;
}

}  // namespace
}  // namespace dnc
