// Image::resize: separable resampling with Pillow's results, written so that the compiler turns the
// inner loops into vector instructions.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "registry/image.h"

namespace dnc {
namespace {

// What is resized of an axis of `size` pixels: from `begin` to `end`, in pixels and parts of them.
struct Span {
  int64_t size = 0;
  double begin = 0.0;
  double end = static_cast<double>(size);
  bool is_whole() const { return begin == 0.0 && end == static_cast<double>(size); }
};
struct Area {
  Span vertical;
  Span horizontal;
};

// One axis: output i is the sum of `count[i]` inputs from `first[i]` on, each times its weight.
// The weights of output i begin at i * taps. `unchanged`: output i is input i.
template <typename Weight>
struct Filter {
  int64_t taps = 0;
  bool unchanged = false;
  std::vector<int64_t> first;
  std::vector<int64_t> count;
  std::vector<Weight> weights;
  const Weight* weights_of(size_t i) const {
    return weights.data() + i * static_cast<size_t>(taps);
  }
};

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

// Keys' cubic convolution with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

// For a smaller output the kernel is stretched by the ratio of the sizes: that is the antialiasing.
Filter<double> make_filter(const Span& in, int64_t out, Interpolation interpolation) {
  const bool is_cubic = interpolation == Interpolation::kBicubic;
  const double scale = (in.end - in.begin) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = (is_cubic ? 2.0 : 1.0) * stretch;
  Filter<double> filter;
  filter.taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  filter.unchanged = in.is_whole() && in.size == out;
  filter.weights.resize(static_cast<size_t>(out * filter.taps));
  for (int64_t i = 0; i < out; ++i) {
    const double center = in.begin + (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const auto last = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in.size);
    double* const weights = filter.weights.data() + i * filter.taps;
    double sum = 0.0;
    for (int64_t j = first; j < last; ++j) {
      const double x = (static_cast<double>(j) - center + 0.5) * (1.0 / stretch);
      weights[j - first] = is_cubic ? cubic(x) : triangle(x);
      sum += weights[j - first];
    }
    for (int64_t j = 0; j < last - first && sum != 0.0; ++j) weights[j] /= sum;
    filter.first.push_back(first);
    filter.count.push_back(last - first);
  }
  return filter;
}

// The weights of bytes are whole numbers of 1 / 2^22: 32 bits, less 8 for the pixel and 2 because
// a cubic kernel exceeds the range of its inputs.
constexpr int kFractionBits = 32 - 8 - 2;

Filter<int32_t> to_fixed_point(const Filter<double>& filter) {
  Filter<int32_t> fixed{filter.taps, filter.unchanged, filter.first, filter.count, {}};
  for (const double weight : filter.weights) {
    fixed.weights.push_back(static_cast<int32_t>(std::lround(weight * (1 << kFractionBits))));
  }
  return fixed;
}

constexpr int kLanes = 32;  // 8 rows of RGB in 4 numbers a pixel, or 32 rows of one channel

// kLanes neighbouring sums at once: out[i] is the sum over t of weights[t] * in[t * stride + i].
// The lanes are spelt as vectors because g++ keeps those in registers, and an array not.
[[gnu::always_inline]] inline void sum_lanes(const uint8_t* in, int64_t stride,
                                             const int32_t* weights, int64_t count, uint8_t* out) {
  typedef int32_t Lanes [[gnu::vector_size(32)]];
  Lanes sums[kLanes / 8] = {};
  for (int64_t t = 0; t < count; ++t) {
    for (int i = 0; i < kLanes / 8; ++i) {
      const uint8_t* const p = in + t * stride + 8 * i;
      sums[i] += weights[t] * Lanes{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
    }
  }
  int32_t rounded[kLanes];
  std::memcpy(rounded, sums, sizeof(rounded));
  for (int i = 0; i < kLanes; ++i) {
    const int32_t value = (rounded[i] + (1 << (kFractionBits - 1))) >> kFractionBits;
    out[i] = static_cast<uint8_t>(std::clamp(value, 0, 255));
  }
}
[[gnu::always_inline]] inline void sum_lanes(const float* in, int64_t stride, const double* weights,
                                             int64_t count, float* out) {
  double sums[kLanes] = {};
  for (int64_t t = 0; t < count; ++t) {
    for (int i = 0; i < kLanes; ++i) {
      sums[i] += weights[t] * static_cast<double>(in[t * stride + i]);
    }
  }
  for (int i = 0; i < kLanes; ++i) out[i] = static_cast<float>(sums[i]);
}

struct Size {
  int64_t height = 0;
  int64_t width = 0;
};

// Three numbers are copied as four, which is faster: the fourth is the next pixel's first. Behind
// the last pixel of a row it would be nobody's.
template <int kChannels, typename T>
[[gnu::always_inline]] inline void copy_pixel(const T* from, T* to, bool is_last) {
  if (is_last || kChannels == 1) {
    std::memcpy(to, from, kChannels * sizeof(T));
  } else {
    std::memcpy(to, from, (kChannels + 1) * sizeof(T));
  }
}

// Rows to rows of another width; those of `out` begin `stride` numbers apart. Some rows are taken
// at a time and interleaved, pixel by pixel, so that neighbours in memory have the same weight, as
// they have in the other pass.
template <int kChannels, typename T, typename Weight>
[[gnu::always_inline]] inline void resize_rows(const T* in, Size size, const Filter<Weight>& filter,
                                               int64_t stride, T* out) {
  constexpr int kPlace = kChannels == 1 ? 1 : 4;  // of a pixel
  constexpr int kRows = kLanes / kPlace;
  std::vector<T> block(static_cast<size_t>(size.width * kLanes));
  std::vector<T> unused(filter.first.size() * kChannels);  // takes the rows below the last one
  for (int64_t top = 0; top < size.height; top += kRows) {
    const T* sources[kRows];
    T* targets[kRows];
    for (int64_t r = 0; r < kRows; ++r) {
      sources[r] = in + std::min(top + r, size.height - 1) * size.width * kChannels;
      targets[r] = top + r < size.height ? out + (top + r) * stride : unused.data();
    }
    for (int64_t x = 0; x < size.width; ++x) {
      for (int r = 0; r < kRows; ++r) {
        copy_pixel<kChannels>(sources[r] + x * kChannels, block.data() + x * kLanes + r * kPlace,
                              x + 1 == size.width);
      }
    }
    for (size_t x = 0; x < filter.first.size(); ++x) {
      T sums[kLanes];
      sum_lanes(block.data() + filter.first[x] * kLanes, kLanes, filter.weights_of(x),
                filter.count[x], sums);
      for (int r = 0; r < kRows; ++r) {
        copy_pixel<kChannels>(sums + r * kPlace, targets[r] + x * kChannels,
                              x + 1 == filter.first.size());
      }
    }
  }
}

// Columns to columns of another height. Rows of `in` begin `stride` numbers apart, a multiple of
// kLanes; those of `out`, `length`.
template <typename T, typename Weight>
[[gnu::always_inline]] inline void resize_columns(const T* in, int64_t stride, int64_t length,
                                                  const Filter<Weight>& filter, T* out) {
  for (size_t y = 0; y < filter.first.size(); ++y, out += length) {
    for (int64_t x = 0; x < length; x += kLanes) {
      T sums[kLanes];
      sum_lanes(in + filter.first[y] * stride + x, stride, filter.weights_of(y), filter.count[y],
                sums);
      std::copy_n(sums, std::min<int64_t>(kLanes, length - x), out + x);
    }
  }
}

// Both passes; one that would change nothing is left out.
template <int kChannels, typename T, typename Weight>
[[gnu::always_inline]] inline void resample_inline(const T* in, Size from, Size to,
                                                   const Filter<Weight>& rows,
                                                   const Filter<Weight>& columns, T* out) {
  const int64_t length = to.width * kChannels;
  if (columns.unchanged) return resize_rows<kChannels>(in, from, rows, length, out);
  const int64_t stride = (length + kLanes - 1) / kLanes * kLanes;
  std::vector<T> between(static_cast<size_t>(from.height * stride));
  if (!rows.unchanged) {
    resize_rows<kChannels>(in, from, rows, stride, between.data());
  } else {
    for (int64_t y = 0; y < from.height; ++y) {
      std::copy_n(in + y * length, length, between.data() + y * stride);
    }
  }
  resize_columns(between.data(), stride, length, columns, out);
}

template <int kChannels, typename T, typename Weight>
void resample_portable(const T* in, Size from, Size to, const Filter<Weight>& rows,
                       const Filter<Weight>& columns, T* out) {
  resample_inline<kChannels>(in, from, to, rows, columns, out);
}

#if defined(__x86_64__)
// The same loops once more, compiled for processors with 256-bit integers.
template <int kChannels, typename T, typename Weight>
[[gnu::target("avx2")]] void resample_avx2(const T* in, Size from, Size to,
                                           const Filter<Weight>& rows,
                                           const Filter<Weight>& columns, T* out) {
  resample_inline<kChannels>(in, from, to, rows, columns, out);
}
#endif

template <int kChannels, typename T, typename Weight>
void resample(const T* in, Size from, Size to, const Filter<Weight>& rows,
              const Filter<Weight>& columns, T* out) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx2) return resample_avx2<kChannels>(in, from, to, rows, columns, out);
#endif
  resample_portable<kChannels>(in, from, to, rows, columns, out);
}

template <typename T, typename Weight>
void resample(const T* in, Size from, Size to, int64_t channels, const Filter<Weight>& rows,
              const Filter<Weight>& columns, T* out) {
  if (channels == 1) {
    resample<1>(in, from, to, rows, columns, out);
  } else {
    resample<3>(in, from, to, rows, columns, out);
  }
}

// The input that is nearest to the centre of each output. Adds up step by step as Pillow does,
// which decides where the centre falls on an edge.
std::vector<int64_t> nearest_sources(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  std::vector<int64_t> sources;
  double position = scale * 0.5;
  for (int64_t i = 0; i < out; ++i, position += scale) {
    sources.push_back(std::min(static_cast<int64_t>(position), in - 1));
  }
  return sources;
}

template <typename T>
void pick_nearest(const T* in, Size from, Size to, int64_t channels, T* out) {
  const auto columns = nearest_sources(from.width, to.width);
  for (const int64_t y : nearest_sources(from.height, to.height)) {
    const T* const row = in + y * from.width * channels;
    for (const int64_t x : columns) {
      for (int64_t c = 0; c < channels; ++c) *out++ = row[x * channels + c];
    }
  }
}

template <typename T>
void resample(const T* in, const Area& area, Size to, int64_t channels, Interpolation interpolation,
              T* out) {
  const Size from{area.vertical.size, area.horizontal.size};
  const auto rows = make_filter(area.horizontal, to.width, interpolation);
  const auto columns = make_filter(area.vertical, to.height, interpolation);
  if constexpr (std::is_same_v<T, uint8_t>) {
    resample(in, from, to, channels, to_fixed_point(rows), to_fixed_point(columns), out);
  } else {
    resample(in, from, to, channels, rows, columns, out);
  }
}

// How many times the new size a reduced image must keep; Pillow's thumbnail() takes 2 as well. On
// photographs the result then differs from the exact one by half a level of 255 in the mean; at 1
// it would be one and a half.
constexpr int64_t kReducingGap = 2;

// What remains of `size` pixels from `begin` on when each `factor` become one.
struct ReducedAxis {
  int64_t first;
  Span span;  // of the reduced pixels from `first` on

