#include "host/report/run_logs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "registry/error.h"
#include "tests/host/report/xml.h"
#include "tests/temporary_folder.h"

namespace dnc::report {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

/// Two runs that log their loss at steps 10 and 20; the second has an evaluation as well.
class TwoRuns : public testing::Test {
 protected:
  TwoRuns() : linear_(make("linear/seed_0")), dnc_(make("dnc/seed_0")) {
    put_bytes(linear_ / "metrics.jsonl", train(10, 2) + train(20, 1.5));
    put_bytes(dnc_ / "metrics.jsonl",
              train(10, 1.75) + evaluation(10, 0.5) + train(20, 1.25) + evaluation(20, 0.375) +
                  "{\"event\":\"end\",\"step\":20,\"reason\":\"interrupted\"}\n");
  }
  fs::path make(const std::string& name) const {
    fs::create_directories(folder_ / name);
    put_bytes(folder_ / name / "config.yaml", "data: {batch_size: 8}\ntrain: {steps: 40}\n");
    return folder_ / name;
  }
  static std::string train(int step, double loss) {
    return R"({"event":"train","step":)" + std::to_string(step) + R"(,"epoch":)" +
           std::to_string(step / 10) + R"(,"lr":0.1,"losses":{"loss":)" + std::to_string(loss) +
           R"(},"step_ms":20})" + "\n";
  }
  static std::string evaluation(int step, double top1) {
    return R"({"event":"evaluation","split":"val","step":)" + std::to_string(step) +
           R"(,"epoch":1,"figures":{"accuracy/top1":)" + std::to_string(top1) + "}}\n";
  }
  RunLogs logs() const { return RunLogs({linear_, dnc_}); }

  TemporaryFolder folder_;
  fs::path linear_, dnc_;
};

TEST_F(TwoRuns, TableHasARowForEachRun) {
  const auto text = logs().to_terminal({"val/accuracy/top1", "train/loss"}, 80, false);
  EXPECT_THAT(text, StartsWith("run            step  epoch  val/accuracy/top1    best  at step  "
                               "train/loss  step, ms  images/s   time                 state\n"));
  EXPECT_THAT(text, HasSubstr("linear/seed_0    20   2.00                  –       –        –"));
  EXPECT_THAT(text, HasSubstr("of 40 steps"));
  EXPECT_THAT(text, HasSubstr("dnc/seed_0       20   2.00             0.3750  0.5000       10"));
  EXPECT_THAT(text, HasSubstr("stopped: interrupted"));
}

TEST_F(TwoRuns, CurvesOfASeriesHaveTheSameAxes) {
  const auto text = logs().to_terminal({"train/loss"}, 80, false);
  EXPECT_THAT(text, HasSubstr("\ntrain/loss\nlinear/seed_0\n2.00 ┤"));
  EXPECT_THAT(text, HasSubstr("\ndnc/seed_0\n2.00 ┤"));
  EXPECT_THAT(text, AllOf(HasSubstr("1.25 ┤"), HasSubstr("step 0")));
  EXPECT_THAT(logs().to_terminal({"val/accuracy/top1"}, 80, false),
              HasSubstr("linear/seed_0\n  not logged\n"));
}

TEST_F(TwoRuns, DefaultIsTheMainFigureAndTheLoss) {
  EXPECT_THAT(logs().main_series(), ElementsAre("val/accuracy/top1", "train/loss"));
  EXPECT_THAT(RunLogs({linear_}).main_series(), ElementsAre("train/loss"));
}

TEST_F(TwoRuns, SeriesIsFoundByTheEndOfItsName) {
  const auto all = logs();
  EXPECT_EQ(all.find_series("accuracy/top1"), "val/accuracy/top1");
  EXPECT_EQ(all.find_series("top1"), "val/accuracy/top1");
  EXPECT_EQ(all.find_series("train/loss"), "train/loss");
  EXPECT_EQ(message_of<Error>([&] { all.find_series("los"); }),
            "--metric: no run has logged 'los'; did you mean 'train/loss'? (known: "
            "val/accuracy/top1, train/loss, train/lr, "
            "train/step_ms, train/wait_ms)");
  put_bytes(linear_ / "metrics.jsonl",
            R"({"event":"evaluation","split":"test","step":1,"figures":{"loss":1}})"
            "\n");
  EXPECT_EQ(message_of<Error>([&] { logs().find_series("loss"); }),
            "--metric: 'loss' can be test/loss or train/loss; give the whole name");
}

TEST_F(TwoRuns, CsvHasAValueALine) {
  EXPECT_EQ(logs().to_csv({"val/accuracy/top1", "train/loss"}),
            "run,series,step,epoch,value\r\n"
            "linear/seed_0,train/loss,10,1,2\r\n"
            "linear/seed_0,train/loss,20,2,1.5\r\n"
            "dnc/seed_0,val/accuracy/top1,10,1,0.5\r\n"
            "dnc/seed_0,val/accuracy/top1,20,1,0.375\r\n"
            "dnc/seed_0,train/loss,10,1,1.75\r\n"
            "dnc/seed_0,train/loss,20,2,1.25\r\n");
  put_bytes(linear_ / "metrics.jsonl", R"({"event":"train","step":1,"losses":{"loss":null}})"
                                       "\n");
  EXPECT_EQ(RunLogs({linear_}).to_csv({"train/loss"}),
            "run,series,step,epoch,value\r\nseed_0,train/loss,1,,\r\n");
}

TEST_F(TwoRuns, PageHasTheCurvesOverEachOther) {
  const auto html = logs().to_html({"val/accuracy/top1", "train/loss"}, "dnc-host logs", "a date");
  const auto page = parse_xml(html.substr(html.find('\n') + 1));
  EXPECT_THAT(texts(page, "h1"), ElementsAre("2 runs"));
  EXPECT_THAT(texts(page, "h2"), ElementsAre("Runs", "Curves"));
  EXPECT_THAT(texts(page, "figcaption"), ElementsAre("accuracy/top1 on val, %", "training loss"));
  EXPECT_THAT(texts(page, "li"), ElementsAre("linear/seed_0", "dnc/seed_0"));
  EXPECT_THAT(select(page, "polyline"), SizeIs(3));
  EXPECT_THAT(texts(page, "footer")[0], AllOf(HasSubstr("dnc-host logs"), HasSubstr("a date")));
}

TEST_F(TwoRuns, DamagedLinesAreLeftOutAndNamedOnThePage) {
  put_bytes(linear_ / "metrics.jsonl", train(10, 2) + "garbage\n" + train(20, 1));
  const auto logs = this->logs();
  ASSERT_THAT(logs.runs()[0].damage, SizeIs(1));
  EXPECT_THAT(logs.runs()[0].damage[0],
              StartsWith((linear_ / "metrics.jsonl").string() + ":2: is not a JSON object"));
  EXPECT_THAT(logs.to_html({"train/loss"}, "", ""), HasSubstr("metrics.jsonl:2: is not a JSON"));
}

TEST_F(TwoRuns, RunIsNotTakenTwice) {
  EXPECT_EQ(message_of<Error>([&] {
              RunLogs({linear_, linear_ / ""});
            }),
            linear_.string() + "/: is given twice; leave one out");
}

TEST_F(TwoRuns, NamesAreAsShortAsTheyCanBe) {
  EXPECT_THAT(RunLogs({linear_}).to_csv({"train/loss"}), HasSubstr("\nseed_0,train/loss"));
  EXPECT_THAT(logs().to_csv({"train/loss"}), Not(HasSubstr("\nseed_0,")));
}

}  // namespace
}  // namespace dnc::report
