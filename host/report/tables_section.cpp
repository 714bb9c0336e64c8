#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/report/confusion.h"
#include "host/report/format.h"
#include "host/report/page.h"
#include "host/report/sections.h"

namespace dnc::report {
namespace {

std::string share_or_number(double value, bool share) {
  return share ? fixed(value * 100, 1) : significant(value, 4);
}

/// Configs whose first run has the table, with the rows and columns of the first one that has it.
std::vector<const ConfigRuns*> configs_with(const Comparison& comparison, std::string_view name) {
  std::vector<const ConfigRuns*> configs;
  const Table* shape = nullptr;
  for (const auto& config : comparison.configs) {
    const auto* const table = find_table(config.runs.front().result, name);
    if (table == nullptr || table->rows.empty() || table->columns.empty()) continue;
    if (shape == nullptr) shape = table;
    if (table->rows == shape->rows && table->columns == shape->columns) configs.push_back(&config);
  }
  return configs;
}

/// The table with its values averaged over the runs that have it in the same shape.
Table mean_table(const ConfigRuns& config, std::string_view name) {
  auto mean = *find_table(config.runs.front().result, name);
  for (size_t i = 0; i < mean.values.size(); ++i) {
    std::vector<double> values;
    for (const auto& run : config.runs) {
      const auto* const table = find_table(run.result, name);
      if (table == nullptr || table->values.size() != mean.values.size()) continue;
      if (std::isfinite(table->values[i])) values.push_back(table->values[i]);
    }
    mean.values[i] = spread(values).mean;
  }
  return mean;
}

/// The columns to show: F1 and recall say most. Of a table that does not have both, all that depend
/// on the model: not "support", the number of samples.
Table shown_columns(const Table& table) {
  const auto has = [&](const char* name) { return std::ranges::count(table.columns, name) > 0; };
  const bool short_form = has("f1") && has("recall");
  Table shown{.name = table.name, .columns = {}, .rows = table.rows, .values = {}};
  std::vector<size_t> kept;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const auto& name = table.columns[i];
    if (short_form ? name != "f1" && name != "recall" : name == "support") continue;
    kept.push_back(i);
    shown.columns.push_back(name);
  }
  for (size_t row = 0; row < table.rows.size(); ++row) {
    for (const size_t i : kept)
      shown.values.push_back(table.values[row * table.columns.size() + i]);
  }
  return shown;
}

double largest(const std::vector<double>& values) {
  double best = -std::numeric_limits<double>::infinity();
  for (const double value : values) {
    if (std::isfinite(value)) best = std::max(best, value);
  }
  return best;
}

/// One class's row: for each config its columns. Values that look the same are best together;
/// where all do, none is marked.
std::vector<Cell> class_row(const std::vector<Table>& tables, size_t row, bool share) {
  const size_t width = tables.front().columns.size();
  std::vector<std::string> best(width);  // empty where none is
  for (size_t column = 0; column < width; ++column) {
    std::vector<double> values;
    for (const auto& table : tables) values.push_back(table.values[row * width + column]);
    const auto top = share_or_number(largest(values), share);
    const bool differ = std::ranges::any_of(
        values, [&](double value) { return share_or_number(value, share) != top; });
    if (differ) best[column] = top;
  }
  std::vector<Cell> cells{Cell(tables.front().rows[row])};
  for (const auto& table : tables) {
    for (size_t column = 0; column < width; ++column) {
      const auto text = share_or_number(table.values[row * width + column], share);
      std::string css = column == 0 ? "first" : "";
      if (text == best[column]) css += css.empty() ? "best" : " best";
      cells.emplace_back(element("span", text), css);
    }
  }
  return cells;
}

}  // namespace

Markup number(std::string text) {
  for (size_t at = 0; (at = text.find('-', at)) != std::string::npos;) text.replace(at, 1, "−");
  return text;
}

bool has_seeds(const Comparison& comparison) {
  return std::ranges::any_of(comparison.configs,
                             [](const auto& config) { return config.runs.size() > 1; });
}

