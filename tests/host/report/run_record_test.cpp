#include "host/report/run_record.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "registry/error.h"
#include "tests/host/report/fake_runs.h"
#include "tests/temporary_folder.h"

namespace dnc::report {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::StartsWith;

constexpr const char* kResult = R"({
  "name": "resnet8_dnc", "config": "configs/resnet8_dnc.yaml", "seed": 3, "steps": 1000,
  "epochs": 2.1, "seconds": 31.2, "step_ms": {"median": 5.1, "p90": 6.0},
  "images_per_second": 25000, "peak_memory_mib": 612,
  "parameters": {"learnable": 78000, "total": 79000, "buffers": 2560},
  "split": "test", "figures": {"top1": 0.81, "another": null, "a": 0.5},
  "tables": [{"name": "per_class", "columns": ["recall", "f1"], "rows": ["Bag"],
              "values": [0.5, null]}],
  "prototypes": {"figures": {"dead": 0.0}, "mass": [[0.25, 0.75]]},
  "machine": {"cpu": "Some CPU", "threads": 2, "device": "cpu"},
  "version": "0.1.0", "date": "2026-11-23T10:00:00Z"})";

class RunFolderFiles : public testing::Test {
 protected:
  RunFolderFiles() {
    put_bytes(folder_ / "metrics.jsonl", "");
    put_bytes(folder_ / "result.json", kResult);
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  std::string error() const {
    return message_of<Error>([&] { read_run(folder_.path()); });
  }
  /// Puts result.json there with one text replaced.
  void replace(const std::string& from, const std::string& to) const {
    std::string text = kResult;
    ASSERT_NE(text.find(from), std::string::npos);
    put_bytes(folder_ / "result.json", text.replace(text.find(from), from.size(), to));
  }
  Metrics metrics(const std::string& lines) const {
    put_bytes(folder_ / "metrics.jsonl", lines);
    return read_metrics(folder_ / "metrics.jsonl");
  }
  TemporaryFolder folder_;
};

std::string train_line(int64_t step, double loss) {
  return R"({"event":"train","step":)" + std::to_string(step) + R"(,"losses":{"loss":)" +
         std::to_string(loss) + "}}\n";
}

std::string evaluation_line(int64_t step, const std::string& split, double top1) {
  return R"({"event":"evaluation","split":")" + split + R"(","step":)" + std::to_string(step) +
         R"(,"figures":{"top1":)" + std::to_string(top1) + "}}\n";
}

std::vector<int64_t> steps(const auto& events) {
  std::vector<int64_t> steps;
  for (const auto& event : events) steps.push_back(event.step);
  return steps;
}

TEST_F(RunFolderFiles, ResultHasAllThatTheFileSays) {
  const auto run = read_run(folder_.path());
  const auto& result = run.result;
  EXPECT_EQ(run.folder, folder_.path());
  EXPECT_EQ(result.name, "resnet8_dnc");
  EXPECT_EQ(result.config, "configs/resnet8_dnc.yaml");
  EXPECT_EQ(result.seed, 3);
  EXPECT_EQ(result.steps, 1000);
  EXPECT_EQ(result.epochs, 2.1);
  EXPECT_EQ(result.seconds, 31.2);
  EXPECT_EQ(result.step_ms_median, 5.1);
  EXPECT_EQ(result.step_ms_p90, 6.0);
  EXPECT_EQ(result.images_per_second, 25000);
  EXPECT_EQ(result.peak_memory_mib, 612);
  EXPECT_EQ(result.learnable_parameters, 78000);
  EXPECT_EQ(result.total_parameters, 79000);
  EXPECT_EQ(result.buffers, 2560);
  EXPECT_EQ(result.split, "test");
  EXPECT_THAT(result.prototype_figures, ElementsAre(Pair("dead", 0.0)));
  EXPECT_THAT(result.mass, ElementsAre(ElementsAre(0.25, 0.75)));
  EXPECT_EQ(result.cpu, "Some CPU");
  EXPECT_EQ(result.threads, 2);
  EXPECT_EQ(result.device, "cpu");
  EXPECT_EQ(result.version, "0.1.0");
  EXPECT_EQ(result.date, "2026-11-23T10:00:00Z");
}

TEST_F(RunFolderFiles, FiguresKeepTheirOrderAndNullIsNaN) {
  const auto figures = read_run(folder_.path()).result.figures;
  ASSERT_EQ(figures.size(), 3u);
  EXPECT_EQ(figures[0], (std::pair<std::string, double>("top1", 0.81)));
  EXPECT_EQ(figures[1].first, "another");
  EXPECT_TRUE(std::isnan(figures[1].second));
  EXPECT_EQ(figure(figures, "a"), 0.5);
  EXPECT_TRUE(std::isnan(figure(figures, "b")));
}

TEST_F(RunFolderFiles, TableIsFoundByNameWithNaNForNull) {
  const auto result = read_run(folder_.path()).result;
  const auto* const table = find_table(result, "per_class");
  ASSERT_NE(table, nullptr);
  EXPECT_THAT(table->columns, ElementsAre("recall", "f1"));
  EXPECT_THAT(table->rows, ElementsAre("Bag"));
  EXPECT_EQ(table->values[0], 0.5);
  EXPECT_TRUE(std::isnan(table->values[1]));
  EXPECT_EQ(find_table(result, "confusion"), nullptr);
}

TEST_F(RunFolderFiles, OptionalNumbersMayBeMissing) {
  put_bytes(folder_ / "result.json", R"({"name": "a", "seed": 0, "figures": {"top1": 1}})");
  const auto result = read_run(folder_.path()).result;
  EXPECT_TRUE(std::isnan(result.seconds));
  EXPECT_TRUE(std::isnan(result.step_ms_median));
  EXPECT_TRUE(std::isnan(result.learnable_parameters));
  EXPECT_THAT(result.mass, IsEmpty());
}

TEST_F(RunFolderFiles, RunWithoutATestHasTheFiguresOfItsLastEvaluation) {
  replace(R"("split": "test", "figures": {"top1": 0.81, "another": null, "a": 0.5})",
          R"("split": "", "figures": {})");
  put_bytes(folder_ / "metrics.jsonl",
            evaluation_line(10, "val", 0.5) + evaluation_line(20, "val", 0.75));
  const auto result = read_run(folder_.path()).result;
  EXPECT_EQ(result.split, "val");
  EXPECT_THAT(result.figures, ElementsAre(Pair("top1", 0.75)));
}

TEST_F(RunFolderFiles, MissingFilesAreNamedWithWhatToDo) {
  std::filesystem::remove(folder_ / "result.json");
  EXPECT_EQ(error(), file("result.json") +
                         ": is missing; expected the folder of a finished run: let the run finish, "
                         "or give another folder");
  std::filesystem::remove(folder_ / "metrics.jsonl");
  EXPECT_THAT(error(), StartsWith(file("metrics.jsonl") + ": is missing"));
}

TEST_F(RunFolderFiles, GarbledResultIsNamed) {
  put_bytes(folder_ / "result.json", "{\"name\": \"resn");
  EXPECT_EQ(error(), file("result.json") +
                         ": is not JSON; the file is damaged: put it back from a copy, or delete "
                         "the run folder and train again");
  put_bytes(folder_ / "result.json", std::string("\0\0\0\0", 4));
  EXPECT_THAT(error(), StartsWith(file("result.json") + ": is not JSON"));
  put_bytes(folder_ / "result.json", "[1, 2]");
  EXPECT_THAT(error(),
              StartsWith(file("result.json") + ": the content must be a map, but is [1,2]"));
  put_bytes(folder_ / "result.json", "{\"name\": \"\xff\"}");
  EXPECT_THAT(error(), StartsWith(file("result.json") + ": is not JSON")) << "bytes not UTF-8";
}

TEST_F(RunFolderFiles, ValueOfAnotherTypeIsNamedWithItsPath) {
  const auto begin = file("result.json") + ": ";
  replace("\"seed\": 3", "\"seed\": \"3\"");
  EXPECT_THAT(error(), StartsWith(begin + "'seed' must be a whole number, but is \"3\"; "));
  replace("\"seed\": 3", "\"seed\": 1e30");
  EXPECT_THAT(error(), StartsWith(begin + "'seed' must be a whole number, but is 1e+30; "));
  replace("\"seed\": 3", "\"seed\": 18446744073709551615");
  EXPECT_THAT(error(), StartsWith(begin + "'seed' must be a whole number"));
  replace("\"seed\": 3,", "");
  EXPECT_THAT(error(), StartsWith(begin + "'seed' must be a whole number, but is missing; "));
  replace("\"median\": 5.1", "\"median\": [5.1]");
  EXPECT_THAT(error(), StartsWith(begin + "'step_ms.median' must be a number, but is [5.1]; "));
  replace("\"top1\": 0.81", "\"top1\": \"high\"");
  EXPECT_THAT(error(), StartsWith(begin + "'figures.top1' must be a number, but is \"high\"; "));
  replace("\"name\": \"resnet8_dnc\",", "");
  EXPECT_THAT(error(), StartsWith(begin + "'name' must be there, but is missing; "));
  replace("{\"cpu\": \"Some CPU\", \"threads\": 2, \"device\": \"cpu\"}", "7");
  EXPECT_THAT(error(), StartsWith(begin + "'machine' must be a map, but is 7; "));
}

TEST_F(RunFolderFiles, TableWithTheWrongNumberOfValuesIsRefused) {
  replace("[0.5, null]", "[0.5, null, 1]");
  EXPECT_THAT(error(), StartsWith(file("result.json") + ": 'tables[0].values' must be 2 numbers "
                                                        "(1 rows of 2), but is [0.5,null,1]; "));
}

TEST_F(RunFolderFiles, MetricsAreReadByEvent) {
  const auto read = metrics(
      R"({"event":"train","step":100,"epoch":0.5,"lr":0.1,"losses":{"loss":1.2,"Aux":0.2},)"
      R"("step_ms":5.1,"wait_ms":0.2})"
      "\n\n"
      R"({"event":"evaluation","split":"val","step":200,"epoch":1.0,"figures":{"top1":0.8},)"
      R"("prototypes":{"dead":0.0}})"
      "\n"
      R"({"event":"a later version's","step":201})"
      "\n"
      R"({"event":"end","step":200,"reason":"done"})"
      "\n");
  ASSERT_EQ(read.train.size(), 1u);
  EXPECT_EQ(read.train[0].step, 100);
  EXPECT_EQ(read.train[0].epoch, 0.5);
  EXPECT_EQ(read.train[0].lr, 0.1);
  EXPECT_THAT(read.train[0].losses, ElementsAre(Pair("loss", 1.2), Pair("Aux", 0.2)));
  EXPECT_EQ(read.train[0].step_ms, 5.1);
  EXPECT_EQ(read.train[0].wait_ms, 0.2);
  ASSERT_EQ(read.evaluations.size(), 1u);
  EXPECT_EQ(read.evaluations[0].split, "val");
  EXPECT_EQ(read.evaluations[0].step, 200);
  EXPECT_THAT(read.evaluations[0].figures, ElementsAre(Pair("top1", 0.8)));
  EXPECT_THAT(read.evaluations[0].prototypes, ElementsAre(Pair("dead", 0.0)));
  EXPECT_EQ(read.end_reason, "done");
}

TEST_F(RunFolderFiles, LastLineThatWasCutOffIsLeftOut) {
  const auto whole = train_line(10, 1) + train_line(20, 1);
  for (size_t size = whole.size() - 2; size > train_line(10, 1).size(); --size) {
    EXPECT_THAT(steps(metrics(whole.substr(0, size)).train), ElementsAre(10)) << size;
  }
  EXPECT_THAT(steps(metrics(whole.substr(0, whole.size() - 1)).train), ElementsAre(10, 20));
}

TEST_F(RunFolderFiles, GarbledLineInTheMiddleIsNamedWithItsNumber) {
  const auto call = [&] { metrics(train_line(10, 1) + "{\"event\":\n" + train_line(20, 1)); };
  EXPECT_EQ(message_of<Error>(call),
            file("metrics.jsonl") +
                ":2: is not a JSON object; the file is damaged: put it back from a copy, or delete "
                "the run folder and train again");
  const auto negative = [&] { metrics(train_line(-1, 1)); };
  EXPECT_THAT(message_of<Error>(negative),
              StartsWith(file("metrics.jsonl") + ":1: 'step' must be 0 or more, but is -1; "));
}

TEST_F(RunFolderFiles, StepsThatAResumedRunDidAgainCountOnce) {
  // Killed after step 40, resumed from a checkpoint of step 15.
  const auto read = metrics(
      train_line(10, 1) + train_line(20, 2) + evaluation_line(20, "val", 0.2) + train_line(30, 3) +
      train_line(40, 4) + evaluation_line(40, "val", 0.4) + train_line(20, 5) +
      evaluation_line(20, "val", 0.5) + evaluation_line(20, "test", 0.6) + train_line(30, 6));
  EXPECT_THAT(steps(read.train), ElementsAre(10, 20, 30));
  EXPECT_THAT(read.train[1].losses, ElementsAre(Pair("loss", 5)));
  EXPECT_THAT(steps(read.evaluations), ElementsAre(20, 20));
  EXPECT_THAT(read.evaluations[0].figures, ElementsAre(Pair("top1", 0.5)));
  EXPECT_EQ(read.evaluations[1].split, "test");
}

TEST_F(RunFolderFiles, RunThatWentOnAfterItsEndHasNotEnded) {
  EXPECT_EQ(metrics(train_line(1, 1) + "{\"event\":\"end\",\"reason\":\"interrupted\"}\n" +
                    train_line(2, 1))
                .end_reason,
            "");
}

class PrototypeFile : public RunFolderFiles {
 protected:
  /// prototypes.json of one class with one prototype.
  void put(const std::string& label, const std::string& png) const {
    put_bytes(folder_ / "prototypes.json",
              R"({"classes":["Bag"],"prototypes":[{"class":)" + label +
                  R"(,"index":2,"mass":0.26,"similarity":0.98,"sample":1234,)" +
                  R"("name":"train-images #1234","png":")" + png + "\"}]}");
  }
};

TEST_F(PrototypeFile, IsReadWithTheSizeOfItsPictures) {
  put("0", kTinyPng);
  const auto run = read_run(folder_.path());
  EXPECT_THAT(run.prototype_classes, ElementsAre("Bag"));
  ASSERT_EQ(run.prototypes.size(), 1u);
  const auto& prototype = run.prototypes[0];
  EXPECT_EQ(prototype.class_index, 0);
  EXPECT_EQ(prototype.index, 2);
  EXPECT_EQ(prototype.mass, 0.26);
  EXPECT_EQ(prototype.similarity, 0.98);
  EXPECT_EQ(prototype.sample, "train-images #1234");
  EXPECT_EQ(prototype.png, kTinyPng);
  EXPECT_EQ(prototype.width, 2);
  EXPECT_EQ(prototype.height, 3);
}

TEST_F(PrototypeFile, MayBeMissing) { EXPECT_THAT(read_run(folder_.path()).prototypes, IsEmpty()); }

TEST_F(PrototypeFile, ClassBeyondTheListIsRefused) {
  put("1", kTinyPng);
  EXPECT_THAT(error(), StartsWith(file("prototypes.json") +
                                  ": 'prototypes[0].class' must be one of 1 classes, but is 1; "));
  put("-1", kTinyPng);
  EXPECT_THAT(error(), StartsWith(file("prototypes.json") + ": 'prototypes[0].class' must be "));
}

TEST_F(PrototypeFile, PictureThatIsNoPngIsRefused) {
  const auto expected =
      file("prototypes.json") + ": 'prototypes[0].png' must be a PNG file in base64, but is ";
  const std::string png = kTinyPng;
  const auto changed = [&](size_t at, std::string_view text) {
    return fmt::format("{}{}{}", png.substr(0, at), text, png.substr(at + text.size()));
  };
  for (const auto& bad : {std::string("AAAA"), png.substr(0, 28), png + "A", changed(0, "A"),
                          changed(0, "////"), changed(40, "<b>'"), changed(40, "====")}) {
    put("0", bad);
    EXPECT_THAT(error(), StartsWith(expected)) << bad;
  }
  put("0", changed(21, "o"));  // a width of 2^31
  EXPECT_THAT(error(), StartsWith(expected));
  EXPECT_THAT(error(), HasSubstr("...")) << "the picture itself is not printed whole";
  EXPECT_THAT(error(), EndsWith("train again"));
}

}  // namespace
}  // namespace dnc::report
