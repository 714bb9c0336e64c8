#include <gtest/gtest.h>

#include <algorithm>
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

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A small PPM picture.
void write_picture(const fs::path& path, int shade) {
  std::ofstream file(path, std::ios::binary);
  file << "P6 16 16 255\n";
  for (int i = 0; i < 16 * 16 * 3; ++i) file.put(static_cast<char>((i * 7 + shade) % 256));
}

TEST(Commands, EachHasAHelpWithAnExample) {
  for (const std::string name :
       {"train",  "test",       "compare", "predict",  "explain",     "fit",     "knn",
        "browse", "bench",      "config",  "check",    "verify-data", "list",    "describe",
        "schema", "completion", "convert", "schedule", "lr-range",    "plugins", "version",
        "export", "report",     "logs",    "new"}) {
    const auto help = run_program({name, "--help"});
    EXPECT_EQ(help.code, 0) << name;
    EXPECT_TRUE(has(help.output, "Example:\n  dnc-host " + name)) << help.output;
  }
  EXPECT_TRUE(has(run_program({}).output, "compare"));
  EXPECT_TRUE(has(run_program({"--version"}).output, "0.1.0"));
}

TEST(Commands, AnUnknownCommandOrOptionEndsWithOne) {
  const auto command = run_program({"trian"});
  EXPECT_EQ(command.code, 1);
  EXPECT_TRUE(
      command.output.starts_with("error: 'trian' is no command; did you mean 'train'? (known: "))
      << command.output;
  EXPECT_TRUE(has(command.output, "`dnc-host --help` says what each does.")) << command.output;
  const auto option = run_program({"train", "x.yaml", "--sede", "1"});
  EXPECT_EQ(option.code, 1);
  EXPECT_TRUE(has(option.output, "`dnc-host train --help` shows what there is.")) << option.output;
}

TEST(Commands, TrainTestAndPredictWorkTogether) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto run = (folder / "run").string();
  const auto trained = run_program({"train", config.string(), "-o", run});
  ASSERT_EQ(trained.code, 0) << trained.output;
  for (const char* file : {"config.yaml", "environment.json", "metrics.jsonl", "log.txt",
                           "classes.json", "result.json", "checkpoints/best/manifest.json"}) {
    EXPECT_TRUE(fs::exists(fs::path(run) / file)) << file;
  }

  const auto tested = run_program({"test", run, "--json", "--checkpoint", "newest"});
  ASSERT_EQ(tested.code, 0) << tested.output;
  const auto found = nlohmann::json::parse(tested.output);
  const auto result = nlohmann::json::parse(bytes_of(fs::path(run) / "result.json"));
  EXPECT_EQ(found["figures"]["accuracy/top1"], result["figures"]["accuracy/top1"]);
  EXPECT_GT(found["figures"]["accuracy/top1"].get<double>(), 0.5) << "four classes of rings";
  EXPECT_TRUE(has(run_program({"test", run}).output, "confusion"));

  fs::create_directory(folder / "pictures");
  write_picture(folder / "pictures" / "a.ppm", 1);
  write_picture(folder / "pictures" / "b.ppm", 99);
  const auto lines = run_program(
      {"predict", run, (folder / "pictures").string(), "--format", "jsonl", "--top-k", "10"});
  ASSERT_EQ(lines.code, 0) << lines.output;
  const auto first = nlohmann::json::parse(lines.output.substr(0, lines.output.find('\n')));
  EXPECT_EQ(first["file"], (folder / "pictures" / "a.ppm").string());
  ASSERT_EQ(first["predictions"].size(), 4u) << "as many as there are classes";
  double sum = 0;
  for (const auto& one : first["predictions"]) sum += one["score"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-5);
  const auto csv = run_program(
      {"predict", run, (folder / "pictures" / "a.ppm").string(), "--format", "csv", "-k", "2"});
  EXPECT_TRUE(has(csv.output, "file,class_1,score_1,class_2,score_2\r\n")) << csv.output;
}

