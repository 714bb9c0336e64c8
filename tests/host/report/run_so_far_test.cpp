#include "host/report/run_so_far.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "host/report/run_result.h"
#include "registry/error.h"
#include "tests/host/report/fake_runs.h"
#include "tests/temporary_folder.h"

namespace dnc::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;

constexpr const char* kLog =
    R"({"event":"train","step":10,"epoch":0.5,"lr":0.1,"losses":{"loss":2},"step_ms":20,"wait_ms":1})"
    "\n"
    R"({"event":"train","step":20,"epoch":1,"lr":0.1,"losses":{"loss":1},"step_ms":40,"wait_ms":1})"
    "\n"
    R"({"event":"evaluation","split":"val","step":20,"epoch":1,"figures":{"top1":0.75},)"
    R"("prototypes":{"dead":0.5}})"
    "\n";

/// A run that is not finished, of 3 epochs of 20 steps.
class UnfinishedRun : public testing::Test {
 protected:
  UnfinishedRun() {
    put_bytes(folder_ / "config.yaml",
              "seed: 7\ndata: {batch_size: 8}\ntrain: {epochs: 3, steps: null}\n");
    put_bytes(folder_ / "metrics.jsonl", kLog);
    put_bytes(folder_ / "environment.json",
              R"({"version":"0.1.0","cpu":"Some CPU","threads":2,"device":"cpu"})");
  }
  RunSoFar read() const { return read_run_so_far(folder_.path()); }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(UnfinishedRun, HasWhatItsLogAndConfigSay) {
  const auto so_far = read();
  EXPECT_FALSE(so_far.is_complete);
  EXPECT_EQ(so_far.steps_in_all, 60);
  const auto& result = so_far.run.result;
  EXPECT_EQ(result.name, folder_.path().filename().string());
  EXPECT_EQ(result.seed, 7);
  EXPECT_EQ(result.steps, 20);
  EXPECT_EQ(result.epochs, 1);
  EXPECT_DOUBLE_EQ(result.seconds, 10 * 0.020 + 10 * 0.040);
  EXPECT_EQ(result.step_ms_median, 30);
  EXPECT_DOUBLE_EQ(result.images_per_second, 8 / 0.030);
  EXPECT_EQ(result.split, "val");
  EXPECT_THAT(result.figures, ElementsAre(Pair("top1", 0.75)));
  EXPECT_THAT(result.prototype_figures, ElementsAre(Pair("dead", 0.5)));
  EXPECT_EQ(result.cpu, "Some CPU");
  EXPECT_EQ(result.threads, 2);
  EXPECT_TRUE(std::isnan(result.learnable_parameters));
  EXPECT_THAT(result.date, testing::MatchesRegex("20..-..-..T..:..:..Z"));
  EXPECT_THAT(so_far.damage, IsEmpty());
}

TEST_F(UnfinishedRun, LengthInStepsIsThatOfTheConfig) {
  put_bytes(folder_ / "config.yaml", "train: {epochs: null, steps: 90}\n");
  EXPECT_EQ(read().steps_in_all, 90);
}

TEST_F(UnfinishedRun, WithoutAnyEventIsARunAllTheSame) {
  put_bytes(folder_ / "metrics.jsonl", "");
  const auto so_far = read();
  EXPECT_EQ(so_far.run.result.steps, 0);
  EXPECT_TRUE(std::isnan(so_far.run.result.epochs));
  EXPECT_TRUE(std::isnan(so_far.steps_in_all));
}

TEST_F(UnfinishedRun, DamagedLinesAreLeftOutAndNamed) {
  put_bytes(folder_ / "metrics.jsonl",
            std::string(kLog) + "{\"event\":\n{\"event\":\"train\",\"step\":-3}\n" +
                R"({"event":"train","step":30,"losses":{"loss":0.5}})" + "\n{\"event\":\"tr");
  const auto so_far = read();
  EXPECT_EQ(so_far.run.result.steps, 30);
  ASSERT_THAT(so_far.damage, SizeIs(2)) << "a last line without an end was being written";
  EXPECT_THAT(so_far.damage[0], StartsWith(file("metrics.jsonl") + ":4: is not a JSON object"));
  EXPECT_THAT(so_far.damage[1],
              StartsWith(file("metrics.jsonl") + ":5: 'step' must be 0 or more, but is -3"));
}

TEST_F(UnfinishedRun, DamagedFilesAreLeftOutAndNamed) {
  put_bytes(folder_ / "result.json", "{\"name\": ");
  put_bytes(folder_ / "mistakes.json", R"({"in_all": "many"})");
  put_bytes(folder_ / "prototypes.json", R"({"classes":["a"],"prototypes":[{"class":1}]})");
  put_bytes(folder_ / "environment.json", "[]");
  put_bytes(folder_ / "config.yaml", "seed: [\n");
  const auto so_far = read();
  EXPECT_FALSE(so_far.is_complete);
  EXPECT_EQ(so_far.run.result.steps, 20);
  EXPECT_THAT(so_far.damage, SizeIs(5));
  for (const char* name :
       {"result.json", "mistakes.json", "prototypes.json", "environment.json", "config.yaml"}) {
    EXPECT_THAT(so_far.damage, testing::Contains(StartsWith(file(name)))) << name;
  }
}

TEST_F(UnfinishedRun, ConfigIsTheOneWithOriginsWhereItIsThere) {
  EXPECT_THAT(read().config, StartsWith("seed: 7\n"));
  put_bytes(folder_ / "config_origins.yaml", "seed: 7  # a.yaml:1:7\n");
  EXPECT_EQ(read().config, "seed: 7  # a.yaml:1:7\n");
}

TEST_F(UnfinishedRun, MassOfAStepThatWasDoneAgainCountsOnce) {
  put_bytes(folder_ / "prototypes.jsonl",
            "{\"step\":10,\"mass\":[[1,0]]}\n{\"step\":20,\"mass\":[[0.5,0.5]]}\n"
            "{\"step\":20,\"mass\":[[0.25,0.75]]}\n");
  const auto so_far = read();
  ASSERT_THAT(so_far.mass, SizeIs(2));
  EXPECT_EQ(so_far.mass[0].step, 10);
  EXPECT_THAT(so_far.mass[1].mass, ElementsAre(ElementsAre(0.25, 0.75)));
  EXPECT_THAT(so_far.run.result.mass, ElementsAre(ElementsAre(0.25, 0.75)));
}

TEST_F(UnfinishedRun, MistakesAreReadAsTheyWereWritten) {
  const ShownMistakes written{
      77,
      {{"a \xff.png", "cat", "dog", 0.9, 0.05, {kTinyPng, 2, 3}}, {"b", "dog", "cat", 0.5, 0, {}}}};
  write_mistakes(folder_ / "mistakes.json", written);
  const auto so_far = read();
  EXPECT_THAT(so_far.damage, IsEmpty());
  EXPECT_EQ(so_far.mistakes.in_all, 77);
  ASSERT_THAT(so_far.mistakes.worst, SizeIs(2));
  const auto& first = so_far.mistakes.worst[0];
  EXPECT_EQ(first.sample, "a \uFFFD.png");
  EXPECT_EQ(first.label, "cat");
  EXPECT_EQ(first.prediction, "dog");
  EXPECT_EQ(first.score, 0.9);
  EXPECT_EQ(first.label_score, 0.05);
  EXPECT_EQ(first.picture.png, kTinyPng);
  EXPECT_EQ(first.picture.width, 2);
  EXPECT_EQ(first.picture.height, 3);
}

TEST_F(UnfinishedRun, WithAResultIsComplete) {
  write_result(folder_ / "result.json", fake_run("a name", 3, 0.5).result);
  const auto so_far = read();
  EXPECT_TRUE(so_far.is_complete);
  EXPECT_EQ(so_far.run.result.name, "a name");
  EXPECT_EQ(so_far.run.result.steps, 400);
}

TEST(RunSoFar, AnotherFolderIsRefused) {
  const TemporaryFolder folder;
  const auto expected = folder.path().string() +
                        ": is not the folder of a run: it has neither config.yaml nor "
                        "metrics.jsonl; give the folder that `dnc-host train` wrote";
  EXPECT_EQ(message_of<Error>([&] { read_run_so_far(folder.path()); }), expected);
  EXPECT_THAT(message_of<Error>([&] { read_run_so_far(folder / "none"); }),
              HasSubstr("is not the folder of a run"));
}

}  // namespace
}  // namespace dnc::report
