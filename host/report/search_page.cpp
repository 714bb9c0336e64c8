#include "host/report/search_page.h"

#include <fmt/format.h>

#include "host/report/format.h"
#include "host/report/page.h"
#include "host/report/sections.h"
#include "registry/text.h"

namespace dnc::report {
namespace {

Markup found_figure(const FoundImage& found) {
  auto picture = found.picture.png.empty()
                     ? element("div", fmt::format("#{}", found.sample), {{"class", "no-picture"}})
                     : to_img(found.picture, found.name, found.name);
  Markup caption = number(fixed(found.similarity, 3)) + empty_element("br", {});
  caption += element("strong", found.class_name.empty() ? std::string(kNothing) : found.class_name);
  caption += empty_element("br", {}) + found.name;
  return element("figure", picture + element("figcaption", caption));
}

Markup query_section(const SearchPage::Query& query) {
  Markup found;
  for (const auto& each : query.found) found += found_figure(each);
  Markup content;
  if (!query.picture.png.empty()) {
    content += element("div", element("figure", to_img(query.picture, query.file, query.file)),
                       {{"class", "views"}});
  }
  return section(query.file, content + element("div", found, {{"class", "pictures"}}));
}

Markup introduction(const SearchPage& page) {
  auto text = fmt::format(
      "Below each image the training images with the most similar embeddings, the nearest first, "
      "of {}. The number is the cosine similarity.",
      grouped(static_cast<double>(page.searched)));
  if (!page.classes.empty()) text += " Searched were only: " + join(page.classes) + ".";
  auto header = element("p", text);
  if (page.notes.empty()) return header;
  Markup items;
  for (const auto& note : page.notes) items += element("li", note);
  return header + element("ul", items, {{"class", "notes"}});
}

}  // namespace

std::string to_html(const SearchPage& search) {
  Page page;
  page.title = search.title;
  page.header = introduction(search);
  for (const auto& query : search.queries) page.body += query_section(query);
  Markup rows;
  const auto row = [&](const std::string& term, const Markup& value) {
    rows += element("dt", term) + element("dd", value);
  };
  row("command", element("code", search.command));
  row("checkpoint", search.checkpoint);
  row("version", search.version);
  row("date", search.date);
  page.footer = element("dl", rows);
  return to_html(page);
}

}  // namespace dnc::report
