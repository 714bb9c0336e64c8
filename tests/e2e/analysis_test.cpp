#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The line that begins with a brace: what a command says on standard error stands before it.
json json_of(const std::string& output) { return json::parse(output.substr(output.find('{'))); }

// ---- test -------------------------------------------------------------------------------------

// One short training for all tests.
class AnalysisOfARun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const auto config = write_small_config(folder_->path());
    const auto trained =
        run_program({"train", config.string(), "-o", run(), "--set", "train.epochs=1"});
    ASSERT_EQ(trained.code, 0) << trained.output;
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string run() { return (*folder_ / "run").string(); }
  static TemporaryFolder* folder_;
};
TemporaryFolder* AnalysisOfARun::folder_ = nullptr;

TEST_F(AnalysisOfARun, PredictionsOfEachSampleFitTheFigures) {
  const auto out = *folder_ / "predictions.jsonl";
  const auto tested = run_program({"test", run(), "--json", "--out", out.string(), "-k", "2"});
  ASSERT_EQ(tested.code, 0) << tested.output;
  const auto lines = lines_of(bytes_of(out));
  ASSERT_EQ(lines.size(), 100u);
  int hits = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto line = json::parse(lines[i]);
    EXPECT_EQ(line["index"], i);
    ASSERT_EQ(line["predictions"].size(), 2u);
    EXPECT_EQ(line["predictions"][0]["class"], line["prediction"]);
    EXPECT_GE(line["predictions"][0]["score"], line["predictions"][1]["score"]);
    hits += line["prediction"] == line["label"];
  }
  EXPECT_NEAR(json_of(tested.output)["figures"]["accuracy/top1"].get<double>(), hits / 100.0, 1e-9);
}

TEST_F(AnalysisOfARun, PredictionsAsCsvReplaceAnOlderFile) {
  const auto out = *folder_ / "predictions.csv";
  put_bytes(out, "old");
  const auto tested = run_program({"test", run(), "--out", out.string(), "-k", "9"});
  ASSERT_EQ(tested.code, 0) << tested.output;
  const auto lines = lines_of(bytes_of(out));
  ASSERT_EQ(lines.size(), 101u);
  EXPECT_THAT(lines[0], StartsWith("index,name,label,prediction,class_1,score_1"));
  EXPECT_THAT(lines[0], HasSubstr("class_4")) << "as many as there are classes";
  EXPECT_THAT(lines[0], Not(HasSubstr("class_5")));
}

TEST_F(AnalysisOfARun, ReportHasThePageAndTheTables) {
  const auto folder = *folder_ / "report";
  const auto tested =
      run_program({"test", run(), "--report", (folder / "new").string(), "--worst", "3"});
  ASSERT_EQ(tested.code, 0) << tested.output;
  const auto html = bytes_of(folder / "new" / "report.html");
  EXPECT_THAT(html, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(html, HasSubstr("<h1>run on test</h1>"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  const auto confusion = lines_of(bytes_of(folder / "new" / "confusion.csv"));
  ASSERT_EQ(confusion.size(), 5u);
  double sum = 0;
  for (size_t i = 1; i < confusion.size(); ++i) {
    std::istringstream cells(confusion[i]);
    std::string cell;
    std::getline(cells, cell, ',');
    while (std::getline(cells, cell, ',')) sum += std::stod(cell);
  }
  EXPECT_EQ(sum, 100);
  EXPECT_THAT(bytes_of(folder / "new" / "per_class.csv"),
              StartsWith("per_class,precision,recall,f1,support\r\n"));
}

TEST_F(AnalysisOfARun, ViewsAreAveraged) {
  const auto plain = *folder_ / "plain.jsonl", flipped = *folder_ / "flipped.jsonl";
  ASSERT_EQ(run_program({"test", run(), "--out", plain.string()}).code, 0);
  const auto tested =
      run_program({"test", run(), "--tta", "flip", "--out", flipped.string(), "--json"});
  ASSERT_EQ(tested.code, 0) << tested.output;
  EXPECT_EQ(json_of(tested.output)["views"], "flip");
  EXPECT_NE(bytes_of(plain), bytes_of(flipped));
  const auto crops = run_program({"test", run(), "--tta", "ten_crops", "--crop", "12"});
  EXPECT_EQ(crops.code, 0) << crops.output;
  EXPECT_THAT(crops.output, HasSubstr("100 samples, ten_crops of 12"));
}

TEST_F(AnalysisOfARun, BadInputOfTestIsAnError) {
  const auto message = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"test", run()});
    const auto finished = run_program(more);
    EXPECT_EQ(finished.code, 1) << finished.output;
    return finished.output;
  };
  EXPECT_THAT(message({"--out", "predictions.txt"}), HasSubstr("must end with .jsonl"));
  EXPECT_THAT(message({"--out", (*folder_ / "missing/p.csv").string()}),
              HasSubstr("missing/.p.csv"));
  EXPECT_THAT(message({"--split", "exam"}), HasSubstr("there is no split 'exam'"));
  EXPECT_THAT(message({"--tta", "rotate"}), HasSubstr("--tta"));
  EXPECT_THAT(message({"--crop", "8"}), HasSubstr("--crop: needs --tta five_crops"));
  EXPECT_THAT(message({"--tta", "five_crops", "--crop", "17"}), HasSubstr("images of 16 x 16"));
  EXPECT_THAT(message({"--top-k", "0"}), HasSubstr("--top-k"));
  EXPECT_THAT(message({"--worst", "-1"}), HasSubstr("--worst"));
  put_bytes(*folder_ / "file", "x");
  EXPECT_THAT(message({"--report", (*folder_ / "file").string()}),
              HasSubstr((*folder_ / "file").string()));
  const auto none = run_program({"test", folder_->path().string()});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.output, HasSubstr("is not a run"));
}

