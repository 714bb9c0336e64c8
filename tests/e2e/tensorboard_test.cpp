#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "host/report/series.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

TEST(TensorBoard, ReadsTheEventsOfATraining) {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string python = given ? given : "python3";
  if (std::system((python + " -c 'import tensorboard' >/dev/null 2>&1").c_str()) != 0) {
    GTEST_SKIP() << python << " has no tensorboard; name one that has by DNC_PYTHON";
  }
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto run = (folder / "run").string();
  const std::vector<std::string> arguments{"train", config,
                                           "-o",    run,
                                           "--set", "hooks=[{type: TensorBoard, every: 5}]",
                                           "--set", "train.log_every=5"};
  const auto trained = run_program(arguments);
  ASSERT_EQ(trained.code, 0) << trained.output;

  const auto out = (folder / "events.json").string();
  const auto command = python + " " DNC_SOURCE_DIR "/tests/e2e/read_events.py '" + run + "' >'" +
                       out + "' 2>'" + out + ".log'";
  ASSERT_EQ(std::system(command.c_str()), 0) << bytes_of(out + ".log");
  const auto events = nlohmann::json::parse(bytes_of(out));
  const auto metrics = report::read_metrics(folder / "run/metrics.jsonl");

  // Scalars are those of metrics.jsonl, as floats.
  for (const std::string name : {"train/lr", "val/accuracy/top1", "prototypes/dead"}) {
    const auto logged = report::series(metrics, name);
    const auto& shown = events["scalars"][name];
    ASSERT_FALSE(logged.empty()) << name;
    ASSERT_EQ(shown.size(), logged.size()) << name << " " << events["scalars"];
    for (size_t i = 0; i < logged.size(); ++i) {
      EXPECT_EQ(shown[i][0], logged[i].step) << name;
      EXPECT_FLOAT_EQ(shown[i][1].get<float>(), static_cast<float>(logged[i].value)) << name;
    }
  }
  EXPECT_EQ(events["scalars"]["train/loss"].size(), 6u) << "30 steps, one in 5";

  constexpr const char* kPng = "89504e470d0a1a0a";
  ASSERT_EQ(events["images"]["val/confusion"].size(), 3u) << "an evaluation in each epoch";
  for (const auto& image : events["images"]["val/confusion"]) {
    EXPECT_EQ(image[1], 320);
    EXPECT_EQ(image[2], 320);
    EXPECT_EQ(image[3], kPng);
  }
  EXPECT_EQ(events["images"]["train/batch"].size(), 1u);
}

}  // namespace
}  // namespace dnc
