#include "host/report/comparison_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/host/report/fake_runs.h"
#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;

using Elements = std::vector<XmlElement>;

/// The page's elements; fails where it is not well-formed.
Elements parse_page(const Comparison& comparison, const ReportInfo& info = {}) {
  const std::string doctype = "<!DOCTYPE html>\n";
  const auto html = to_html(comparison, info);
  EXPECT_EQ(html.substr(0, doctype.size()), doctype);
  return parse_xml(html.substr(doctype.size()));
}

/// The elements of the section with that heading.
Elements section_of(const Elements& page, const std::string& heading) {
  Elements part;
  bool inside = false;
  for (const auto& element : page) {
    if (element.tag == "h2") inside = element.text == heading;
    if (element.tag == "footer") inside = false;
    if (inside) part.push_back(element);
  }
  return part;
}

Comparison one_config(RunRecord run) {
  Comparison comparison;
  const auto name = run.result.name;
  comparison.configs.push_back({name, name + ".yaml", {std::move(run)}});
  return comparison;
}

TEST(ComparisonPage, SaysWhatCameOutInWords) {
  const auto page = parse_page(fake_comparison());
  EXPECT_THAT(texts(page, "h1"), ElementsAre("linear and centroids"));
  EXPECT_THAT(texts(page, "header")[0],
              HasSubstr("On the test split, centroids has the highest accuracy/top1: 93.00 %, the "
                        "mean of 3 seeds. That is +2.00 points against linear (95 % interval −0.48 "
                        "to +4.48, 3 pairs of seeds). The interval contains 0: these runs do not "
                        "tell the two apart."));
}

TEST(ComparisonPage, SaysWhereTheIntervalDoesNotContainZero) {
  auto comparison = fake_comparison();
  for (auto& run : comparison.configs[1].runs) run.result.figures[0].second += 0.05;
  EXPECT_THAT(texts(parse_page(comparison), "header")[0],
              HasSubstr("(95 % interval +4.52 to +9.48, 3 pairs of seeds). The interval does not "
                        "contain 0."));
}

TEST(ComparisonPage, SummaryHasARowForEachConfig) {
  const auto results = section_of(parse_page(fake_comparison()), "Results");
  EXPECT_THAT(texts(results, "th"),
              ElementsAre("config", "accuracy/top1, %", "difference", "learnable parameters",
                          "step, ms", "images/s", "memory, MiB", "time", "linear", "centroids"));
  EXPECT_THAT(texts(results, "td"),
              ElementsAre("91.00 ± 1.00", "–", "78,042", "5.25", "24,800", "612", "1 min 02 s",
                          "93.00 ± 1.73", "+2.00 [−0.48, +4.48]", "78,042", "5.25", "24,800", "612",
                          "1 min 02 s"));
}

TEST(ComparisonPage, EveryColumnOfTheSummaryIsExplained) {
  const auto results = section_of(parse_page(fake_comparison()), "Results");
  const auto terms = texts(results, "dt");
  EXPECT_EQ(terms.size(), texts(results, "dd").size());
  EXPECT_THAT(terms, ElementsAre("accuracy/top1", "difference", "learnable parameters", "step",
                                 "images/s", "memory", "time"));
}

TEST(ComparisonPage, CardsOfAPhoneNameEachNumber) {
  for (const auto& cell : select(section_of(parse_page(fake_comparison()), "Results"), "td")) {
    EXPECT_FALSE(cell.attributes.at("data-label").empty());
  }
}

TEST(ComparisonPage, NotesAreListed) {
  auto comparison = fake_comparison();
  comparison.configs[1].runs[0].metrics.end_reason = "time limit of 5 minutes";
  EXPECT_THAT(texts(section_of(parse_page(comparison), "Results"), "li"),
              ElementsAre("centroids, seed 0 ended early: time limit of 5 minutes."));
}

TEST(ComparisonPage, LearningCurvesHaveALineForEachConfigAndALegend) {
  const auto curves = section_of(parse_page(fake_comparison()), "Learning curves");
  EXPECT_THAT(texts(curves, "figcaption"), ElementsAre("accuracy/top1 on val, %", "training loss"));
  EXPECT_THAT(texts(curves, "li"), ElementsAre("linear", "centroids"));
  EXPECT_THAT(select(curves, "polyline"), SizeIs(4));  // 2 charts of 2 configs
  EXPECT_THAT(select(curves, "polyline", "series-1"), SizeIs(2));
  EXPECT_THAT(select(curves, "polygon", "band"), SizeIs(2)) << "the fake losses do not spread";
  EXPECT_THAT(select(curves, "circle"), SizeIs(2 * 3 + 2 * 4));
}