// ---- schedule -----------------------------------------------------------------------------------

TEST(ScheduleCommand, NeedsNoDataWhereTheConfigCountsSteps) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const std::vector<std::string> gone{"--set",
                                      "data.train.dataset={type: ImageFolder, root: /nowhere}"};
  std::vector<std::string> words{"schedule", config,           "--set", "train.epochs=null",
                                 "--set",    "train.steps=50", "--set", "warmup.steps=10",
                                 "--json",   "--every",        "1"};
  words.insert(words.end(), gone.begin(), gone.end());
  const auto shown = run_program(words);
  ASSERT_EQ(shown.code, 0) << shown.output;
  const auto found = json::parse(shown.output);
  EXPECT_EQ(found["steps"], 50);
  EXPECT_EQ(found["warmup_steps"], 10);
  EXPECT_TRUE(found["steps_per_epoch"].is_null());
  ASSERT_EQ(found["points"].size(), 50u);
  const auto lr = [&](int64_t step) { return found["points"][step]["lr"].get<double>(); };
  const auto cosine = [](int64_t step) { return 0.05 * (1 + std::cos(M_PI * step / 50.0)); };
  EXPECT_NEAR(lr(0), 0.1 * cosine(0), 1e-9) << "the warm-up starts at a tenth";
  EXPECT_NEAR(lr(30), cosine(30), 1e-9);
  // With epochs in the schedule the data must be there.
  words.insert(words.end(), {"--set", "schedule={type: MultiStep, milestones: [2]}"});
  EXPECT_THAT(run_program(words).output, HasSubstr("/nowhere"));
}

TEST(ScheduleCommand, SamplesStandForData) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto csv = run_program({"schedule", config, "--samples", "3200", "--csv", "--set",
                                "data.train.dataset={type: ImageFolder, root: /nowhere}", "--set",
                                "parameters.rules=[{match: 'backbone.*', lr_scale: 0.5}]"});
  ASSERT_EQ(csv.code, 0) << csv.output;
  const auto lines = lines_of(csv.output);
  EXPECT_EQ(lines[0], "step,epoch,lr,lr of backbone.*\r");
  EXPECT_EQ(lines[1], "0,0,0.1,0.05\r");
  EXPECT_EQ(lines.size(), 301u);
  EXPECT_THAT(run_program({"schedule", config, "--samples", "31"}).output,
              HasSubstr("--samples: 31 samples are less than one batch of 32"));
}

TEST(ScheduleCommand, TableShowsTheJumpsAndTheRules) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto out = (folder / "lr.svg").string();
  const auto shown = run_program({"schedule", config, "--out", out, "--set",
                                  "schedule={type: MultiStep, milestones: [2]}", "--set",
                                  "parameters.rules=[{match: 'backbone.*', lr_scale: 0.5}]"});
  ASSERT_EQ(shown.code, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr("SGD with lr 0.1, MultiStep over 30 steps (3 epochs of 10)"));
  EXPECT_THAT(shown.output, HasSubstr("\n20     2.00  0.01     0.005\n"));
  EXPECT_THAT(shown.output, HasSubstr("lr × 0.5: backbone.*"));
  EXPECT_THAT(shown.output, HasSubstr("┤██"));
  EXPECT_THAT(bytes_of(out), StartsWith("<svg"));
  EXPECT_THAT(bytes_of(out), HasSubstr("xmlns=\"http://www.w3.org/2000/svg\""));
}

