#include "host/report/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/archive/iterators/base64_from_binary.hpp>
#include <boost/archive/iterators/transform_width.hpp>
#include <cmath>

#include "host/data/encode_png.h"

namespace dnc::report {
namespace {

constexpr int64_t kSmallSide = 64;

Image shrink(const Image& image, int64_t longest_side) {
  const auto side = std::max(image.height(), image.width());
  if (side <= longest_side) return image;
  const auto scaled = [&](int64_t size) {
    const double share = static_cast<double>(size) / static_cast<double>(side);
    return std::max<int64_t>(1, std::llround(share * static_cast<double>(longest_side)));
  };
  return image.resize(scaled(image.height()), scaled(image.width()), Interpolation::kBilinear);
}

}  // namespace

std::string base64(const std::vector<uint8_t>& bytes) {
  using namespace boost::archive::iterators;
  using Sixths = base64_from_binary<transform_width<std::vector<uint8_t>::const_iterator, 6, 8>>;
  std::string text(Sixths(bytes.begin()), Sixths(bytes.end()));
  return text.append((3 - bytes.size() % 3) % 3, '=');
}

Picture make_picture(const Image& image, int64_t longest_side) {
  if (image.is_float() || image.empty()) return {};
  const auto small = shrink(image, longest_side);
  return {base64(encode_png(small)), small.width(), small.height()};
}

Markup to_img(const Picture& picture, const std::string& text, const std::string& title) {
  if (picture.png.empty()) return {};
  const bool small = std::max(picture.width, picture.height) <= kSmallSide;
  return empty_element("img", {{"src", "data:image/png;base64," + picture.png},
                               {"width", fmt::format("{}", picture.width)},
                               {"height", fmt::format("{}", picture.height)},
                               {"class", small ? "small-image" : "image"},
                               {"loading", "lazy"},
                               {"alt", text},
                               {"title", title}});
}

}  // namespace dnc::report