TEST(Commands, PredictNeedsNoDataSet) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto run = (folder / "run").string();
  ASSERT_EQ(run_program({"train", config.string(), "-o", run}).code, 0);
  write_picture(folder / "a.ppm", 1);
  const auto gone = run_program({"predict", run, (folder / "a.ppm").string(), "--set",
                                 "data.train.dataset={type: ImageFolder, root: /nowhere}", "--set",
                                 "data.test.dataset={type: ImageFolder, root: /nowhere}"});
  EXPECT_EQ(gone.code, 0) << gone.output;
}

// Four classes of pictures as folders, one picture of them damaged.
void write_classes(const fs::path& root) {
  for (const char* name : {"a", "b", "c", "d"}) {
    fs::create_directories(root / name);
    for (int i = 0; i < 3; ++i) {
      write_picture(root / name / (std::to_string(i) + ".ppm"), 50 * (name[0] - 'a') + i);
    }
  }
  std::ofstream(root / "b" / "1.ppm") << "P6 16 16 255\ntoo short";
}

TEST(Commands, PredictClassifiesTheOthersWhereAFileIsDamaged) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path());
  const auto run = (folder / "run").string();
  ASSERT_EQ(run_program({"train", config.string(), "-o", run}).code, 0);
  write_classes(folder / "pictures");
  const auto damaged = (folder / "pictures/b/1.ppm").string();
  const auto found = run_program({"predict", run, (folder / "pictures").string(), "--format",
                                  "jsonl", "--set", "data.eval_batch_size=2"});
  EXPECT_EQ(found.code, 1) << found.output;
  EXPECT_TRUE(has(found.output, "error: " + damaged + ": ")) << found.output;
  std::vector<std::string> files;
  std::istringstream lines(found.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.front() == '{') files.push_back(nlohmann::json::parse(line)["file"]);
  }
  EXPECT_EQ(files.size(), 11u);
  EXPECT_EQ(std::set<std::string>(files.begin(), files.end()).size(), 11u) << "each once";
  EXPECT_EQ(std::count(files.begin(), files.end(), damaged), 0);
  const auto none = run_program({"predict", run, damaged});
  EXPECT_EQ(none.code, 1);
  EXPECT_EQ(none.output.find("error: " + damaged), 0u) << none.output;
}

TEST(Commands, DamagedSamplesThatMayPassAreReported) {
  const TemporaryFolder folder;
  write_classes(folder / "pictures");
  const auto config = write_small_config(folder.path()).string();
  const auto data = "{type: ImageFolder, root: " + (folder / "pictures").string() + "}";
  const auto run = folder / "run";
  const std::vector<std::string> changes{"--set", "data.train.dataset=" + data,
                                         "--set", "data.test.dataset=" + data,
                                         "--set", "data.batch_size=12",
                                         "--set", "data.max_bad_samples=1",
                                         "--set", "train.epochs=2"};
  std::vector<std::string> arguments{"train", config, "-o", run.string()};
  arguments.insert(arguments.end(), changes.begin(), changes.end());
  const auto trained = run_program(arguments);
  ASSERT_EQ(trained.code, 0) << trained.output;
  const auto damaged = (folder / "pictures/b/1.ppm").string();
  const auto warning = "train: 1 damaged sample does not count; it is: " + damaged;
  EXPECT_TRUE(has(trained.output, "warning: " + warning)) << trained.output;
  EXPECT_TRUE(has(bytes_of(run / "log.txt"), warning));
  std::map<std::string, int> events;
  std::istringstream lines(bytes_of(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line);
    if (event["event"] != "bad_samples") continue;
    ++events[event["split"]];
    EXPECT_EQ(event["count"], 1);
    EXPECT_EQ(event["first"].get<std::string>().find(damaged), 0u) << line;
  }
  EXPECT_EQ(events["train"], 1) << "known ones are not told again";
  EXPECT_EQ(events["val"], 2) << "at each evaluation";
  EXPECT_EQ(events["test"], 1);
  EXPECT_TRUE(has(run_program({"test", run.string()}).output, "warning: test: 1 damaged sample"));
}

