#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "host/report/format.h"
#include "host/report/page.h"
#include "host/report/picture.h"
#include "host/report/sections.h"

namespace dnc::report {
namespace {

constexpr int64_t kMostClasses = 100;  // of a gallery

/// Figures that heads with prototypes usually report. Another one is shown as the number it is.
struct KnownFigure {
  const char* meaning;
  bool share;  // shown in percent
};

const std::map<std::string, KnownFigure, std::less<>> kKnownFigures{
    {"dead", {"share of prototypes that got no training sample lately", true}},
    {"refused", {"training samples that were left out, because they were not finite", false}},
    {"agreement",
     {"share of training samples that were assigned to their nearest prototype", true}},
    {"marginal_deviation",
     {"how far the parts of a class are from equal, as a share of an equal part", true}}};

/// The prototypes of a run: with pictures, or, where no images were looked up, with their mass
/// only.
std::vector<PrototypeImage> prototypes_of(const RunRecord& run) {
  if (!run.prototypes.empty()) return run.prototypes;
  std::vector<PrototypeImage> prototypes;
  for (size_t label = 0; label < run.result.mass.size(); ++label) {
    for (size_t index = 0; index < run.result.mass[label].size(); ++index) {
      auto& prototype = prototypes.emplace_back();
      prototype.class_index = static_cast<int64_t>(label);
      prototype.index = static_cast<int64_t>(index);
      prototype.mass = run.result.mass[label][index];
    }
  }
  return prototypes;
}

Markup prototype_figure(const PrototypeImage& prototype, const std::string& name) {
  const double mass = std::clamp(prototype.mass, 0.0, 1.0);  // NaN stays NaN
  const bool known = mass >= 0;
  Markup caption;
  if (known) {
    const auto bar =
        element("span", "", {{"style", fmt::format("width:{}%", fixed(mass * 100, 1))}});
    caption += element("span", bar, {{"class", "bar"}});
    caption += fixed(mass * 100, 0) + " %";
  }
  if (std::isfinite(prototype.similarity)) {
    caption += Markup(known ? " · " : "") + number(fixed(prototype.similarity, 2));
  }
  const auto picture = to_img({prototype.png, prototype.width, prototype.height},
                              fmt::format("{}: {}", name, prototype.sample), prototype.sample);
  return element("figure", picture + element("figcaption", caption),
                 {{"class", known && mass == 0 ? "dead" : "alive"}});
}

/// A row for each class, its prototypes by falling mass.
Markup gallery(const RunRecord& run) {
  auto prototypes = prototypes_of(run);
  std::ranges::stable_sort(prototypes, [](const auto& a, const auto& b) {
    if (a.class_index != b.class_index) return a.class_index < b.class_index;
    if (a.mass != b.mass) return a.mass > b.mass;
    return a.index < b.index;
  });
  Markup rows;
  int64_t classes = 0;
  for (size_t begin = 0, end = 0; begin < prototypes.size(); begin = end) {
    const auto label = prototypes[begin].class_index;
    const auto name = class_name(run, label);
    Markup figures;
    for (; end < prototypes.size() && prototypes[end].class_index == label; ++end) {
      if (classes < kMostClasses) figures += prototype_figure(prototypes[end], name);
    }
    if (classes++ >= kMostClasses) continue;
    rows +=
        element("div", element("h3", name) + element("div", figures, {{"class", "prototypes"}})) +
        Markup::trusted("\n");
  }
  Markup content;
  if (classes > kMostClasses) {
    content += element("p", fmt::format("The first {} of {} classes.", kMostClasses, classes),
                       {{"class", "small"}});
  }
  return content + element("div", rows, {{"class", "gallery"}});
}

}  // namespace

std::string class_name(const RunRecord& run, int64_t label) {
  const auto i = static_cast<size_t>(label);
  if (i < run.prototype_classes.size()) return run.prototype_classes[i];
  const auto* const table = find_table(run.result, "per_class");
  if (table != nullptr && i < table->rows.size()) return table->rows[i];
  return fmt::format("class {}", label);
}

Markup prototype_figures(const Comparison& comparison) {
  std::vector<std::string> names;
  for (const auto& config : comparison.configs) {
    for (const auto& [name, value] : config.runs.front().result.prototype_figures) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  if (names.empty()) return {};
  DataTable out{
      .caption = std::string("Of the last updates in training") +
                 (has_seeds(comparison) ? ": mean ± standard deviation over seeds." : "."),
      .css_class = "",
      .head = {plain_cells({"config"})},
      .body = {}};
  Markup meanings;
  std::vector<bool> shares;
  for (const auto& name : names) {
    const auto known = kKnownFigures.find(name);
    shares.push_back(known != kKnownFigures.end() && known->second.share);
    out.head[0].emplace_back(name + (shares.back() ? ", %" : ""));
    if (known != kKnownFigures.end()) {
      meanings += element("dt", name) + element("dd", known->second.meaning);
    }
  }
  for (const auto& config : comparison.configs) {
    if (config.runs.front().result.prototype_figures.empty()) continue;
    std::vector<Cell> row{Cell(config.name)};
    for (size_t i = 0; i < names.size(); ++i) {
      std::vector<double> values;
      for (const auto& run : config.runs) {
        values.push_back(figure(run.result.prototype_figures, names[i]));
      }
      const auto found = spread(values);
      row.emplace_back(number(shares[i] ? spread_text(found, 100, 1) : spread_text(found, 1, 2)));
    }
    out.body.push_back(std::move(row));
  }
  auto content = table(out);
  if (!meanings.empty()) content += element("dl", meanings);
  return content;
}

Markup prototype_gallery(const Comparison& comparison) {
  Markup galleries;
  bool pictures = false;
  for (const auto& config : comparison.configs) {
    const auto& run = config.runs.front();
    if (run.prototypes.empty() && run.result.mass.empty()) continue;
    const bool first = galleries.empty();
    galleries +=
        details(fmt::format("{}, seed {}", config.name, run.result.seed), gallery(run), first);
    pictures = pictures || !run.prototypes.empty();
  }
  if (galleries.empty()) return {};
  const auto* const text =
      pictures ? "Each prototype of a class is shown as the real training image that lies next to "
                 "it. The bar and the percentage are its mass: the share of the class's recent "
                 "training samples that fell to it. The second number is the cosine similarity of "
                 "prototype and image."
               : "The share of a class's recent training samples that fell to each of its "
                 "prototypes.";
  return element("p", text, {{"class", "small"}}) + galleries;
}

}  // namespace dnc::report