Markup figure_table(const Comparison& comparison) {
  const auto& split = comparison.configs.front().runs.front().result.split;
  DataTable out{
      .caption = fmt::format(
          "On '{}'{}.", split,
          has_seeds(comparison) ? ": mean ± standard deviation over the seeds of each config" : ""),
      .css_class = "",
      .head = {plain_cells({"figure"})},
      .body = {}};
  for (const auto& config : comparison.configs) out.head[0].emplace_back(config.name);
  for (const auto& [name, first] : comparison.configs.front().runs.front().result.figures) {
    std::vector<double> values;
    for (const auto& config : comparison.configs) {
      for (const auto& run : config.runs) values.push_back(figure(run.result.figures, name));
    }
    const bool share = is_share(name, values);
    std::vector<Cell> row{Cell(name + (share ? ",\u00A0%" : ""))};
    for (const auto& config : comparison.configs) {
      row.emplace_back(
          number(spread_text(figure_spread(config, name), share ? 100 : 1, share ? 2 : 4)));
    }
    out.body.push_back(std::move(row));
  }
  return out.body.empty() ? Markup() : report::table(out);
}

Markup class_table(const Comparison& comparison) {
  const auto configs = configs_with(comparison, "per_class");
  if (configs.empty()) return {};
  std::vector<Table> tables;
  std::vector<double> values;
  for (const auto* config : configs) {
    tables.push_back(shown_columns(mean_table(*config, "per_class")));
    values.insert(values.end(), tables.back().values.begin(), tables.back().values.end());
  }
  const auto& columns = tables.front().columns;
  const bool share = is_share("per_class", values);

  DataTable out{.caption = fmt::format("{}{}.", share ? "In percent" : "As counted",
                                       has_seeds(comparison) ? ", means over seeds" : "") +
                           (configs.size() > 1 ? " The best config of each class is bold." : ""),
                .css_class = "",
                .head = {plain_cells({""}), plain_cells({"class"})},
                .body = {}};
  for (const auto* config : configs) {
    out.head[0].emplace_back(config->name).columns = static_cast<int64_t>(columns.size());
    for (const auto& column : columns) out.head[1].emplace_back(column);
  }
  for (size_t row = 0; row < tables.front().rows.size(); ++row) {
    out.body.push_back(class_row(tables, row, share));
  }
  const auto content = report::table(out);
  if (out.body.size() <= kMostOpenClasses) return content;
  return details(fmt::format("All {} classes", out.body.size()), content, false);
}

Markup confusion(const Comparison& comparison) {
  Markup maps;
  bool many_classes = false;
  for (const auto* config : configs_with(comparison, "confusion")) {
    const auto& result = config->runs.front().result;
    const auto& table = *find_table(result, "confusion");
    if (table.rows.size() != table.columns.size()) continue;
    const auto caption = fmt::format("{}, seed {}", config->name, result.seed);
    many_classes = table.rows.size() > kMostOpenClasses;
    maps +=
        element("div", many_classes ? confused_pairs(table, caption) : heat_map(table, caption));
  }
  if (maps.empty()) return {};
  const auto* const text =
      many_classes ? "The classes that are most often taken for another."
                   : "Rows are true classes, columns predictions: correct ones in blue, "
                     "errors in orange, the deeper the larger their share of the row.";
  return element("p", text, {{"class", "small"}}) + element("div", maps, {{"class", "matrices"}});
}

Markup run_table(const Comparison& comparison) {
  DataTable out{.caption = "Every run, its cost and its folder.",
                .css_class = "",
                .head = {plain_cells({"config", "seed", "steps", "epochs", "training time",
                                      "step, ms (median)", "step, ms (90 %)", "images/s",
                                      "memory, MiB", "ended", "date", "folder"})},
                .body = {}};
  for (const auto& config : comparison.configs) {
    for (const auto& run : config.runs) {
      const auto& result = run.result;
      const auto& reason = run.metrics.end_reason;
      auto row =
          plain_cells({config.name, fmt::format("{}", result.seed), grouped(result.steps),
                       fixed(result.epochs, 1), duration(result.seconds),
                       significant(result.step_ms_median, 3), significant(result.step_ms_p90, 3),
                       grouped(result.images_per_second), grouped(result.peak_memory_mib),
                       reason.empty() ? std::string(kNothing) : reason, result.date});
      row.emplace_back(element("code", run.folder.string()), "text");
      out.body.push_back(std::move(row));
    }
  }
  return details("All runs", report::table(out), false);
}

}  // namespace dnc::report
