#include "host/report/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/report/page.h"
#include "host/report/picture.h"
#include "registry/error.h"

namespace dnc::report {
namespace {

constexpr int64_t kLargestSide = 224;  // larger pictures are shrunk to it
constexpr int64_t kSmallestSide = 96;  // that the largest picture of a sheet has
constexpr int64_t kGap = 6;
constexpr uint8_t kGround = 200;
constexpr int64_t kMostPixels = 100'000'000;

int64_t longer_side(const Image& image) { return std::max(image.height(), image.width()); }

/// By what all pictures of the sheet are enlarged, 1 or more.
int64_t enlargement(const ContactSheet& sheet) {
  int64_t largest = 1;
  for (const auto& row : sheet.rows) {
    for (const auto& image : row.images) largest = std::max(largest, longer_side(image));
  }
  return std::max<int64_t>(1, (kSmallestSide + largest - 1) / largest);
}

Image shown(const Image& image, int64_t enlargement) {
  if (image.empty()) return image;
  if (enlargement > 1) {
    return image.resize(image.height() * enlargement, image.width() * enlargement,
                        Interpolation::kNearest);
  }
  const double scale =
      std::min(1.0, static_cast<double>(kLargestSide) / static_cast<double>(longer_side(image)));
  if (scale == 1) return image;
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(side) * scale));
  };
  return image.resize(scaled(image.height()), scaled(image.width()), Interpolation::kBilinear);
}

void paste(const Image& image, int64_t top, int64_t left, Image& sheet) {
  const auto rgb = image.to_channels(3);
  for (int64_t y = 0; y < rgb.height(); ++y) {
    std::copy_n(rgb.pixels() + y * rgb.width() * 3, rgb.width() * 3,
                sheet.pixels() + ((top + y) * sheet.width() + left) * 3);
  }
}

}  // namespace

std::string to_html(const ContactSheet& sheet) {
  const auto scale = enlargement(sheet);
  DataTable table{
      .caption = "", .css_class = "sheet", .head = {plain_cells({"sample"})}, .body = {}};
  for (const auto& column : sheet.columns) table.head[0].emplace_back(column);
  for (const auto& row : sheet.rows) {
    Markup head;
    if (!row.caption.empty()) head = element("strong", row.caption) + empty_element("br", {});
    const auto file = row.name.substr(row.name.find_last_of('/') + 1);
    head += element("span", file, {{"class", "small"}, {"title", row.name}});
    std::vector<Cell> cells{Cell(std::move(head))};
    for (size_t i = 0; i < row.images.size(); ++i) {
      const auto text = fmt::format("{}, {}", row.name, sheet.columns[i]);
      const auto& image = row.images[i];
      const auto title = fmt::format("{} x {} pixels", image.width(), image.height());
      cells.emplace_back(to_img(make_picture(shown(image, scale), kLargestSide), text, title));
    }
    table.body.push_back(std::move(cells));
  }
  Page page{.title = sheet.title,
            .header = element("p", sheet.text),
            .body = report::table(table),
            .footer = {}};
  return to_html(page);
}

Image to_image(const ContactSheet& sheet) {
  const auto scale = enlargement(sheet);
  std::vector<std::vector<Image>> pictures;
  std::vector<int64_t> heights, widths(sheet.columns.size());  // of rows and columns
  for (const auto& row : sheet.rows) {
    auto& shrunk = pictures.emplace_back();
    auto& height = heights.emplace_back(0);
    for (size_t column = 0; column < row.images.size(); ++column) {
      shrunk.push_back(shown(row.images[column], scale));
      height = std::max(height, shrunk.back().height());
      widths[column] = std::max(widths[column], shrunk.back().width());
    }
  }
  const auto side = [](const std::vector<int64_t>& sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), kGap,
                           [](int64_t sum, int64_t size) { return sum + size + kGap; });
  };
  if (side(heights) * side(widths) > kMostPixels) {
    throw Error(
        fmt::format("a sheet of {} x {} pictures is too large for a PNG file; take fewer "
                    "samples, or write a page (.html)",
                    sheet.rows.size(), sheet.columns.size()));
  }
  Image out(side(heights), side(widths), 3);
  std::fill_n(out.pixels(), out.size(), kGround);
  int64_t top = kGap;
  for (size_t row = 0; row < pictures.size(); ++row) {
    int64_t left = kGap;
    for (size_t column = 0; column < pictures[row].size(); ++column) {
      paste(pictures[row][column], top, left, out);
      left += widths[column] + kGap;
    }
    top += heights[row] + kGap;
  }
  return out;
}

}  // namespace dnc::report