TEST(ScheduleCommand, BadInputIsAnError) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto message = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"schedule", config});
    const auto finished = run_program(more);
    EXPECT_EQ(finished.code, 1) << finished.output;
    return finished.output;
  };
  EXPECT_THAT(message({"--out", "lr.pdf"}), HasSubstr("must end with .svg or .html"));
  EXPECT_THAT(message({"--out", (folder / "missing/lr.svg").string()}),
              HasSubstr("missing/.lr.svg"));
  EXPECT_THAT(message({"--every", "3"}), HasSubstr("--every: is for --json and --csv"));
  EXPECT_THAT(message({"--json", "--csv"}), HasSubstr("--csv"));
  EXPECT_THAT(message({"--set", "train.epochs=null"}),
              HasSubstr("give train.epochs or train.steps"));
  EXPECT_THAT(message({"--set", "train.epochs=null", "--samples", "320"}),
              HasSubstr("give train.epochs or train.steps"));
  EXPECT_THAT(run_program({"schedule", (folder / "none.yaml").string()}).output,
              HasSubstr("none.yaml"));
}

// ---- bench --------------------------------------------------------------------------------------

TEST(BenchCommand, MeasuresModelAndLoader) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto shown = run_program({"bench", config, "--batch", "8", "--steps", "2", "--json"});
  ASSERT_EQ(shown.code, 0) << shown.output;
  const auto found = json::parse(shown.output);
  EXPECT_EQ(found["batch"], 8);
  EXPECT_EQ(found["image"], (std::vector<int64_t>{3, 16, 16}));
  EXPECT_GT(found["parameters"], found["buffers"]);
  // The layers of ResNet-8 of width 8 for 16 x 16 pixels, by hand: the first convolution and two of
  // 8 channels, then 8 to 16 and 16 to 32 at half the size each, and the centroids.
  const int64_t stem = 256 * 27 * 8 + 2 * 256 * 72 * 8;
  const int64_t second = 64 * (72 + 144) * 16, third = 16 * (144 + 288) * 32;
  EXPECT_EQ(found["multiply_adds"], stem + second + third + 32 * 4 * 4);
  for (const char* part : {"forward", "train", "together"}) {
    const double ms = found[part]["ms"];
    EXPECT_GT(ms, 0) << part;
    EXPECT_NEAR(found[part]["images_per_second"].get<double>() * ms, 8000, 1e-6) << part;
  }
  EXPECT_GT(found["train"]["ms"], found["forward"]["ms"]);
  EXPECT_GT(found["forward"]["peak_mib"], 1);
  EXPECT_GT(found["loader"]["samples_per_second"], 0);
  EXPECT_GE(found["together"]["wait_share"], 0);
  EXPECT_LE(found["together"]["wait_share"], 1);
  const auto text = run_program({"bench", config, "--batch", "8", "--steps", "2"});
  EXPECT_THAT(text.output, HasSubstr("bottleneck")) << text.output;
}

TEST(BenchCommand, ProfileIsAChromeTraceOfThreeSteps) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto trace = (folder / "trace.json").string();
  const auto shown =
      run_program({"bench", config, "--batch", "8", "--steps", "2", "--profile", trace});
  ASSERT_EQ(shown.code, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr(trace + " has 3 steps more; open it in "));
  const auto written = json::parse(bytes_of(trace));
  std::map<std::string, int> calls;
  for (const auto& event : written["traceEvents"]) {
    if (event.value("ph", "") != "X") continue;
    EXPECT_GE(event["dur"].get<double>(), 0);
    ++calls[event["name"].get<std::string>()];
  }
  for (const char* phase : {"data", "forward", "backward", "optimizer", "update"}) {
    EXPECT_EQ(calls[phase], 3) << phase;
  }
  EXPECT_GE(calls["aten::convolution"], 3 * 7) << "ResNet-8";
  EXPECT_GE(calls["aten::_fused_sgd_"], 3);
}

TEST(BenchCommand, BadInputIsAnError) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto message = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"bench", config});
    const auto finished = run_program(more);
    EXPECT_EQ(finished.code, 1) << finished.output;
    return finished.output;
  };
  EXPECT_THAT(message({"--batch", "1000"}), HasSubstr("data.batch_size"));
  EXPECT_THAT(message({"--steps", "0"}), HasSubstr("--steps"));
  const auto nowhere = (folder / "none").string();
  EXPECT_EQ(message({"--profile", nowhere + "/trace.json"}),
            "error: " + nowhere + "/trace.json: the trace cannot be written there: " + nowhere +
                " is no folder\n");
  EXPECT_THAT(message({"--nvtx", "--set", "device=cpu"}),
              HasSubstr("NVTX ranges come with LibTorch's CUDA half"));
  EXPECT_THAT(message({"--nvtx", "--profile", "trace.json"}), HasSubstr("excludes"));
  EXPECT_THAT(message({"--set", "data.train.dataset=null"}), HasSubstr("has no training data"));
}

// ---- browse -------------------------------------------------------------------------------------

