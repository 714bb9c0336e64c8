#include "host/report/run_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/host/report/fake_runs.h"
#include "tests/host/report/xml.h"
#include "tests/temporary_folder.h"

namespace dnc::report {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

RunSoFar finished() {
  RunSoFar so_far;
  so_far.run = fake_prototype_run("centroids", 3, 0.9);
  for (auto& event : so_far.run.metrics.train) {
    event.lr = 0.1;
    event.step_ms = 20;
    event.wait_ms = 1;
  }
  for (auto& event : so_far.run.metrics.evaluations) event.prototypes = {{"dead", 0.25}};
  so_far.is_complete = true;
  so_far.steps_in_all = 400;
  so_far.mass = {{100, {{0.5, 0.5}, {1, 0}}}, {200, {{0.25, 0.75}, {1, 0}}}};
  so_far.mistakes = {12, {{"photo 7", "Bag", "Coat", 0.9, 0.05, {kTinyPng, 2, 3}}}};
  so_far.config = "data:\n  seed: 3  # <a>.yaml:1:7\n";
  so_far.environment = {{"version", "0.1.0"}, {"torch", "2.11.0"}};
  return so_far;
}

RunSoFar killed() {
  auto so_far = finished();
  so_far.is_complete = false;
  so_far.steps_in_all = 800;
  so_far.run.metrics.end_reason.clear();
  so_far.run.result.split = "val";
  so_far.run.result.tables.clear();
  so_far.mistakes = {};
  return so_far;
}

std::vector<XmlElement> page(const RunSoFar& so_far) {
  const auto html = to_html(so_far, "dnc-host report runs/a");
  return parse_xml(html.substr(html.find('\n') + 1));
}

TEST(RunPage, HasAllOfAFinishedRun) {
  const auto html = page(finished());
  EXPECT_THAT(texts(html, "h2"),
              ElementsAre("Results", "Curves", "All figures", "Classes", "Confusion",
                          "Worst mistakes", "Prototypes", "Config", "Environment"));
  EXPECT_THAT(texts(html, "header")[0],
              AllOf(HasSubstr("400 steps (4.0 epochs) in 1 min 04 s."),
                    HasSubstr("On the test split, centroids has accuracy/top1: 90.00 %."),
                    HasSubstr("The best evaluation on val had 90.00 % at step 300.")));
  EXPECT_THAT(texts(html, "pre"), ElementsAre("data:\n  seed: 3  # <a>.yaml:1:7\n"));
  EXPECT_THAT(texts(html, "footer")[0], HasSubstr("dnc-host report runs/a"));
  EXPECT_THAT(texts(html, "p", "small"), Contains(HasSubstr("1 of 12 mistakes")));
}

TEST(RunPage, DrawsAllThatWasLogged) {
  auto so_far = finished();
  so_far.run.metrics.evaluations.back().figures.emplace_back("boundary loss", 3.5);
  const auto html = page(so_far);
  EXPECT_THAT(
      texts(html, "figcaption"),
      testing::IsSupersetOf({"accuracy/top1 on val, %", "training losses", "learning rate",
                             "step time, ms", "prototypes: dead, %", "boundary loss on val"}));
  EXPECT_THAT(texts(html, "li"),
              testing::IsSupersetOf({"loss", "CrossEntropy", "step", "of it waiting for data"}));
}

TEST(RunPage, SeveralFiguresOfASplitShareAChart) {
  auto so_far = finished();
  for (auto& event : so_far.run.metrics.evaluations) event.figures.emplace_back("f1", 0.5);
  const auto html = page(so_far);
  EXPECT_THAT(texts(html, "figcaption"), Contains("figures on val, %"));
  EXPECT_THAT(texts(html, "li"), testing::IsSupersetOf({"accuracy/top1", "f1"}));
}

TEST(RunPage, ShowsHowPrototypesShareTheirClassOverTheRun) {
  const auto html = page(finished());
  const auto stacks = select(html, "polygon", "stack");
  ASSERT_THAT(stacks, SizeIs(4)) << "2 classes of 2";
  // Bag: 0.75 at the end lies at the bottom, and was 0.5.
  EXPECT_EQ(stacks[0].attributes.at("points"), "0.00,40.00 200.00,20.00 200.00,80.00 0.00,80.00");
  EXPECT_EQ(stacks[1].attributes.at("points"), "0.00,0.00 200.00,0.00 200.00,20.00 0.00,40.00");
  EXPECT_THAT(texts(html, "figcaption"), Contains("Bag75 · 25 %"));
  EXPECT_THAT(texts(html, "p", "small"), Contains(HasSubstr("from step 100 (left) to step 200")));
}

TEST(RunPage, SaysHowToGetThatWhereItWasNotLogged) {
  auto so_far = finished();
  so_far.mass.clear();
  EXPECT_THAT(texts(page(so_far), "p", "small"), Contains(HasSubstr("hooks: [PrototypeMass]")));
  so_far.run = fake_run("linear", 0, 0.5);
  EXPECT_THAT(texts(page(so_far), "p", "small"), Each(Not(HasSubstr("PrototypeMass"))));
}

TEST(RunPage, RunThatIsNotFinishedSaysHowFarItIs) {
  const auto html = page(killed());
  EXPECT_THAT(texts(html, "header")[0],
              AllOf(HasSubstr("Not finished: step 400 of 800 (4.0 epochs) in 1 min 04 s, still "
                              "training or killed."),
                    HasSubstr("On the val split")));
  EXPECT_THAT(texts(html, "h2"), ElementsAre("Results", "Curves", "All figures", "Prototypes",
                                             "Config", "Environment"));
  auto stopped = killed();
  stopped.run.metrics.end_reason = "interrupted";
  EXPECT_THAT(texts(page(stopped), "header")[0], HasSubstr("stopped (interrupted)."));
}

TEST(RunPage, NamesWhatWasLeftOut) {
  auto so_far = killed();
  so_far.damage = {"metrics.jsonl:4: is not a JSON object"};
  EXPECT_THAT(texts(page(so_far), "li"),
              Contains("Left out: metrics.jsonl:4: is not a JSON object"));
}

TEST(RunPage, BareRunHasAPage) {
  RunSoFar so_far;
  so_far.run.result.name = "bare";
  EXPECT_THAT(texts(page(so_far), "h2"), ElementsAre("Results"));
}

TEST(RunPage, NamesFromFilesCannotBreakOutOfTheText) {
  const std::string hostile = "\"><script>alert('x')</script><!-- &";
  auto so_far = finished();
  so_far.config = so_far.tested = hostile;
  so_far.environment = {{hostile, hostile}};
  so_far.damage = {hostile};
  so_far.mistakes.worst[0].sample = hostile;
  so_far.run.prototype_classes = {hostile, hostile};
  so_far.run.metrics.train[0].losses.emplace_back(hostile, 1);
  const auto html = page(so_far);
  EXPECT_THAT(select(html, "script"), IsEmpty());
  EXPECT_THAT(texts(html, "pre"), ElementsAre(hostile + "\n"));
}

TEST(RunPage, IsWrittenIntoTheFolderOfTheRun) {
  const TemporaryFolder folder;
  put_bytes(folder / "config.yaml", "seed: 1\n");
  write_run_report(folder.path());
  EXPECT_THAT(bytes_of(folder / "report.html"),
              HasSubstr("dnc-host report " + folder.path().string()));
}

}  // namespace
}  // namespace dnc::report
