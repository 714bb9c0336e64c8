#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/format.h"
#include "host/report/gallery.h"
#include "host/report/page.h"

namespace dnc::report {
namespace {

constexpr size_t kMostConfusions = 12;

Markup small(const Markup& text) { return element("p", text, {{"class", "small"}}); }

std::string percent(double share, int decimals = 1) {
  return std::isfinite(share) ? fixed(share * 100, decimals) + " %" : std::string(kNothing);
}

std::string count(int64_t number) { return grouped(static_cast<double>(number)); }

double recall(const GalleryClass& shown) {
  return static_cast<double>(shown.right) / static_cast<double>(shown.tested);
}

Markup link(const std::string& text, const std::string& target) {
  return element("a", text, {{"href", target}});
}

Markup picture_of(const GallerySample& sample, const std::string& what) {
  if (sample.picture.png.empty()) return element("span", "?", {{"class", "no-picture"}});
  return to_img(sample.picture, what + ": " + sample.name, sample.name);
}

Markup bar(double share) {
  if (!std::isfinite(share)) return {};
  const auto width = fmt::format("width:{}%", fixed(std::clamp(share, 0.0, 1.0) * 100, 1));
  return element("span", element("span", "", {{"style", width}}), {{"class", "bar"}});
}

Markup provenance(const Gallery& gallery) {
  Markup list;
  const auto add = [&](const std::string& name, const Markup& value) {
    if (!value.empty()) list += element("dt", name) + element("dd", value);
  };
  if (!gallery.command.empty()) add("Command", element("code", gallery.command));
  add("Weights", gallery.checkpoint);
  add("Version", gallery.version);
  add("Date", gallery.date);
  return element("dl", list);
}

Markup notes(const Gallery& gallery) {
  Markup items;
  for (const auto& note : gallery.notes) items += element("li", note);
  return items.empty() ? items : element("ul", items, {{"class", "notes"}});
}

Markup map_section(const ScatterChart& map, const std::string& text, const std::string& shares) {
  const auto chart = scatter_chart(map);
  if (chart.empty()) return {};
  return section("Map", small(text + " " + shares) + element("div", chart, {{"class", "map"}}));
}

// ---- a class ------------------------------------------------------------------------------------

Markup sample_figure(const GallerySample& sample) {
  return element("figure", picture_of(sample, "training sample") +
                               element("figcaption", fixed(sample.similarity, 2)));
}

Markup strip(const std::string& name, const std::vector<GallerySample>& samples) {
  if (samples.empty()) return {};
  Markup figures;
  for (const auto& sample : samples) figures += sample_figure(sample) + Markup::trusted("\n");
  return element("div", element("h4", name) + element("div", figures, {{"class", "prototypes"}}));
}

Markup prototype_text(const GalleryPrototype& prototype, const Gallery& gallery) {
  auto text = fmt::format("{} of the class's training {} ({})", percent(prototype.mass),
                          gallery.pixels ? "locations" : "images", count(prototype.members));
  if (prototype.members > 0) text += fmt::format(", spread {}", fixed(prototype.spread, 3));
  if (!gallery.test_split.empty()) {
    text +=
        fmt::format("; decided {} of the {} split", count(prototype.decided), gallery.test_split);
    if (prototype.decided > 0) {
      text += fmt::format(", {} of them rightly", percent(static_cast<double>(prototype.right) /
                                                          static_cast<double>(prototype.decided)));
    }
  }
  return small(text + ".");
}

Markup prototype_part(const GalleryPrototype& prototype, const Gallery& gallery) {
  const auto name = fmt::format("Sub-centroid {}", prototype.index);
  Markup strips;
  auto typical = prototype.typical;
  if (prototype.nearest.sample >= 0) {  // usually the most central member: shown once
    strips += strip("Nearest", {prototype.nearest});
    std::erase_if(typical, [&](const auto& one) { return one.sample == prototype.nearest.sample; });
  }
  strips += strip("Typical", typical) + strip("Atypical", prototype.atypical);
  return element("div",
                 element("h3", name, {{"class", fmt::format("series-{}", prototype.index % 8)}}) +
                     bar(prototype.mass) + prototype_text(prototype, gallery) +
                     element("div", strips, {{"class", "strips"}}),
                 {{"class", "sub-centroid"}});
}

std::string by_text(const GalleryConfusion& confusion) {
  std::string text;
  for (const auto& [index, times] : confusion.by) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", index, count(times));
  }
  return text;
}

Markup confusion_table(const std::vector<GalleryConfusion>& confusions, const Gallery& gallery,
                       const std::string& caption, const std::string& by) {
  if (confusions.empty()) return {};
  DataTable out{.caption = caption,
                .css_class = "",
                .head = {plain_cells({"class", "times", "of its class,\u00A0%", by})},
                .body = {}};
  for (size_t i = 0; i < std::min(confusions.size(), kMostConfusions); ++i) {
    const auto& one = confusions[i];
    std::vector<Cell> row{Cell(link(gallery.name_of(one.label), gallery_file(one.label)))};
    for (const auto& text : {count(one.count), fixed(one.share * 100, 1), by_text(one)}) {
      row.emplace_back(text);
    }
    out.body.push_back(std::move(row));
  }
  const auto left = confusions.size() - out.body.size();
  if (left > 0) out.caption += fmt::format(" {} more classes are left out.", left);
  return table(out);
}

Markup confusions(const GalleryClass& shown, const Gallery& gallery) {
  const auto& name = shown.name;
  return confusion_table(shown.taken_for, gallery,
                         fmt::format("What {} was taken for: how often, and which sub-centroids of "
                                     "that class were the nearest.",
                                     name),
                         "by its sub-centroids") +
         confusion_table(
             shown.taken_from, gallery,
             fmt::format("What was taken for {}, and by which of its sub-centroids.", name),
             "by sub-centroids of " + name);
}

Markup ways(const Gallery& gallery, int64_t label) {
  const auto last = static_cast<int64_t>(gallery.classes.size()) - 1;
  Markup links = link("All classes", "index.html");
  if (label > 0)
    links += Markup(" · ") + link("← " + gallery.name_of(label - 1), gallery_file(label - 1));
  if (label < last) {
    links += Markup(" · ") + link(gallery.name_of(label + 1) + " →", gallery_file(label + 1));
  }
  return element("nav", links);
}

std::string class_finding(const GalleryClass& shown, const Gallery& gallery) {
  auto text =
      fmt::format("{} training {}", count(shown.samples), gallery.pixels ? "locations" : "images");
  if (shown.samples > 0) text += fmt::format(", spread {}", fixed(shown.spread, 3));
  if (shown.tested > 0) {
    text += fmt::format("; {} of its {} {} of the {} split are recognised", percent(recall(shown)),
                        count(shown.tested), gallery.pixels ? "locations" : "images",
                        gallery.test_split);
  }
  return text + ".";
}

// ---- the index ----------------------------------------------------------------------------------

const GalleryPrototype& heaviest(const GalleryClass& shown) {
  return *std::ranges::max_element(shown.prototypes, {}, &GalleryPrototype::members);
}

Markup class_lines(const GalleryClass& shown, const Gallery& gallery) {
  if (shown.samples == 0) return "no training samples";
  Markup lines = "spread " + fixed(shown.spread, 3);
  if (shown.tested > 0)
    lines = Markup(percent(recall(shown)) + " right") + empty_element("br", {}) + lines;
  if (!shown.taken_for.empty()) {
    const auto& most = shown.taken_for.front();
    lines += empty_element("br", {});
    lines += fmt::format("{} → {}", percent(most.share), gallery.name_of(most.label));
  }
  return lines;
}

Markup full_entry(const GalleryClass& shown, const Gallery& gallery) {
  Markup figures;
  for (const auto& prototype : shown.prototypes) {
    const auto caption = bar(prototype.mass) + percent(prototype.mass, 0);
    figures += element("figure",
                       picture_of(prototype.nearest, shown.name) + element("figcaption", caption),
                       {{"class", prototype.members == 0 ? "dead" : "alive"}});
  }
  const auto heading = element("h3", link(shown.name, gallery_file(shown.label))) +
                       small(class_lines(shown, gallery));
  return element("div",
                 element("div", heading) + element("div", figures, {{"class", "prototypes"}})) +
         Markup::trusted("\n");
}

Markup small_entry(const GalleryClass& shown) {
  auto caption = link(shown.name, gallery_file(shown.label));
  if (shown.tested > 0) caption += Markup(" ") + percent(recall(shown), 0);
  return element("figure",
                 picture_of(heaviest(shown).nearest, shown.name) + element("figcaption", caption)) +
         Markup::trusted("\n");
}

Markup overview(const Gallery& gallery, const std::vector<GalleryClass>& classes) {
  const bool full = classes.size() <= kMostFullClasses;
  Markup entries;
  for (const auto& one : classes) entries += full ? full_entry(one, gallery) : small_entry(one);
  const auto* const one = gallery.pixels ? "location of a training image" : "training image";
  const auto* const samples = gallery.pixels ? "locations" : "images";
  const auto text =
      full ? fmt::format(
                 "Each sub-centroid as the {0} nearest to it; the bar and the percentage are its "
                 "mass, the share of the class's training {1} that are nearest to it. Spread is "
                 "the mean cosine distance of a class's {1} to their sub-centroids, and behind the "
                 "arrow is what its test {1} are most often taken for.",
                 one, samples)
           : fmt::format(
                 "Each class by the {} nearest to its heaviest sub-centroid, with the "
                 "share of its test {} that is recognised.",
                 one, samples);
  return small(text) + element("div", entries, {{"class", full ? "gallery" : "pictures dense"}});
}

// Classes with the most errors, where there are too many to see it above.
Markup hardest(const Gallery& gallery, std::vector<GalleryClass> classes) {
  std::erase_if(classes, [](const GalleryClass& one) { return one.tested == 0; });
  if (classes.empty()) return {};
  std::ranges::stable_sort(classes, {}, recall);
  classes.resize(std::min<size_t>(classes.size(), 20));
  DataTable out{.caption = "",
                .css_class = "",
                .head = {plain_cells(
                    {"class", "recognised,\u00A0%", "spread", "most often taken for", "times"})},
                .body = {}};
  for (const auto& one : classes) {
    std::vector<Cell> row{Cell(link(one.name, gallery_file(one.label)))};
    const bool any = !one.taken_for.empty();
    const auto other = any ? gallery.name_of(one.taken_for[0].label) : std::string(kNothing);
    const auto times = any ? count(one.taken_for[0].count) : std::string(kNothing);
    for (const auto& text : {fixed(recall(one) * 100, 1), fixed(one.spread, 3), other, times}) {
      row.emplace_back(text);
    }
    out.body.push_back(std::move(row));
  }
  return table(out);
}

}  // namespace

