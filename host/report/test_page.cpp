#include "host/report/test_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/comparison.h"
#include "host/report/comparison_text.h"
#include "host/report/confusion.h"
#include "host/report/format.h"
#include "host/report/page.h"
#include "host/report/sections.h"

namespace dnc::report {
namespace {

constexpr int64_t kMatrixSide = 1000;  // pixels of the picture of a matrix with many classes

Markup small(const std::string& text) { return element("p", text, {{"class", "small"}}); }

Markup finding(const TestReport& report) {
  Markup text = fmt::format("{} samples of the {} split.",
                            grouped(static_cast<double>(report.samples)), report.split);
  if (!report.figures.empty()) {
    const auto& [name, value] = report.figures.front();
    const bool share = is_share(name, {value});
    text += Markup(" ") + element("strong", name) + ": " +
            number(share ? fixed(value * 100, 2) + " %" : fixed(value, 4)) + ".";
  }
  auto header = element("p", text);
  if (!report.damaged.empty()) {
    header += element("ul", element("li", report.damaged), {{"class", "notes"}});
  }
  return header;
}

Markup figures(const TestReport& report) {
  DataTable out{
      .caption = "", .css_class = "", .head = {plain_cells({"figure", "value"})}, .body = {}};
  for (const auto& [name, value] : report.figures) {
    const bool share = is_share(name, {value});
    std::vector<Cell> row{Cell(name + (share ? ",\u00A0%" : ""))};
    row.emplace_back(number(share ? fixed(value * 100, 2) : fixed(value, 4)));
    out.body.push_back(std::move(row));
  }
  return out.body.empty() ? Markup() : table(out);
}

/// The values of one column.
std::vector<double> column_of(const Table& table, size_t column) {
  std::vector<double> values;
  for (size_t at = column; at < table.values.size(); at += table.columns.size()) {
    values.push_back(table.values[at]);
  }
  return values;
}

/// A row for each class with all columns; shares in percent.
Markup classes(const Table& per_class) {
  DataTable out{.caption = "", .css_class = "", .head = {plain_cells({"class"})}, .body = {}};
  std::vector<bool> shares;
  for (size_t column = 0; column < per_class.columns.size(); ++column) {
    const auto& name = per_class.columns[column];
    shares.push_back(is_share(name, column_of(per_class, column)));
    out.head[0].emplace_back(name + (shares.back() ? ",\u00A0%" : ""));
  }
  auto value = per_class.values.begin();
  for (const auto& name : per_class.rows) {
    std::vector<Cell> row{Cell(name)};
    for (const bool share : shares) {
      row.emplace_back(number(share ? fixed(*value * 100, 1) : grouped(*value)));
      ++value;
    }
    out.body.push_back(std::move(row));
  }
  const auto content = table(out);
  if (out.body.size() <= kMostOpenClasses) return content;
  return details(fmt::format("All {} classes", out.body.size()), content, false);
}

Markup confusion(const Table& matrix) {
  if (matrix.rows.size() != matrix.columns.size() || matrix.rows.empty()) return {};
  const std::string colours =
      "Rows are true classes, columns predictions: correct ones in blue, errors in orange, the "
      "deeper the larger their share of the row.";
  const auto pairs = confused_pairs(matrix, "The classes that are most often taken for another.");
  if (matrix.rows.size() <= kMostOpenClasses) return small(colours) + heat_map(matrix, "") + pairs;
  const auto picture = make_picture(confusion_picture(matrix, kMatrixSide), 2 * kMatrixSide);
  const auto text = fmt::format("Confusion matrix of {} classes", matrix.rows.size());
  return pairs + small(colours) +
         element("div", to_img(picture, text, text), {{"class", "matrix-picture"}});
}

Markup mistake(const ShownMistake& mistake) {
  const auto text =
      fmt::format("{}, taken for {}: {}", mistake.label, mistake.prediction, mistake.sample);
  auto caption = Markup(mistake.label) + " → " + element("strong", mistake.prediction) +
                 empty_element("br", {}) +
                 fmt::format("{} % against {} %", fixed(mistake.score * 100, 1),
                             fixed(mistake.label_score * 100, 1)) +
                 empty_element("br", {}) + mistake.sample;
  return element("figure",
                 to_img(mistake.picture, text, mistake.sample) + element("figcaption", caption));
}

Markup provenance(const TestReport& report) {
  Markup list;
  const auto add = [&](const std::string& name, const Markup& value) {
    if (!value.empty()) list += element("dt", name) + element("dd", value);
  };
  if (!report.command.empty()) add("Command", element("code", report.command));
  add("Weights", report.checkpoint);
  add("Views", report.views);
  add("Machine", report.machine);
  add("Version", report.version);
  add("Date", report.date);
  return element("dl", list);
}

}  // namespace

std::string to_html(const TestReport& report) {
  Page page{
      .title = report.title, .header = finding(report), .body = {}, .footer = provenance(report)};
  page.body += section("Figures", figures(report));
  for (const auto& table : report.tables) {
    if (table.name == "per_class" && !table.rows.empty())
      page.body += section("Classes", classes(table));
  }
  for (const auto& table : report.tables) {
    if (table.name == "confusion") page.body += section("Confusion", confusion(table));
  }
  page.body += section("Unknown images", unknown_section(report.unknown));
  page.body += section("Worst mistakes", mistake_pictures(report.mistakes));
  return to_html(page);
}

Markup mistake_pictures(const ShownMistakes& mistakes) {
  if (mistakes.worst.empty()) return {};
  Markup figures;
  for (const auto& each : mistakes.worst) figures += mistake(each) + Markup::trusted("\n");
  const auto shown = mistakes.worst.size();
  const auto text = fmt::format(
      "{} of {} mistakes, those that the model was most sure of: the true class, then the one it "
      "was taken for; the share of that class against the share of the true one; the sample.",
      shown, grouped(static_cast<double>(mistakes.in_all)));
  return small(text) + element("div", figures, {{"class", "pictures"}});
}

std::string to_csv(const Table& table) {
  std::vector<std::string> fields{table.name};
  fields.insert(fields.end(), table.columns.begin(), table.columns.end());
  auto text = csv_line(fields);
  auto value = table.values.begin();
  for (const auto& row : table.rows) {
    fields = {row};
    for (size_t i = 0; i < table.columns.size(); ++i, ++value) {
      fields.push_back(std::isfinite(*value) ? fmt::format("{}", *value) : "");
    }
    text += csv_line(fields);
  }
  return text;
}

}  // namespace dnc::report
