#include <fmt/format.h>

#include <algorithm>

#include "host/report/explanation.h"
#include "host/report/format.h"
#include "host/report/page.h"
#include "host/report/sections.h"

namespace dnc::report {
namespace {

constexpr size_t kMostChoices = 24;     // of a legend
constexpr double kLeastChoice = 0.001;  // share of the pixels

Markup small(const Markup& text) { return element("p", text, {{"class", "small"}}); }

std::string percent(double share) { return fixed(share * 100, 1) + " %"; }

Markup swatch(const std::array<uint8_t, 3>& colour) {
  return element(
      "span", "",
      {{"class", "swatch"},
       {"style", fmt::format("background:rgb({} {} {})", colour[0], colour[1], colour[2])}});
}

Markup bar(double share) {
  const auto inside =
      element("span", "",
              {{"style", fmt::format("width:{}%", fixed(std::clamp(share, 0.0, 1.0) * 100, 1))}});
  return element("span", inside, {{"class", "bar"}});
}

/// What a sub-centroid stands for, or its number where that is not known.
Markup picture_of(const ShownEvidence& shown, const std::string& class_name) {
  const auto& sample = shown.stands_for;
  if (sample.picture.png.empty()) {
    return element("div", fmt::format("#{}", shown.evidence.index), {{"class", "no-picture"}});
  }
  return to_img(sample.picture, fmt::format("{}: {}", class_name, sample.name), sample.name);
}

/// What a sub-centroid stands for, without the folder of its file: the picture's title has that.
std::string short_text(const ShownSample& sample) {
  const auto text = sample.text();
  return text.substr(text.find_last_of('/', sample.name.size()) + 1);
}

/// A sub-centroid with what is said about it.
Markup evidence_figure(const ShownEvidence& shown, const std::string& class_name,
                       const Markup& said) {
  Markup caption = said + element("strong", class_name);
  caption += empty_element("br", {}) + fmt::format("sub-centroid {}", shown.evidence.index);
  if (shown.stands_for.sample >= 0) {
    caption += empty_element("br", {}) + short_text(shown.stands_for);
    caption += Markup(" (") + number(fixed(shown.stands_for.similarity, 3)) + ")";
  }
  return element("figure", picture_of(shown, class_name) + element("figcaption", caption));
}

Markup evidence_with_share(const ShownEvidence& shown, const Explanation& explanation) {
  Markup said = bar(shown.evidence.share) + Markup(percent(shown.evidence.share)) + " · ";
  said += number(fixed(shown.evidence.similarity, 3)) + empty_element("br", {});
  return evidence_figure(shown, explanation.name_of(shown.evidence.label), said);
}

Markup prediction(const ShownDecision& shown, const Explanation& explanation) {
  Markup text;
  for (size_t i = 0; i < shown.decision.classes.size(); ++i) {
    const auto& [label, share] = shown.decision.classes[i];
    if (i > 0 && share < 0.0005) break;
    const auto& name = explanation.name_of(label);
    text += Markup(i == 0 ? "" : ", ") + (i == 0 ? element("strong", name) : Markup(name)) + " " +
            percent(share);
  }
  return element("p", text);
}

std::string map_caption(const ShownDecision& shown, const Explanation& explanation) {
  const auto& name = explanation.name_of(shown.decision.label());
  const auto what = shown.support ? fmt::format("the similarity to sub-centroid {} of {}",
                                                shown.support->evidence.index, name)
                                  : fmt::format("the score of {}", name);
  return fmt::format("Where {} comes from ({}): orange speaks for it, blue against.", what,
                     explanation.map);
}

Markup views(const ShownImage& image, const ShownDecision& shown, const Explanation& explanation) {
  Markup figures;
  const auto add = [&](const Picture& picture, const std::string& caption) {
    if (picture.png.empty()) return;
    figures +=
        element("figure", to_img(picture, caption, image.file) + element("figcaption", caption));
  };
  add(shown.picture.png.empty() ? image.picture : shown.picture,
      explanation.pixels ? shown.input : "As the network sees it.");
  add(shown.map_picture, map_caption(shown, explanation));
  return element("div", figures, {{"class", "views"}});
}

/// Rule and evidence of one input.
Markup reasons(const ShownDecision& shown, const Explanation& explanation) {
  const auto* const heading = shown.input.empty() ? "h3" : "h4";
  Markup content;
  if (!shown.rule.empty()) content += element("p", shown.rule, {{"class", "rule"}});
  if (!shown.verdict.empty()) content += element("p", shown.verdict);
  const auto add = [&](const std::string& title, const Markup& figures) {
    content += element(heading, title) + element("div", figures, {{"class", "pictures"}});
  };
  if (!shown.nearest.empty()) {
    Markup figures;
    for (const auto& one : shown.nearest) figures += evidence_with_share(one, explanation);
    add("Nearest sub-centroids", figures);
  }
  if (shown.counter) {
    add("Counter-evidence: the nearest of the runner-up class",
        evidence_with_share(*shown.counter, explanation));
  }
  return content;
}

/// Prediction, pictures and reasons of one input.
Markup decision(const ShownImage& image, const ShownDecision& shown,
                const Explanation& explanation) {
  const auto pictures = views(image, shown, explanation);
  const auto why = reasons(shown, explanation);
  if (why.empty()) return prediction(shown, explanation) + pictures;
  return prediction(shown, explanation) +
         element("div", pictures + element("div", why, {{"class", "reasons"}}),
                 {{"class", explanation.pixels ? "decision large" : "decision"}});
}

Markup choice_figure(const ShownChoice& choice, const ShownImage& image,
                     const Explanation& explanation) {
  const double share =
      static_cast<double>(choice.pixels) / static_cast<double>(image.width * image.height);
  const auto& name = explanation.name_of(choice.evidence.evidence.label);
  Markup said = swatch(choice.colour) + Markup(percent(share)) + empty_element("br", {});
  if (explanation.sub_centroids > 0) return evidence_figure(choice.evidence, name, said);
  return element("figure", element("figcaption", said + element("strong", name)));
}

/// Which sub-centroid each pixel of an image chose, with the legend.
Markup choices(const ShownImage& image, const std::string& title, const Explanation& explanation) {
  const auto pictures =
      element("figure", to_img(image.picture, image.file, image.file)) +
      element("figure", to_img(image.choice_picture, title + ", in colours", image.file));
  Markup legend;
  const auto least = static_cast<double>(image.width * image.height) * kLeastChoice;
  size_t shown = 0;
  for (const auto& choice : image.choices) {
    if (shown == kMostChoices || static_cast<double>(choice.pixels) < least) break;
    legend += choice_figure(choice, image, explanation);
    ++shown;
  }
  Markup content = element("div", pictures, {{"class", "views large"}}) +
                   element("div", legend, {{"class", "pictures"}});
  if (image.choices.size() > shown) {
    content += small(fmt::format("The {} most chosen of {}.", shown, image.choices.size()));
  }
  return content;
}

Markup image_section(const ShownImage& image, const Explanation& explanation) {
  Markup content;
  if (explanation.pixels) {
    const auto* const title = explanation.sub_centroids > 0 ? "Which sub-centroid each pixel chose"
                                                            : "The class of each pixel";
    content += element("h3", title) + choices(image, title, explanation);
  }
  for (const auto& shown : image.decisions) {
    if (!shown.input.empty()) content += element("h3", shown.input);
    content += decision(image, shown, explanation);
  }
  return section(image.file, content);
}

/// How to read the page.
Markup introduction(const Explanation& explanation) {
  Markup header;
  if (explanation.sub_centroids > 0) {
    const auto* const what = explanation.pixels ? "pixel" : "image";
    header += element(
        "p", fmt::format(
                 "The model has {} sub-centroids for each of {} classes. Each is shown as the real "
                 "training {} of its class that lies nearest to it; the number in brackets is the "
                 "cosine similarity of the two.",
                 explanation.sub_centroids, explanation.classes.size(), what));
    header += small(fmt::format(
        "Below a picture: the share of the sub-centroid (softmax over all of them) and its cosine "
        "similarity to the {}.",
        what));
  }
  if (!explanation.notes.empty()) {
    Markup items;
    for (const auto& note : explanation.notes) items += element("li", note);
    header += element("ul", items, {{"class", "notes"}});
  }
  return header;
}

}  // namespace

std::string ShownSample::text() const {
  if (sample < 0 || !place) return name;
  return fmt::format("{} at {} % across, {} % down", name, fixed((*place)[0] * 100, 0),
                     fixed((*place)[1] * 100, 0));
}

std::string to_html(const Explanation& explanation) {
  Page page;
  page.title = explanation.title;
  page.header = introduction(explanation);
  for (const auto& image : explanation.images) page.body += image_section(image, explanation);
  Markup rows;
  const auto row = [&](const std::string& term, const Markup& value) {
    rows += element("dt", term) + element("dd", value);
  };
  row("command", element("code", explanation.command));
  row("checkpoint", explanation.checkpoint);
  if (explanation.searched > 0) {
    row("training samples searched", grouped(static_cast<double>(explanation.searched)));
  }
  row("version", explanation.version);
  row("date", explanation.date);
  page.footer = element("dl", rows);
  return to_html(page);
}

}  // namespace dnc::report
