#include "host/report/html.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/report/format.h"

namespace dnc::report {
namespace {

std::string start_of_tag(std::string_view tag, const Attributes& attributes) {
  auto html = fmt::format("<{}", tag);
  for (const auto& [name, value] : attributes) {
    html += fmt::format(" {}=\"{}\"", name, escape(value));
  }
  return html;
}

Markup cell(std::string_view tag, const Cell& cell, std::string_view scope) {
  Attributes attributes;
  if (!scope.empty()) {
    attributes.push_back({"scope", std::string(scope) + (cell.columns > 1 ? "group" : "")});
  }
  if (cell.columns > 1) attributes.push_back({"colspan", fmt::format("{}", cell.columns)});
  if (!cell.css_class.empty()) attributes.push_back({"class", cell.css_class});
  if (!cell.style.empty()) attributes.push_back({"style", cell.style});
  if (!cell.label.empty()) attributes.push_back({"data-label", cell.label});
  return element(tag, cell.content, attributes);
}

}  // namespace

std::string escape(std::string_view text) {
  std::string html;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

Markup Markup::trusted(std::string html) {
  Markup markup;
  markup.html_ = std::move(html);
  return markup;
}

Markup& Markup::operator+=(const Markup& other) {
  html_ += other.html_;
  return *this;
}

Markup element(std::string_view tag, const Markup& content, const Attributes& attributes) {
  return Markup::trusted(
      fmt::format("{}>{}</{}>", start_of_tag(tag, attributes), content.html(), tag));
}

Markup empty_element(std::string_view tag, const Attributes& attributes) {
  return Markup::trusted(start_of_tag(tag, attributes) + "/>");
}

Markup preformatted(std::string_view text) {
  Markup lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines += Markup(text.substr(0, end)) + Markup::trusted("\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return element("pre", element("code", lines));
}

std::vector<Cell> plain_cells(const std::vector<std::string>& texts) {
  std::vector<Cell> cells;
  for (const auto& text : texts) cells.emplace_back(text);
  return cells;
}

Markup table(const DataTable& table) {
  const auto line_end = Markup::trusted("\n");
  Markup head, body;
  for (const auto& row : table.head) {
    Markup cells;
    for (const auto& one : row) cells += cell("th", one, "col");
    head += element("tr", cells) + line_end;
  }
  for (const auto& row : table.body) {
    Markup cells;
    for (size_t i = 0; i < row.size(); ++i) {
      cells += i == 0 ? cell("th", row[i], "row") : cell("td", row[i], "");
    }
    body += element("tr", cells) + line_end;
  }
  Attributes attributes;
  if (!table.css_class.empty()) attributes.push_back({"class", table.css_class});
  const auto whole = element("table", element("thead", head) + element("tbody", body), attributes);
  // The caption stays in place when the table scrolls, which the keyboard can do as well.
  Markup caption;
  if (!table.caption.empty()) caption = element("p", table.caption, {{"class", "caption"}});
  return caption + element("div", whole,
                           {{"class", "scroll"},
                            {"tabindex", "0"},
                            {"role", "region"},
                            {"aria-label", table.caption}});
}

}  // namespace dnc::report
