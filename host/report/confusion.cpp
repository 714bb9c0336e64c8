#include "host/report/confusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "host/report/format.h"

namespace dnc::report {
namespace {

constexpr size_t kConfusedPairs = 20;
constexpr int64_t kBlockPixels = 4;  // at least: a single pixel is hardly seen
// The page's colours on white.
constexpr std::array<double, 3> kRight{11, 98, 168};
constexpr std::array<double, 3> kWrong{192, 72, 20};

double row_sum(const Table& table, size_t row) {
  double sum = 0;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const double value = table.values[row * table.columns.size() + i];
    if (std::isfinite(value) && value > 0) sum += value;
  }
  return sum;
}

/// How deep a cell is shaded by its share of the row: the square root lets rare errors be seen.
double depth(double share) { return std::sqrt(std::clamp(share, 0.0, 1.0)); }

/// The largest shade among the cells of a block, and whether that is on the diagonal.
struct Block {
  double depth = 0;
  bool right = false;
};

Block block_of(const Table& confusion, const std::vector<double>& sums, size_t top, size_t left,
               size_t size) {
  const auto classes = confusion.rows.size();
  Block block;
  for (size_t row = top; row < std::min(top + size, classes); ++row) {
    for (size_t column = left; column < std::min(left + size, classes); ++column) {
      const double value = confusion.values[row * classes + column];
      if (!(value > 0) || !(sums[row] > 0)) continue;
      const double own = depth(value / sums[row]);
      if (own > block.depth) block = {own, row == column};
    }
  }
  return block;
}

}  // namespace

Markup heat_map(const Table& confusion, const std::string& caption) {
  DataTable out{.caption = caption, .css_class = "matrix", .head = {{}}, .body = {}};
  out.head[0].emplace_back("true \\ predicted");
  for (const auto& name : confusion.columns) out.head[0].emplace_back(element("span", name));
  for (size_t row = 0; row < confusion.rows.size(); ++row) {
    std::vector<Cell> cells{Cell(confusion.rows[row])};
    const double sum = row_sum(confusion, row);
    for (size_t column = 0; column < confusion.columns.size(); ++column) {
      const double value = confusion.values[row * confusion.columns.size() + column];
      const double share = sum > 0 && value > 0 ? value / sum : 0;
      std::string css = row == column ? "right" : "";
      if (!(value > 0)) {
        css += " zero";
      } else if (share > 0.55) {
        css += " deep";
      }
      cells.emplace_back(grouped(value), css).style =
          fmt::format("--shade:{}", fixed(depth(share), 3));
    }
    out.body.push_back(std::move(cells));
  }
  return table(out);
}

Markup confused_pairs(const Table& confusion, const std::string& caption) {
  std::vector<size_t> cells(confusion.values.size());
  std::iota(cells.begin(), cells.end(), size_t{0});
  const size_t width = confusion.columns.size();
  const auto& values = confusion.values;
  std::erase_if(cells, [&](size_t i) { return i / width == i % width || !(values[i] > 0); });
  const auto count = std::min(cells.size(), kConfusedPairs);
  std::partial_sort(
      cells.begin(), cells.begin() + static_cast<std::ptrdiff_t>(count), cells.end(),
      [&](size_t a, size_t b) { return values[a] != values[b] ? values[a] > values[b] : a < b; });
  cells.resize(count);
  DataTable out{.caption = caption,
                .css_class = "",
                .head = {plain_cells({"true class", "predicted", "times", "of the class, %"})},
                .body = {}};
  for (const size_t i : cells) {
    const double share = values[i] / row_sum(confusion, i / width);
    out.body.push_back(plain_cells({confusion.rows[i / width], confusion.columns[i % width],
                                    grouped(values[i]), fixed(share * 100, 1)}));
  }
  return table(out);
}

Image confusion_picture(const Table& confusion, int64_t side) {
  const auto classes = static_cast<int64_t>(confusion.rows.size());
  const auto most_blocks = std::max<int64_t>(1, side / kBlockPixels);
  const auto in_block = std::max<int64_t>(1, (classes + most_blocks - 1) / most_blocks);
  const auto blocks = (classes + in_block - 1) / in_block;
  const auto pixels = (side + blocks - 1) / std::max<int64_t>(blocks, 1);
  std::vector<double> sums;
  for (size_t row = 0; row < confusion.rows.size(); ++row) sums.push_back(row_sum(confusion, row));
  Image picture(blocks, blocks, 3);
  auto* out = picture.pixels();
  for (int64_t row = 0; row < blocks; ++row) {
    for (int64_t column = 0; column < blocks; ++column) {
      const auto block =
          block_of(confusion, sums, static_cast<size_t>(row * in_block),
                   static_cast<size_t>(column * in_block), static_cast<size_t>(in_block));
      for (const double colour : block.right ? kRight : kWrong) {
        *out++ = static_cast<uint8_t>(std::lround(255 + (colour - 255) * block.depth));
      }
    }
  }
  return picture.resize(blocks * pixels, blocks * pixels, Interpolation::kNearest);
}

}  // namespace dnc::report
