#pragma once

#include <string>

#include "host/report/html.h"

namespace dnc::report {

/// A page of a report.
struct Page {
  std::string title;
  Markup header;  // below the title: what the page says in a sentence or two
  Markup body;    // sections
  Markup footer;  // where it comes from
};

/// A whole HTML file in itself: one style sheet for light and dark screens of any width and for
/// paper, no script, nothing loaded from elsewhere. It is well-formed XML after the first line.
std::string to_html(const Page& page);

/// A part of a page. Nothing for empty content.
Markup section(const std::string& title, const Markup& content);

/// A part that is shown when its summary is clicked.
Markup details(const Markup& summary, const Markup& content, bool open);

}  // namespace dnc::report
