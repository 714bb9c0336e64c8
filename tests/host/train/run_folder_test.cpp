#include "host/train/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <memory>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Pair;

const std::string kConfig = "model:\n  head: {type: Linear}\nlr: 0.1\n";
const std::string kEnvironment = "{\"device\": \"cpu\"}\n";

report::TrainEvent train_event(int64_t step, double loss = 0.5) {
  return {.step = step,
          .epoch = 0.1 * static_cast<double>(step),
          .lr = 0.01,
          .losses = {{"loss", loss}, {"cross_entropy", loss}},
          .step_ms = 8.5,
          .wait_ms = 0.25};
}

report::EvaluationEvent evaluation_event(int64_t step) {
  return {.split = "val",
          .step = step,
          .epoch = 1,
          .figures = {{"top1", 0.75}, {"top5", 0.875}},
          .prototypes = {{"dead", 0.0}}};
}

std::vector<int64_t> train_steps(const fs::path& path) {
  std::vector<int64_t> steps;
  for (const auto& event : report::read_metrics(path).train) steps.push_back(event.step);
  return steps;
}

TEST(MetricsLog, IsWhatTheReportReads) {
  const TemporaryFolder folder;
  MetricsLog log(folder / "metrics.jsonl");
  log.append(train_event(10, 0.1));
  log.append(evaluation_event(10));
  log.append_end(10, "time limit");
  const auto metrics = report::read_metrics(folder / "metrics.jsonl");
  ASSERT_EQ(metrics.train.size(), 1u);
  EXPECT_EQ(metrics.train[0].step, 10);
  EXPECT_EQ(metrics.train[0].epoch, 1);
  EXPECT_EQ(metrics.train[0].lr, 0.01);
  EXPECT_THAT(metrics.train[0].losses, ElementsAre(Pair("loss", 0.1), Pair("cross_entropy", 0.1)));
  EXPECT_EQ(metrics.train[0].step_ms, 8.5);
  EXPECT_EQ(metrics.train[0].wait_ms, 0.25);
  ASSERT_EQ(metrics.evaluations.size(), 1u);
  EXPECT_EQ(metrics.evaluations[0].split, "val");
  EXPECT_EQ(metrics.evaluations[0].step, 10);
  EXPECT_THAT(metrics.evaluations[0].figures, ElementsAre(Pair("top1", 0.75), Pair("top5", 0.875)));
  EXPECT_THAT(metrics.evaluations[0].prototypes, ElementsAre(Pair("dead", 0.0)));
  EXPECT_EQ(metrics.end_reason, "time limit");
}

TEST(MetricsLog, TellsTheReportTheLastOfDamagedSamples) {
  const TemporaryFolder folder;
  MetricsLog log(folder / "metrics.jsonl");
  const auto append = [&](const char* split, int64_t step, int64_t count, const char* first) {
    log.append(report::BadSamplesEvent{split, step, count, first});
  };
  append("train", 5, 1, "a.png: damaged");
  append("val", 5, 2, "b\xff.png: damaged");
  append("train", 10, 3, "a.png: damaged");
  const auto bad = report::read_metrics(folder / "metrics.jsonl").bad_samples;
  ASSERT_EQ(bad.size(), 2u);
  EXPECT_EQ(bad[0].split, "val");
  EXPECT_EQ(bad[0].first, "b\xEF\xBF\xBD.png: damaged") << "a name need not be UTF-8";
  EXPECT_EQ(bad[1].step, 10);
  EXPECT_EQ(bad[1].count, 3);
}

TEST(MetricsLog, IsOneJsonMapALine) {
  const TemporaryFolder folder;
  MetricsLog log(folder / "m");
  log.append(train_event(1, std::nan("")));
  log.append_end(1, "done");
  EXPECT_EQ(bytes_of(folder / "m"),
            R"({"event":"train","step":1,"epoch":0.1,"lr":0.01,)"
            R"("losses":{"loss":null,"cross_entropy":null},"step_ms":8.5,"wait_ms":0.25})"
            "\n"
            R"({"event":"end","step":1,"reason":"done"})"
            "\n");
}