TEST(Commands, TheBestWeightsAreSavedWhenTheyAreFound) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto run = folder / "run";
  const auto trained =
      run_program({"train", config, "-o", run.string(), "--set", "train.save.steps=1000", "--set",
                   "train.evaluate.steps=7", "--set", "train.keep=100"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  std::set<std::string> expected{"step_00000030"};  // the end
  std::string best_name;
  double best = -1;
  std::istringstream lines(bytes_of(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line);
    if (event["event"] != "evaluation" || event["split"] != "val") continue;
    const double value = event["figures"]["accuracy/top1"];
    if (value <= best) continue;
    best = value;
    auto digits = std::to_string(event["step"].get<int64_t>());
    best_name = "step_" + std::string(8 - digits.size(), '0') + digits;
    expected.insert(best_name);
  }
  EXPECT_TRUE(expected.contains("step_00000007")) << "the first evaluation is the best so far";
  std::set<std::string> saved;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    if (!entry.is_symlink()) saved.insert(entry.path().filename().string());
  }
  EXPECT_EQ(saved, expected);
  EXPECT_EQ(fs::read_symlink(run / "checkpoints/best").filename(), best_name);
}

TEST(Commands, AnotherTypeByOverrideSaysHowToReplaceTheWhole) {
  const TemporaryFolder folder;
  const auto config =
      write_small_config(folder.path(), "c.yaml", "{type: DNC, sub_centroids: 2}").string();
  const auto refused = run_program({"config", config, "--set", "model.head.type=Linear"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(has(refused.output, "'model.head.sub_centroids' is not a known key"))
      << refused.output;
  EXPECT_TRUE(has(refused.output,
                  "\n  --set model.head.type=Linear keeps the options of the component before; "
                  "replace all of it with --set model.head=Linear\n"))
      << refused.output;
  const auto replaced = run_program({"config", config, "--set", "model.head=Linear"});
  EXPECT_EQ(replaced.code, 0) << replaced.output;
  EXPECT_TRUE(has(replaced.output, "type: Linear"));
  // A key that is wrong by itself gets no such advice.
  const auto other = run_program({"config", config, "--set", "model.head.sub_centroid=3"});
  EXPECT_FALSE(has(other.output, "replace all of it")) << other.output;
}

TEST(Commands, PredictSaysWhatIsWrongWithItsInput) {
  const TemporaryFolder folder;
  const auto missing = run_program({"predict", "nowhere", "nofile.png"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.output, "error: nofile.png: no such file or folder\n");
  fs::create_directory(folder / "empty");
  const auto empty = (folder / "empty").string();
  EXPECT_EQ(run_program({"predict", "nowhere", empty}).output,
            "error: " + empty + ": there is no image in this folder\n");
  write_picture(folder / "a.ppm", 1);
  const auto no_run = run_program({"predict", empty, (folder / "a.ppm").string()});
  EXPECT_EQ(no_run.code, 1);
  EXPECT_TRUE(has(no_run.output, "is not a run: it has no config.yaml")) << no_run.output;
}

TEST(Commands, CompareTrainsEachConfigWithEachSeedOnce) {
  const TemporaryFolder folder;
  const auto linear = write_small_config(folder.path(), "linear.yaml", "{type: Linear}").string();
  const auto dnc = write_small_config(folder.path(), "dnc.yaml", "{type: DNC}").string();
  const std::vector<std::string> arguments{"compare",        linear, dnc,
                                           "--seeds",        "0,1",  "--set",
                                           "train.epochs=1", "-o",   (folder / "out").string()};
  const auto compared = run_program(arguments);
  ASSERT_EQ(compared.code, 0) << compared.output;
  EXPECT_TRUE(has(compared.output, "[4/4] dnc seed 1")) << compared.output;
  for (const char* file : {"report.html", "comparison.csv", "linear/seed_1/result.json",
                           "dnc/seed_0/prototypes.json"}) {
    EXPECT_TRUE(fs::exists(folder / "out" / file)) << file;
  }
  const auto images =
      nlohmann::json::parse(bytes_of(folder / "out" / "dnc/seed_0/prototypes.json"));
  EXPECT_EQ(images["prototypes"].size(), 16u) << "4 classes with 4 sub-centroids";
  // The nearest image is of the prototype's own class: Synthetic gives sample i class i % 4.
  for (const auto& one : images["prototypes"]) {
    EXPECT_EQ(one["sample"].get<int64_t>() % 4, one["class"].get<int64_t>());
  }
  const auto again = run_program(arguments);
  EXPECT_EQ(again.code, 0);
  EXPECT_TRUE(has(again.output, "[4/4] dnc seed 1: done already")) << again.output;
}

TEST(Commands, ConfigPrintsAllValuesAndWhereTheyComeFrom) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto shown = run_program({"config", config, "--set", "optimizer.lr=0.5"});
  ASSERT_EQ(shown.code, 0) << shown.output;
  EXPECT_TRUE(has(shown.output, "# --set optimizer.lr=0.5")) << shown.output;
  EXPECT_TRUE(has(shown.output, "# " + config + ":1:7")) << shown.output;
  EXPECT_TRUE(has(shown.output, "accumulate: 1\n")) << "a default, which has no origin";
  // What it prints is a config with the same meaning.
  std::ofstream(folder / "resolved.yaml") << shown.output;
  const auto again = run_program({"config", (folder / "resolved.yaml").string(), "--no-origins"});
  EXPECT_EQ(again.output,
            run_program({"config", config, "--no-origins", "--set", "optimizer.lr=0.5"}).output);
}

TEST(Commands, CheckRunsABatchThroughWithoutTraining) {
  const TemporaryFolder folder;
  const auto config = write_small_config(folder.path()).string();
  const auto checked = run_program({"check", config});
  EXPECT_EQ(checked.code, 0) << checked.output;
  EXPECT_TRUE(has(checked.output, "scores Float [32, 4]")) << checked.output;
  EXPECT_TRUE(has(checked.output, "all is well\n")) << checked.output;
}

TEST(Commands, ListDescribeAndSchemaKnowTheComponents) {
  EXPECT_TRUE(has(run_program({"list", "head"}).output, "SubCentroids_Head_Formal"));
  EXPECT_TRUE(has(run_program({"list", "backbone", "--names"}).output, "ResNetCifar\n"));
  EXPECT_EQ(run_program({"list", "batch_transform", "--names"}).output,
            "CutMix\nMixup\nRandomChoice\n");
  const auto described = run_program({"describe", "SubCentroids_Head_Formal"});
  EXPECT_TRUE(has(described.output, "DNC (head)")) << described.output;
  EXPECT_TRUE(has(described.output, "sub_centroids  (integer, from 1 to 256; default 4)"))
      << described.output;
  EXPECT_TRUE(has(run_program({"describe", "config"}).output, "load_from"));
  const auto unknown = run_program({"describe", "ResNetCifra"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_TRUE(has(unknown.output, "did you mean 'ResNetCifar'?")) << unknown.output;
  const auto schema = nlohmann::json::parse(run_program({"schema"}).output);
  EXPECT_TRUE(schema["definitions"].contains("head"));
  EXPECT_TRUE(schema["properties"].contains("optimizer"));
}

TEST(Commands, PluginsShowsStampsComponentsAndReasons) {
  const auto good = run_program({"plugins"});
  EXPECT_EQ(good.code, 0) << good.output;
  EXPECT_TRUE(has(good.output, "  head DNC\n")) << good.output;
  const auto bad = run_program({"plugins", "/nowhere/my_net.so"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_TRUE(has(bad.output, "did not load: /nowhere/my_net.so: no such plugin")) << bad.output;
}

}  // namespace
}  // namespace dnc