  ReducedAxis(int64_t begin, int64_t size, int64_t factor) : first(begin / factor) {
    const auto scale = static_cast<double>(factor);
    span.size = (begin + size + factor - 1) / factor - first;
    span.begin = static_cast<double>(begin) / scale - static_cast<double>(first);
    span.end = span.begin + static_cast<double>(size) / scale;
  }
};

// `box` of the file through a reduced copy of it; nothing where that is too small or not to be had.
std::optional<Image> resize_reduced(const EncodedImage& encoded, const Box& box, Size to,
                                    Interpolation interpolation) {
  for (const int64_t factor : {8, 4, 2}) {
    const int64_t least = factor * kReducingGap;
    if (box.height / least < to.height || box.width / least < to.width) continue;
    const ReducedAxis vertical(box.top, box.height, factor);
    const ReducedAxis horizontal(box.left, box.width, factor);
    Image reduced(vertical.span.size, horizontal.span.size, 3);
    const Box seen{vertical.first, horizontal.first, reduced.height(), reduced.width()};
    if (!encoded.decode_reduced(factor, seen, reduced.pixels())) continue;
    Image resized(to.height, to.width, 3);
    resample(reduced.pixels(), {vertical.span, horizontal.span}, to, 3, interpolation,
             resized.pixels());
    return resized;
  }
  return std::nullopt;
}

}  // namespace

Image Image::resize(int64_t height, int64_t width, Interpolation interpolation,
                    Decoding decoding) const {
  if (height < 1 || width < 1 || empty()) {
    throw std::invalid_argument("Image::resize: from or to nothing");
  }
  if (height == box_.height && width == box_.width) return *this;
  const Size from{box_.height, box_.width};
  const Size to{height, width};
  const bool is_mixed = interpolation != Interpolation::kNearest;
  if (encoded_ && is_mixed && decoding == Decoding::kReduced) {
    if (auto resized = resize_reduced(*encoded_, box_, to, interpolation)) return *resized;
  }
  decode();
  Image resized = blank(height, width, channels_);
  const auto resize_pixels = [&](const auto* in, auto* out) {
    if (is_mixed) {
      resample(in, {{from.height}, {from.width}}, to, channels_, interpolation, out);
    } else {
      pick_nearest(in, from, to, channels_, out);
    }
  };
  if (is_float()) {
    resize_pixels(floats(), resized.floats());
  } else {
    resize_pixels(pixels(), resized.pixels());
  }
  return resized;
}

}  // namespace dnc