TEST(ComparisonPage, CurveIsTheMeanOfTheStepsThatAllSeedsHave) {
  auto comparison = fake_comparison();
  comparison.configs[0].runs[2].metrics.evaluations.pop_back();  // stopped early
  const auto curves = section_of(parse_page(comparison), "Learning curves");
  EXPECT_THAT(select(curves, "circle", "series-0"), SizeIs(2 + 4));
  EXPECT_THAT(select(curves, "circle", "series-1"), SizeIs(3 + 4));
}

TEST(ComparisonPage, LongLogsAreAveragedAndThePageSaysSo) {
  auto run = fake_run("long", 0, 0.5);
  run.metrics.train.clear();
  for (int64_t step = 1; step <= 10'000; ++step) {
    auto& event = run.metrics.train.emplace_back();
    event.step = step;
    event.epoch = static_cast<double>(step) / 1000;
    event.losses = {{"loss", 1.0 / static_cast<double>(step)}};
  }
  const auto curves = section_of(parse_page(one_config(run)), "Learning curves");
  EXPECT_THAT(texts(curves, "p", "small"),
              ElementsAre("Each point is the mean of 42 logged values."));
  const auto line = select(curves, "polyline").back().attributes.at("points");
  EXPECT_EQ(std::ranges::count(line, ','), 239);  // 10000 / 42, rounded up
}

TEST(ComparisonPage, AllFiguresOfTheTestAreThere) {
  const auto figures = section_of(parse_page(fake_comparison()), "All figures");
  EXPECT_THAT(texts(figures, "th"),
              ElementsAre("figure", "linear", "centroids", "accuracy/top1,\u00A0%", "f1,\u00A0%"));
  EXPECT_THAT(texts(figures, "td"),
              ElementsAre("91.00 ± 1.00", "93.00 ± 1.73", "90.00 ± 1.00", "92.00 ± 1.73"));
}

TEST(ComparisonPage, BestConfigOfEachClassIsMarked) {
  auto comparison = fake_comparison();
  comparison.configs[1].runs[0].result.tables[0].values[6] = 0.95;  // F1 of Coat, one of 3 seeds
  const auto classes = section_of(parse_page(comparison), "Classes");
  EXPECT_THAT(texts(classes, "th"), ElementsAre("", "linear", "centroids", "class", "recall", "f1",
                                                "recall", "f1", "Bag", "Coat"));
  EXPECT_THAT(texts(classes, "td"),
              ElementsAre("91.0", "75.0", "93.0", "75.0", "80.0", "80.0", "80.0", "85.0"));
  EXPECT_THAT(texts(classes, "td", "best"), ElementsAre("93.0", "85.0"))
      << "equal values are not marked";
}

