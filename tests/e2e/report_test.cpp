#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Trains the small config in folder/run.
std::string train(const TemporaryFolder& folder, const std::string& name = "run",
                  const std::vector<std::string>& more = {}) {
  const auto run = (folder / name).string();
  std::vector<std::string> arguments{"train", write_small_config(folder.path()).string(),
                                     "-o",    run,
                                     "--set", "hooks=[PrototypeMass]",
                                     "--set", "train.log_every=5"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const auto trained = run_program(arguments);
  EXPECT_EQ(trained.code, 0) << trained.output;
  return run;
}

TEST(Report, IsWrittenAtTheEndOfATraining) {
  const TemporaryFolder folder;
  const auto run = train(folder);
  const auto page = bytes_of(fs::path(run) / "report.html");
  for (const char* heading : {"Results", "Curves", "All figures", "Classes", "Confusion",
                              "Prototypes", "Config", "Environment"}) {
    EXPECT_THAT(page, HasSubstr(std::string("<h2>") + heading + "</h2>"));
  }
  EXPECT_THAT(page, AllOf(HasSubstr("30 steps (3.0 epochs)"), HasSubstr("class=\"stack "),
                          HasSubstr("# " + (folder / "small.yaml").string() + ":1:7"),
                          HasSubstr("training losses"), Not(HasSubstr("<script"))));

  // The mistakes are those of the confusion matrix.
  const auto result = nlohmann::json::parse(bytes_of(fs::path(run) / "result.json"));
  const auto mistakes = nlohmann::json::parse(bytes_of(fs::path(run) / "mistakes.json"));
  const double right = result["figures"]["accuracy/top1"].get<double>() * 100;
  EXPECT_NEAR(mistakes["in_all"].get<double>(), 100 - right, 1e-6);
}

TEST(Report, OfARunThatWasKilledHasWhatIsThere) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  {
    Running training({"train", write_small_config(folder.path()).string(), "-o", run.string(),
                      "--set", "train.epochs=1000", "--set", "train.log_every=1"},
                     folder / "output");
    for (int i = 0; i < 600 && !fs::exists(run / "checkpoints/step_00000010"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    training.signal(SIGKILL);
    EXPECT_EQ(training.finish().code, 128 + SIGKILL);
  }
  EXPECT_FALSE(fs::exists(run / "report.html"));
  const auto reported = run_program({"report", run.string()});
  EXPECT_EQ(reported.code, 0) << reported.output;
  EXPECT_EQ(reported.output, (run / "report.html").string() + "\n");
  const auto page = bytes_of(run / "report.html");
  EXPECT_THAT(page, AllOf(HasSubstr("Not finished: step "), HasSubstr(" of 10,000 "),
                          HasSubstr("still training or killed"), HasSubstr("learning rate"),
                          Not(HasSubstr("<h2>Confusion</h2>"))));

  const auto tested = run_program({"report", run.string(), "--test", "newest", "--worst", "3", "-o",
                                   (folder / "a.html").string()});
  EXPECT_EQ(tested.code, 0) << tested.output;
  EXPECT_THAT(bytes_of(folder / "a.html"),
              AllOf(HasSubstr("The figures are those of "), HasSubstr("<h2>Confusion</h2>"),
                    HasSubstr("On the test split"), HasSubstr("--test newest")));
}

TEST(Report, OfAnotherFolderIsRefused) {
  const TemporaryFolder folder;
  const auto refused = run_program({"report", folder.path().string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.output, "error: " + folder.path().string() +
                                ": is not the folder of a run: it has neither config.yaml nor "
                                "metrics.jsonl; give the folder that `dnc-host train` wrote\n");
}

TEST(Logs, CompareRuns) {
  const TemporaryFolder folder;
  const auto a = train(folder, "a");
  const auto b = train(folder, "b", {"--set", "model.head=Linear", "--set", "hooks=[]"});
  const auto shown = run_program({"logs", a, b});
  EXPECT_EQ(shown.code, 0) << shown.output;
  EXPECT_THAT(shown.output, AllOf(StartsWith("run  step  epoch  val/accuracy/top1"),
                                  HasSubstr("\ntrain/loss\na\n"), HasSubstr("█")));

  const auto csv = run_program({"logs", a, b, "--metric", "lr", "--csv"});
  EXPECT_EQ(csv.code, 0);
  EXPECT_THAT(csv.output, AllOf(StartsWith("run,series,step,epoch,value\r\na,train/lr,5,0.5,"),
                                HasSubstr("\r\nb,train/lr,30,3,")));

  const auto page = (folder / "logs.html").string();
  const auto written = run_program({"logs", a, b, "--html", page});
  EXPECT_EQ(written.code, 0) << written.output;
  EXPECT_EQ(written.output, page + "\n");
  EXPECT_THAT(bytes_of(page), AllOf(HasSubstr("prototypes: dead"), HasSubstr("learning rate"),
                                    HasSubstr("dnc-host logs " + a)));

  const auto unknown = run_program({"logs", a, "--metric", "accuracy/top11"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.output, StartsWith("error: --metric: no run has logged 'accuracy/top11'"));

  std::ofstream(fs::path(b) / "metrics.jsonl", std::ios::app) << "garbage\n\n";
  const auto damaged = run_program({"logs", b});
  EXPECT_EQ(damaged.code, 0);
  EXPECT_THAT(damaged.output, HasSubstr("warning: left out: " + b + "/metrics.jsonl:"));
}

TEST(ConfigDiff, TellsConfigsAndRunsApart) {
  const TemporaryFolder folder;
  const auto linear = write_small_config(folder.path(), "linear.yaml", "{type: Linear}").string();
  const auto dnc = write_small_config(folder.path(), "dnc.yaml", "{type: DNC}").string();
  const auto differ = run_program({"config", "--diff", linear, dnc});
  EXPECT_EQ(differ.code, 1);
  EXPECT_THAT(
      differ.output,
      AllOf(StartsWith("--- " + linear + "\n+++ " + dnc + "\n- model.head.type: \"Linear\""),
            HasSubstr("# " + linear + ":7:16\n"), HasSubstr("+ model.head.sub_centroids: 4 "),
            HasSubstr("# default\n"), Not(HasSubstr("optimizer"))));
  const auto same = run_program({"config", "--diff", linear, linear});
  EXPECT_EQ(same.code, 0);
  EXPECT_EQ(same.output, "");

  const auto run = (folder / "run").string();
  ASSERT_EQ(run_program({"train", dnc, "-o", run, "--set", "train.epochs=1"}).code, 0);
  const auto other = run_program({"config", "--diff", "--json", dnc, run});
  EXPECT_EQ(other.code, 1);
  const auto json = nlohmann::json::parse(other.output);
  ASSERT_EQ(json.size(), 1u) << other.output;
  EXPECT_EQ(json[0]["key"], "train.epochs");
  EXPECT_EQ(json[0]["a"], 3);
  EXPECT_EQ(json[0]["b"], 1);
  EXPECT_THAT(json[0]["b_origin"].get<std::string>(), StartsWith(run + "/config.yaml:"));

  const auto one = run_program({"config", "--diff", dnc});
  EXPECT_EQ(one.code, 1);
  EXPECT_EQ(one.output, "error: config --diff: takes two configs or folders of runs\n");
  EXPECT_EQ(run_program({"config", dnc, linear}).output,
            "error: config: takes one config, or two with --diff\n");
}

TEST(New, WritesAPluginAndRefusesBadNames) {
  const TemporaryFolder folder;
  const auto out = (folder / "net").string();
  const auto written = run_program({"new", "plugin", "TinyNet", "--out", out});
  EXPECT_EQ(written.code, 0) << written.output;
  EXPECT_THAT(written.output,
              AllOf(StartsWith(out + " has the backbone TinyNet."), HasSubstr("cmake -B build")));
  EXPECT_TRUE(fs::exists(fs::path(out) / "tiny_net.cpp"));
  EXPECT_EQ(run_program({"new", "plugin", "TinyNet", "--out", out}).output,
            "error: " + out + ": exists already; choose another folder by --out\n");
  EXPECT_THAT(run_program({"new", "plugin", "3d"}).output,
              StartsWith("error: '3d' cannot be the name of a plugin"));
  const auto taken = run_program({"new", "plugin", "Linear", "--kind", "head", "-o", out + "2"});
  EXPECT_EQ(taken.code, 1);
  EXPECT_THAT(taken.output, StartsWith("error: 'Linear' is a head of "));
}

}  // namespace
}  // namespace dnc
