#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dnc::report {

/// Text as it may stand in HTML and in attributes: & < > " ' are escaped, control characters and
/// bytes that are not UTF-8 become U+FFFD.
std::string escape(std::string_view text);

/// A piece of HTML or SVG. Whatever text becomes one is escaped, and only element() makes tags, so
/// a page is well-formed and no name from a file can break it.
class Markup {
 public:
  Markup() = default;
  template <typename Text>
  requires std::convertible_to<const Text&, std::string_view> Markup(const Text& text)
      : html_(escape(text)) {}

  /// Not escaped: for what is written in this program, such as a style sheet.
  static Markup trusted(std::string html);

  Markup& operator+=(const Markup& other);
  friend Markup operator+(Markup left, const Markup& right) { return left += right; }
  const std::string& html() const { return html_; }
  bool empty() const { return html_.empty(); }

 private:
  std::string html_;
};

struct Attribute {
  std::string_view name;
  std::string value;  // escaped when written
};
using Attributes = std::vector<Attribute>;

/// <tag attributes>content</tag>
Markup element(std::string_view tag, const Markup& content, const Attributes& attributes = {});
/// <tag attributes/>, for what has no content: img, line, circle.
Markup empty_element(std::string_view tag, const Attributes& attributes);

/// Text whose line ends and blanks are kept, as of a file.
Markup preformatted(std::string_view text);

/// A cell of a table.
struct Cell {
  Cell(Markup content, std::string css_class = "")
      : content(std::move(content)), css_class(std::move(css_class)) {}

  Markup content;
  std::string css_class;
  std::string style;
  std::string label;  // stands before the cell where the table is shown as cards
  int64_t columns = 1;
};

/// A row of plain cells.
std::vector<Cell> plain_cells(const std::vector<std::string>& texts);

/// A table with a heading for each column (head: one row or more) and for each row (the first cell
/// of it). Where it is wider than the screen, it scrolls by itself.
struct DataTable {
  std::string caption;
  std::string css_class;
  std::vector<std::vector<Cell>> head;
  std::vector<std::vector<Cell>> body;
};

Markup table(const DataTable& table);

}  // namespace dnc::report