TEST(MetricsLog, ForgetsTheStepsAfterTheOneItGoesBackTo) {
  const TemporaryFolder folder;
  const auto path = folder / "m";
  {
    MetricsLog log(path);
    for (int64_t step = 1; step <= 5; ++step) log.append(train_event(step));
    log.append(evaluation_event(5));
  }
  put_bytes(path, bytes_of(path) + R"({"event":"tr)");  // the process was killed while writing
  MetricsLog log(path);
  EXPECT_EQ(log.rewind(3), 3);
  log.append(train_event(4, 9));
  const auto metrics = report::read_metrics(path);
  EXPECT_THAT(train_steps(path), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(report::figure(metrics.train.back().losses, "loss"), 9);
  EXPECT_TRUE(metrics.evaluations.empty());
}

TEST(MetricsLog, ForgetsAllForMinusOne) {
  const TemporaryFolder folder;
  MetricsLog log(folder / "m");
  log.append(evaluation_event(0));
  log.append(train_event(1));
  EXPECT_EQ(log.rewind(-1), 2);
  EXPECT_EQ(bytes_of(folder / "m"), "");
}

TEST(MetricsLog, LeavesTheFileAloneWhereThereIsNothingToForget) {
  const TemporaryFolder folder;
  MetricsLog log(folder / "m");
  log.append(train_event(1));
  const auto before = fs::last_write_time(folder / "m");
  EXPECT_EQ(log.rewind(1), 0);
  EXPECT_EQ(fs::last_write_time(folder / "m"), before);
}

TEST(MetricsLog, DropsGarbageAndKeepsTheLinesOfHooks) {
  const TemporaryFolder folder;
  const std::string hook = "{\"event\":\"mine\",\"note\":\"no step\"}\n";
  put_bytes(folder / "m", hook + std::string(4, '\0') + "\n{\"step\":\"text\"}\n[]\n");
  MetricsLog log(folder / "m");
  EXPECT_EQ(log.rewind(100), 3);
  EXPECT_EQ(bytes_of(folder / "m"), hook);
}

TEST(RunFolder, IsMadeWithAllThatDescribesTheRun) {
  const TemporaryFolder folder;
  RunFolder run(folder / "deep/run", kConfig, kEnvironment);
  EXPECT_TRUE(run.is_new());
  EXPECT_EQ(bytes_of(run.path() / "config.yaml"), kConfig);
  EXPECT_EQ(bytes_of(run.path() / "environment.json"), kEnvironment);
  EXPECT_TRUE(fs::is_directory(run.checkpoints()));
  EXPECT_THAT(run.config_digest(), MatchesRegex("[0-9a-f]{8}"));
  run.log("first line");
  run.log("second line");
  EXPECT_THAT(bytes_of(run.path() / "log.txt"),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} first line\n.* second line\n"));
}

TEST(RunFolder, GoesOnWithTheSameConfig) {
  const TemporaryFolder folder;
  std::string digest;
  {
    RunFolder run(folder / "run", kConfig, kEnvironment);
    run.metrics().append(train_event(1));
    run.log("first start");
    digest = run.config_digest();
  }
  RunFolder run(folder / "run/", kConfig, kEnvironment);
  EXPECT_FALSE(run.is_new());
  EXPECT_EQ(run.config_digest(), digest);
  run.metrics().append(train_event(2));
  run.log("second start");
  EXPECT_THAT(train_steps(run.path() / "metrics.jsonl"), ElementsAre(1, 2));
  EXPECT_THAT(bytes_of(run.path() / "log.txt"), MatchesRegex(".*first start\n.*second start\n"));
}

TEST(RunFolder, RefusesAnotherConfigAndShowsTheFirstDifference) {
  const TemporaryFolder folder;
  { RunFolder(folder / "run", kConfig, kEnvironment); }
  const auto other = [&](const std::string& config) {
    return message_of<Error>([&] { RunFolder(folder / "run", config, kEnvironment); });
  };
  const auto advice = ". Choose another folder, or give the config that the run was started with.";
  const auto file = (folder / "run/config.yaml").string();
  EXPECT_EQ(other("model:\n  head: {type: DNC}\nlr: 0.2\n"),
            file +
                ":2: this folder belongs to a run with another config: '  head: {type: Linear}' "
                "there, '  head: {type: DNC}' now" +
                advice);
  EXPECT_EQ(other(kConfig + "seed: 1\n"),
            file + ":4: this folder belongs to a run with another config: '' there, 'seed: 1' now" +
                advice);
  EXPECT_EQ(bytes_of(file), kConfig);
}

TEST(RunFolder, RefusesAFolderWithOtherThings) {
  const TemporaryFolder folder;
  put_bytes(folder / "thesis.tex", "");
  EXPECT_EQ(message_of<Error>([&] { RunFolder(folder.path(), kConfig, kEnvironment); }),
            folder.path().string() +
                ": is not the folder of a run: it has no config.yaml, but other things, such as "
                "'thesis.tex'. Choose a new or an empty folder.");
}

TEST(RunFolder, RefusesAFile) {
  const TemporaryFolder folder;
  put_bytes(folder / "run", "");
  EXPECT_EQ(message_of<FileError>([&] { RunFolder(folder / "run", kConfig, kEnvironment); }),
            (folder / "run").string() + ": cannot be created: Not a directory");
}

TEST(RunFolder, IsForOneProcessAtATime) {
  const TemporaryFolder folder;
  auto first = std::make_unique<RunFolder>(folder / "run", kConfig, kEnvironment);
  const auto message = message_of<Error>([&] { RunFolder(folder / "run", kConfig, kEnvironment); });
  EXPECT_THAT(message,
              HasSubstr((folder / "run").string() + ": the work folder is in use by process " +
                        std::to_string(::getpid()) + " on "));
  EXPECT_THAT(message, testing::EndsWith(". Wait for it to end, or choose another folder."));
  first.reset();
  EXPECT_EQ(message_of<Error>([&] { RunFolder(folder / "run", kConfig, kEnvironment); }), "");
}

TEST(RunFolder, RemovesWhatACrashLeftHalfDone) {
  const TemporaryFolder folder;
  { RunFolder(folder / "run", kConfig, kEnvironment); }
  fs::create_directories(folder / "run/checkpoints/.step_00000005.99.tmp");
  put_bytes(folder / "run/.metrics.jsonl.99.tmp", "");
  RunFolder run(folder / "run", kConfig, kEnvironment);
  EXPECT_TRUE(fs::is_empty(run.checkpoints()));
  EXPECT_FALSE(fs::exists(folder / "run/.metrics.jsonl.99.tmp"));
}

TEST(RunFolder, KeepsEveryEnvironmentThatItWasTrainedIn) {
  const TemporaryFolder folder;
  for (const char* environment : {"{\"a\":1}", "{\"a\":2}", "{\"a\":1}", "{\"a\":3}"}) {
    RunFolder(folder / "run", kConfig, environment);
  }
  EXPECT_EQ(bytes_of(folder / "run/environment.json"), "{\"a\":1}");
  EXPECT_EQ(bytes_of(folder / "run/environment_2.json"), "{\"a\":2}");
  EXPECT_EQ(bytes_of(folder / "run/environment_3.json"), "{\"a\":3}");
  EXPECT_FALSE(fs::exists(folder / "run/environment_4.json"));
}

}  // namespace
}  // namespace dnc
