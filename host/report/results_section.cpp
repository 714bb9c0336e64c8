#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/format.h"
#include "host/report/html.h"
#include "host/report/sections.h"

namespace dnc::report {
namespace {

struct Unit {
  double scale;
  int decimals;
  std::string text;  // after a number
};

Unit unit_of(const ComparisonSummary& summary) {
  return summary.share ? Unit{100, 2, " %"} : Unit{1, 4, ""};
}

bool has_spread(const ComparisonSummary& summary) {
  return std::ranges::any_of(summary.configs,
                             [](const auto& config) { return config.seeds.size() > 1; });
}

/// "+0.31 points against linear (95 % interval −0.10 to +0.72, 3 seeds). ..."
Markup difference_sentence(const ConfigSummary& config, const ConfigSummary& reference,
                           const ComparisonSummary& summary) {
  const auto unit = unit_of(summary);
  const auto& difference = config.difference;
  const auto signed_text = [&](double value) {
    return number(signed_fixed(value * unit.scale, unit.decimals));
  };
  auto text = Markup(" That is ") + signed_text(difference.mean) +
              (summary.share ? " points" : "") + " against " + element("strong", reference.name);
  if (difference.pairs < 2) return text + ".";
  text += Markup(" (95 % interval ") + signed_text(difference.low) + " to " +
          signed_text(difference.high) + fmt::format(", {} pairs of seeds).", difference.pairs);
  const bool contains_zero = difference.low <= 0 && difference.high >= 0;
  text += contains_zero ? " The interval contains 0: these runs do not tell the two apart."
                        : " The interval does not contain 0.";
  return text;
}

Markup summary_table(const ComparisonSummary& summary) {
  const auto unit = unit_of(summary);
  const bool several = summary.configs.size() > 1;
  std::vector<std::string> names{"config", summary.figure + (summary.share ? ", %" : "")};
  if (several) names.emplace_back("difference");
  names.insert(names.end(),
               {"learnable parameters", "step, ms", "images/s", "memory, MiB", "time"});

  DataTable out{
      .caption = summary.split.empty() ? "" : fmt::format("On the {} split.", summary.split),
      .css_class = "wide cards",
      .head = {plain_cells(names)},
      .body = {}};
  for (const auto& config : summary.configs) {
    std::vector<std::string> texts{config.name,
                                   spread_text(config.figure, unit.scale, unit.decimals)};
    if (several) {
      texts.push_back(difference_text(config.difference, unit.scale, unit.decimals));
    }
    texts.insert(texts.end(), {grouped(config.learnable_parameters), significant(config.step_ms, 3),
                               grouped(config.images_per_second), grouped(config.peak_memory_mib),
                               duration(config.seconds)});
    std::vector<Cell> row{Cell(texts[0])};
    for (size_t i = 1; i < texts.size(); ++i) {
      row.emplace_back(number(texts[i])).label = names[i];
    }
    out.body.push_back(std::move(row));
  }
  return table(out);
}

Markup column_meanings(const ComparisonSummary& summary) {
  Markup list;
  const auto add = [&](const std::string& name, const std::string& meaning) {
    list += element("dt", name) + element("dd", meaning);
  };
  const bool seeds = has_spread(summary);
  const auto of_seeds = [&](const char* meaning, const char* several) {
    return std::string(meaning) + (seeds ? several : "") + ".";
  };
  add(summary.figure, of_seeds("the first figure of the evaluation",
                               ": mean ± sample standard deviation over the seeds of a config"));
  if (summary.configs.size() > 1) {
    add("difference",
        fmt::format(
            "to {}{}, by equal seeds: mean and, in brackets, its 95 % interval by Student's "
            "t distribution.",
            summary.configs.front().name, summary.share ? " in percentage points" : ""));
  }
  add("learnable parameters",
      "numbers that gradient descent changes; prototypes are not among them.");
  add("step", of_seeds("median time of an optimizer step", "; of several seeds the median"));
  add("images/s", of_seeds("training images per second", "; of several seeds the median"));
  add("memory", of_seeds("largest memory use of a run", "; of several seeds the largest"));
  add("time", of_seeds("duration of the training", "; of several seeds the mean"));
  return element("dl", list);
}

Markup notes(const ComparisonSummary& summary) {
  Markup items;
  for (const auto& note : summary.notes) items += element("li", note);
  return items.empty() ? Markup() : element("ul", items, {{"class", "notes"}});
}

std::string latest_date(const Comparison& comparison) {
  std::string latest;
  for (const auto& config : comparison.configs) {
    for (const auto& run : config.runs) latest = std::max(latest, run.result.date);
  }
  return latest;
}

}  // namespace

Markup finding(const ComparisonSummary& summary) {
  const auto unit = unit_of(summary);
  const auto& configs = summary.configs;
  if (!std::isfinite(configs.front().figure.mean)) return {};
  const auto highest = std::ranges::max_element(configs, [](const auto& a, const auto& b) {
    return a.figure.mean < b.figure.mean ||
           (std::isnan(a.figure.mean) && !std::isnan(b.figure.mean));
  });
  const bool several = configs.size() > 1;
  auto text =
      Markup(fmt::format("On the {} split, ", summary.split)) + element("strong", highest->name) +
      fmt::format(" has {}{}: ", several ? "the highest " : "", summary.figure) +
      number(fixed(highest->figure.mean * unit.scale, unit.decimals)) + unit.text +
      (highest->figure.count > 1 ? fmt::format(", the mean of {} seeds.", highest->figure.count)
                                 : std::string("."));
  if (highest->difference.pairs > 0) {
    text += difference_sentence(*highest, configs.front(), summary);
  }
  return element("p", text);
}

Markup results(const ComparisonSummary& summary) {
  return summary_table(summary) + notes(summary) + column_meanings(summary);
}

Markup provenance(const Comparison& comparison, const std::string& command,
                  const std::string& date) {
  const auto& result = comparison.configs.front().runs.front().result;
  Markup list;
  const auto add = [&](const std::string& name, const Markup& value) {
    if (!value.empty()) list += element("dt", name) + element("dd", value);
  };
  if (!command.empty()) add("Command", element("code", command));
  Markup configs;
  for (const auto& config : comparison.configs) {
    if (!configs.empty()) configs += ", ";
    configs += element("code", config.config);
  }
  add("Configs", configs);
  std::string machine = result.cpu;
  if (std::isfinite(result.threads))
    machine += fmt::format(", {} threads", grouped(result.threads));
  if (!result.device.empty()) machine += ", device " + result.device;
  add("Machine", machine);
  add("Version", result.version);
  add("Date", date.empty() ? latest_date(comparison) : date);
  return element("dl", list);
}

}  // namespace dnc::report