std::string gallery_file(int64_t label) { return fmt::format("class_{:04}.html", label); }

std::string class_page(const Gallery& gallery, const GalleryClass& shown) {
  Page page;
  page.title = shown.name;
  page.header = ways(gallery, shown.label) + element("p", class_finding(shown, gallery));
  Markup parts;
  for (const auto& prototype : shown.prototypes) parts += prototype_part(prototype, gallery);
  page.body = section(
      "Sub-centroids",
      small(fmt::format("Of each the {} nearest to it, then its most central and its most distant "
                        "members; the number is the cosine similarity to it.",
                        gallery.pixels ? "location of a training image" : "training image")) +
          parts);
  page.body += section("Confusion", confusions(shown, gallery));
  page.body += map_section(shown.map,
                           "Members of the class in the colours of their sub-centroids, which are "
                           "the large dots; rings are sub-centroids of the classes that it is most "
                           "often confused with.",
                           shown.map_shares);
  page.footer =
      element("dl", element("dt", "Gallery") + element("dd", link(gallery.title, "index.html")));
  return to_html(page);
}

std::string index_page(const Gallery& gallery, const std::vector<GalleryClass>& classes) {
  Page page;
  page.title = gallery.title;
  Markup finding =
      fmt::format("{} classes, {} training images looked at",
                  grouped(static_cast<double>(classes.size())), count(gallery.searched));
  if (!gallery.test_split.empty()) {
    finding +=
        fmt::format("; {} of the {} of the {} split are recognised", percent(gallery.accuracy, 2),
                    gallery.pixels ? "locations" : "images", gallery.test_split);
  }
  page.header = element("p", finding + ".") + notes(gallery);
  const auto all = section("Classes", overview(gallery, classes));
  const auto hard = section("Hardest classes", hardest(gallery, classes));
  page.body = classes.size() <= kMostFullClasses ? all + hard : hard + all;  // few are seen at once
  page.body +=
      map_section(gallery.map,
                  gallery.map.clouds.empty()
                      ? "The means of the classes' sub-centroids; a dot leads to its class."
                      : "Training samples in the colours of their classes; the large dots "
                        "are sub-centroids, and lead to their class.",
                  gallery.map_shares);
  page.footer = provenance(gallery);
  return to_html(page);
}

}  // namespace dnc::report