TEST(BrowseCommand, ShowsSamplesBeforeAndAfterEachTransform) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto page = (folder / "sheet.html").string();
  const auto shown = run_program({"browse", config, "--out", page, "--count", "3"});
  ASSERT_EQ(shown.code, 0) << shown.output;
  EXPECT_EQ(shown.output, page + ": 3 samples of train, 3 columns\n");
  const auto html = bytes_of(page);
  for (const char* heading : {">original<", ">RandomCrop<", ">RandomFlip<"}) {
    EXPECT_THAT(html, HasSubstr(heading));
  }
  size_t images = 0;
  for (size_t at = 0; (at = html.find("<img", at)) != std::string::npos; ++at) ++images;
  EXPECT_EQ(images, 9u);
  ASSERT_EQ(run_program({"browse", config, "--out", page, "--count", "3"}).code, 0);
  EXPECT_EQ(bytes_of(page), html) << "the same seed shows the same";
  ASSERT_EQ(run_program({"browse", config, "--out", page, "--count", "3", "--epoch", "1"}).code, 0);
  EXPECT_NE(bytes_of(page), html);
  const auto picture = (folder / "sheet.png").string();
  ASSERT_EQ(run_program({"browse", config, "--out", picture, "--split", "test"}).code, 0);
  EXPECT_THAT(bytes_of(picture), StartsWith("\x89PNG"));
}

TEST(BrowseCommand, ShowsNormalisedImagesInTheirOwnColours) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto page = (folder / "sheet.html").string();
  const auto shown = run_program({"browse", config, "--out", page, "--count", "1", "--set",
                                  "data.train.transforms=[{type: Normalize, mean: [120, 110, 100], "
                                  "std: [60, 50, 40]}]"});
  ASSERT_EQ(shown.code, 0) << shown.output;
  const auto html = bytes_of(page);
  std::vector<std::string> pictures;
  for (size_t at = 0; (at = html.find("base64,", at)) != std::string::npos; ++at) {
    pictures.push_back(html.substr(at, html.find('"', at) - at));
  }
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0], pictures[1]);
}

TEST(BrowseCommand, ShowsWhatIsDoneToWholeBatches) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto page = (folder / "sheet.html").string();
  const auto shown = run_program({"browse", config, "--out", page, "--count", "4", "--set",
                                  "data.train.batch_transforms=[{type: Mixup, alpha: 1.0}]"});
  ASSERT_EQ(shown.code, 0) << shown.output;
  EXPECT_EQ(shown.output, page + ": 4 samples of train, 4 columns\n");
  EXPECT_THAT(bytes_of(page), HasSubstr(">Mixup<"));
  EXPECT_THAT(bytes_of(page), HasSubstr(" → ")) << "the shares of the classes";
}

TEST(BrowseCommand, BadInputIsAnError) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto message = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"browse", config});
    const auto finished = run_program(more);
    EXPECT_EQ(finished.code, 1) << finished.output;
    return finished.output;
  };
  EXPECT_THAT(message({"--out", "sheet.gif"}), HasSubstr("must end with .html or .png"));
  EXPECT_THAT(message({"--out", (folder / "missing/sheet.png").string()}), HasSubstr("missing"));
  EXPECT_THAT(message({"--split", "exam"}), HasSubstr("there is no split 'exam'"));
  EXPECT_THAT(message({"--count", "0"}), HasSubstr("--count"));
}

// ---- lr-range -----------------------------------------------------------------------------------

TEST(LrRangeCommand, FindsAnLrAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto found = run_program({"lr-range", config, "--json", "--from", "1e-4", "--to", "1e3",
                                  "--steps", "40", "--out", (folder / "lr.html").string()});
  ASSERT_EQ(found.code, 0) << found.output;
  const auto result = json_of(found.output);
  const auto& points = result["points"];
  EXPECT_NEAR(points[0]["lr"].get<double>(), 1e-4, 1e-12);
  EXPECT_GT(result["steepest"], 1e-4);
  EXPECT_LT(result["steepest"], 10);
  EXPECT_THAT(bytes_of(folder / "lr.html"), HasSubstr("<svg"));
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path()))
    names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"lr.html", "small.yaml"}));
}

TEST(LrRangeCommand, BadInputIsAnError) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto message = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"lr-range", config});
    const auto finished = run_program(more);
    EXPECT_EQ(finished.code, 1) << finished.output;
    return finished.output;
  };
  EXPECT_THAT(message({"--from", "1", "--to", "0.1"}), HasSubstr("must be 0 < from < to"));
  EXPECT_THAT(message({"--steps", "5"}), HasSubstr("must be at least 10"));
  EXPECT_THAT(message({"--out", "lr.png"}), HasSubstr("must end with .svg or .html"));
  EXPECT_THAT(message({"--set", "optimizer=null"}), HasSubstr("optimizer"));
}

}  // namespace
}  // namespace dnc