TEST(ComparisonPage, ClassWithoutSamplesHasADash) {
  auto run = fake_run("a", 0, 0.5);
  run.result.tables[0].values[1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(texts(section_of(parse_page(one_config(run)), "Classes"), "td"),
              ElementsAre("–", "75.0", "80.0", "80.0"));
}

TEST(ComparisonPage, ConfusionIsAHeatMapOfEachConfigsFirstSeed) {
  const auto confusion = section_of(parse_page(fake_comparison()), "Confusion");
  EXPECT_THAT(texts(confusion, "p", "caption"), ElementsAre("linear, seed 0", "centroids, seed 0"));
  const auto cells = select(confusion, "td");
  ASSERT_THAT(cells, SizeIs(8));
  EXPECT_EQ(cells[0].text, "90");
  EXPECT_EQ(cells[0].attributes.at("class"), "right deep");
  EXPECT_EQ(cells[0].attributes.at("style"), "--shade:0.949");  // sqrt(90 / 100)
  EXPECT_EQ(cells[1].text, "10");
  EXPECT_EQ(cells[1].attributes.at("style"), "--shade:0.316");
  EXPECT_THAT(cells[2].attributes.at("class"), HasSubstr("zero"));
}

/// A run of so many classes, of which 2 is taken for 0 seven times.
RunRecord run_of_classes(size_t count) {
  auto run = fake_run("a", 0, 0.5);
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back("class " + std::to_string(i));
  std::vector<double> matrix(count * count, 0);
  for (size_t i = 0; i < count; ++i) matrix[i * count + i] = 13;
  matrix[2 * count] = 7;
  run.result.tables = {{"per_class", {"recall", "f1"}, names, std::vector<double>(2 * count, 0.5)},
                       {"confusion", names, names, matrix}};
  return run;
}

TEST(ComparisonPage, ManyClassesAreFoldedAndTheWorstConfusionsListed) {
  const auto page = parse_page(one_config(run_of_classes(31)));
  EXPECT_THAT(texts(section_of(page, "Classes"), "summary"), ElementsAre("All 31 classes"));
  const auto confusion = section_of(page, "Confusion");
  EXPECT_THAT(texts(confusion, "th"),
              ElementsAre("true class", "predicted", "times", "of the class, %", "class 2"));
  EXPECT_THAT(texts(confusion, "td"), ElementsAre("class 0", "7", "35.0"));
}

TEST(ComparisonPage, FewClassesAreNotFolded) {
  const auto page = parse_page(one_config(run_of_classes(30)));
  EXPECT_THAT(select(section_of(page, "Classes"), "details"), IsEmpty());
  EXPECT_THAT(select(section_of(page, "Confusion"), "td"), SizeIs(900));
}

TEST(ComparisonPage, PrototypesAreShownByFallingMass) {
  const auto prototypes = section_of(parse_page(fake_comparison()), "Prototypes");
  EXPECT_THAT(texts(prototypes, "summary"), ElementsAre("centroids, seed 0"));
  EXPECT_THAT(texts(prototypes, "h3"), ElementsAre("Bag", "Coat"));
  EXPECT_THAT(texts(prototypes, "figcaption"),
              ElementsAre("75 % · 0.98", "25 % · 0.98", "100 % · 0.98", "0 % · 0.98"));
  EXPECT_THAT(select(prototypes, "figure", "dead"), SizeIs(1));
  const auto pictures = select(prototypes, "img");
  ASSERT_THAT(pictures, SizeIs(4));
  EXPECT_EQ(pictures[0].attributes.at("src"), std::string("data:image/png;base64,") + kTinyPng);
  EXPECT_EQ(pictures[0].attributes.at("alt"), "Bag: train-images #1");
  EXPECT_EQ(pictures[0].attributes.at("width"), "2");
  EXPECT_EQ(pictures[0].attributes.at("height"), "3");
  EXPECT_THAT(select(prototypes, "span", "bar"), SizeIs(4));
}

TEST(ComparisonPage, PrototypesWithoutPicturesShowTheirMass) {
  auto run = fake_prototype_run("a", 0, 0.5);
  run.prototypes.clear();
  run.prototype_classes.clear();
  const auto prototypes = section_of(parse_page(one_config(run)), "Prototypes");
  EXPECT_THAT(select(prototypes, "img"), IsEmpty());
  EXPECT_THAT(texts(prototypes, "h3"), ElementsAre("Bag", "Coat"));
  EXPECT_THAT(texts(prototypes, "figcaption"), ElementsAre("75 %", "25 %", "100 %", "0 %"));
}

TEST(ComparisonPage, GalleryOfManyClassesIsCutAndSaysSo) {
  auto run = fake_prototype_run("a", 0, 0.5);
  run.prototypes.clear();
  run.prototype_classes.clear();
  run.result.mass.assign(150, {0.5, 0.5});
  const auto prototypes = section_of(parse_page(one_config(run)), "Prototypes");
  EXPECT_THAT(texts(prototypes, "h3"), SizeIs(100));
  EXPECT_THAT(texts(prototypes, "p", "small"), Contains("The first 100 of 150 classes."));
}

TEST(ComparisonPage, PrototypeFiguresAreShownWithTheirMeaning) {
  auto comparison = fake_comparison();
  for (auto& run : comparison.configs[1].runs) {
    run.result.prototype_figures.emplace_back("refused", run.result.seed == 2 ? 1 : 0);
    run.result.prototype_figures.emplace_back("a plugin's own", 0.5);
  }
  const auto prototypes = section_of(parse_page(comparison), "Prototypes");
  EXPECT_THAT(texts(prototypes, "th"), ElementsAre("config", "dead, %", "agreement, %", "refused",
                                                   "a plugin's own", "centroids"));
  EXPECT_THAT(texts(prototypes, "td"),
              ElementsAre("25.0 ± 0.0", "93.0 ± 0.0", "0.33 ± 0.58", "0.50 ± 0.00"));
  EXPECT_THAT(texts(prototypes, "dt"), ElementsAre("dead", "agreement", "refused"));
}

TEST(ComparisonPage, FooterSaysWhereItComesFrom) {
  const auto page = parse_page(
      fake_comparison(), {"A title", "dnc-host compare a.yaml <b>.yaml", "2026-11-24T08:00:00Z"});
  EXPECT_THAT(texts(page, "h1"), ElementsAre("A title"));
  const auto footer = texts(page, "footer")[0];
  EXPECT_THAT(footer, AllOf(HasSubstr("dnc-host compare a.yaml <b>.yaml"),
                            HasSubstr("configs/linear.yaml, configs/centroids.yaml"),
                            HasSubstr("Test CPU, 2 threads, device cpu"), HasSubstr("0.1.0"),
                            HasSubstr("2026-11-24T08:00:00Z")));
  EXPECT_THAT(texts(parse_page(fake_comparison()), "footer")[0], HasSubstr("2026-11-23T10:00:00Z"));
}

TEST(ComparisonPage, EveryRunIsListed) {
  const auto runs = section_of(parse_page(fake_comparison()), "Runs");
  EXPECT_THAT(select(runs, "tr"), SizeIs(7));
  EXPECT_THAT(texts(runs, "code"), IsSupersetOf({"runs/linear/0", "runs/centroids/2"}));
}

TEST(ComparisonPage, SectionsWithoutContentAreLeftOut) {
  auto run = fake_run("bare", 0, 0.5);
  run.result.tables.clear();
  run.metrics = {};
  EXPECT_THAT(texts(parse_page(one_config(run)), "h2"),
              ElementsAre("Results", "All figures", "Runs"));
}

TEST(ComparisonPage, RunWithoutAnyFigureHasAPageAllTheSame) {
  auto run = fake_run("bare", 0, 0.5);
  run.result.figures.clear();
  run.result.split.clear();
  const auto page = parse_page(one_config(run));
  EXPECT_THAT(texts(section_of(page, "Results"), "td")[0], "–");
  EXPECT_THAT(texts(page, "p", "caption"), Each(Not(HasSubstr("On the"))));
}

TEST(ComparisonPage, ManyConfigsHaveTheirOwnColoursInBothCharts) {
  Comparison comparison;
  for (int i = 0; i < 9; ++i) {
    const auto name = "config " + std::to_string(i);
    comparison.configs.push_back({name, name + ".yaml", {fake_run(name, 0, 0.5)}});
  }
  const auto page = parse_page(comparison);
  EXPECT_THAT(texts(page, "h1"), ElementsAre("Comparison of 9 configs"));
  EXPECT_THAT(select(page, "polyline", "series-7"), SizeIs(2));
}

TEST(ComparisonPage, NamesFromFilesCannotBreakOutOfTheText) {
  const std::string hostile = "\"><script>alert('x')</script><!-- & \x1b[31m";
  const std::string shown = "\"><script>alert('x')</script><!-- & \uFFFD[31m";
  auto run = fake_prototype_run(hostile, 0, 0.5);
  auto& result = run.result;
  run.folder = hostile;
  result.config = result.split = result.cpu = result.device = hostile;
  result.version = result.date = run.metrics.end_reason = hostile;
  result.figures = {{hostile, 0.5}};
  result.prototype_figures = {{hostile, 0.5}};
  result.tables[0].rows = result.tables[1].rows = result.tables[1].columns = {hostile, "Coat"};
  result.tables[0].columns[0] = hostile;
  run.prototype_classes = {hostile, "Coat"};
  for (auto& prototype : run.prototypes) prototype.sample = hostile;
  for (auto& event : run.metrics.evaluations) {
    event.split = hostile;
    event.figures = {{hostile, 0.5}};
  }
  auto comparison = one_config(run);
  comparison.configs[0].config = hostile;
  comparison.configs.push_back(comparison.configs[0]);

  const auto page = parse_page(comparison, {hostile, hostile, hostile});
  EXPECT_THAT(select(page, "script"), IsEmpty());
  EXPECT_THAT(texts(page, "h1"), ElementsAre(shown));
  EXPECT_THAT(texts(page, "title"), ElementsAre(shown));
  EXPECT_THAT(texts(page, "h3"), Contains(shown));
  EXPECT_THAT(texts(section_of(page, "Classes"), "th"), Contains(shown));
  EXPECT_EQ(select(page, "img")[0].attributes.at("title"), shown);
  EXPECT_EQ(to_html(comparison, {}).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace dnc::report
