#include "ops/normalize_images.h"

#include <ATen/Dispatch.h>

#include <algorithm>
#include <array>

#include "ops/blocks.h"

namespace dnc {
namespace {

/// Mean and 1 / std of each channel, again and again: as many numbers as 16 pixels have, so that
/// one loop without a remainder serves 1 to 4 channels side by side.
struct Channels {
  static constexpr int64_t kPixels = 16;
  int64_t count = 0;
  std::array<float, kPixels * 4> mean{};
  std::array<float, kPixels * 4> scale{};

  Channels(at::ArrayRef<double> means, at::ArrayRef<double> stds)
      : count(static_cast<int64_t>(means.size())) {
    for (int64_t i = 0; i < kPixels * count; ++i) {
      mean[i] = static_cast<float>(means[i % count]);
      scale[i] = 1 / static_cast<float>(stds[i % count]);
    }
  }
};

/// A row of pixels whose channels lie side by side, in both.
template <typename T>
void normalize_packed(const uint8_t* from, int64_t pixels, const Channels& channels, T* to) {
  const int64_t step = Channels::kPixels * channels.count, size = pixels * channels.count;
  int64_t i = 0;
  for (; i + step <= size; i += step) {
    for (int64_t j = 0; j < step; ++j) {
      to[i + j] =
          static_cast<T>((static_cast<float>(from[i + j]) - channels.mean[j]) * channels.scale[j]);
    }
  }
  for (int64_t j = 0; i + j < size; ++j) {
    to[i + j] =
        static_cast<T>((static_cast<float>(from[i + j]) - channels.mean[j]) * channels.scale[j]);
  }
}

/// The same of pixels that lie in any way.
template <typename T>
void normalize_strided(const uint8_t* from, int64_t channel_stride, int64_t stride, int64_t pixels,
                       const Channels& channels, T* to) {
  for (int64_t c = 0; c < channels.count; ++c) {
    const float mean = channels.mean[c], scale = channels.scale[c];
    const uint8_t* plane = from + c * channel_stride;
    for (int64_t i = 0; i < pixels; ++i) {
      to[i * channels.count + c] =
          static_cast<T>((static_cast<float>(plane[i * stride]) - mean) * scale);
    }
  }
}

/// Pixels left to right become right to left.
template <typename T>
void mirror(T* row, int64_t pixels, int64_t channels) {
  for (int64_t x = 0; x < pixels / 2; ++x) {
    std::swap_ranges(row + x * channels, row + (x + 1) * channels,
                     row + (pixels - 1 - x) * channels);
  }
}

/// A row of black pixels, normalised.
template <typename T>
void fill_black(int64_t pixels, const Channels& channels, T* to) {
  for (int64_t i = 0; i < pixels * channels.count; ++i) {
    const int64_t c = i % channels.count;
    to[i] = static_cast<T>((0 - channels.mean[c]) * channels.scale[c]);
  }
}

template <typename T>
void normalize(const torch::Tensor& images, const Channels& channels, const ImageCrops& crops,
               torch::Tensor& result) {
  const int64_t C = images.size(1), H = images.size(2), W = images.size(3);
  const int64_t height = result.size(2), width = result.size(3);
  const auto corners = crops.corners ? crops.corners->contiguous() : torch::Tensor();
  const auto flips = crops.flips ? crops.flips->contiguous() : torch::Tensor();
  const auto* corner = crops.corners ? corners.const_data_ptr<int64_t>() : nullptr;
  const auto* flip = crops.flips ? flips.const_data_ptr<bool>() : nullptr;
  const auto* data = images.const_data_ptr<uint8_t>();
  auto* out = result.mutable_data_ptr<T>();
  const bool packed = images.stride(1) == 1 && images.stride(3) == C;
  parallel(images.size(0) * height, width * C, [&](int64_t i) {
    const int64_t image = i / height;
    const int64_t y = i % height + (corner ? corner[2 * image] : 0);
    const int64_t left = corner ? corner[2 * image + 1] : 0;
    auto* to = out + i * width * C;
    // The pixels [begin, end) of this row are in the image.
    const int64_t begin = std::clamp<int64_t>(-left, 0, width);
    const int64_t end = y < 0 || y >= H ? begin : std::clamp<int64_t>(W - left, begin, width);
    fill_black(begin, channels, to);
    fill_black(width - end, channels, to + end * C);
    if (begin < end) {
      const auto* from = data + image * images.stride(0) + y * images.stride(2) +
                         (left + begin) * images.stride(3);
      if (packed) {
        normalize_packed(from, end - begin, channels, to + begin * C);
      } else {
        normalize_strided(from, images.stride(1), images.stride(3), end - begin, channels,
                          to + begin * C);
      }
    }
    if (flip && flip[image]) mirror(to, width, C);
  });
}

/// The crops of images [N, C, H, W], as bytes.
torch::Tensor crop_by_operators(const torch::Tensor& images, int64_t height, int64_t width,
                                const ImageCrops& crops) {
  const auto options = images.options().dtype(torch::kLong);
  const int64_t N = images.size(0);
  auto y = at::arange(height, options).view({1, -1, 1});
  auto x = at::arange(width, options).view({1, 1, -1}).expand({N, 1, -1});
  if (crops.flips) x = at::where(crops.flips->view({-1, 1, 1}), x.flip({2}), x);
  if (crops.corners) {
    y = y + crops.corners->select(1, 0).view({-1, 1, 1});
    x = x + crops.corners->select(1, 1).view({-1, 1, 1});
  }
  const auto inside = [](const torch::Tensor& at, int64_t size) {
    return at.ge(0).logical_and_(at.lt(size));
  };
  const auto there = inside(y, images.size(2)).logical_and(inside(x, images.size(3)));
  return images.permute({0, 2, 3, 1})
      .index({at::arange(N, options).view({-1, 1, 1}), y.clamp(0, images.size(2) - 1),
              x.clamp(0, images.size(3) - 1)})
      .masked_fill_(there.logical_not().unsqueeze(3), 0)
      .permute({0, 3, 1, 2});
}

torch::Tensor by_operators(const torch::Tensor& images, at::ArrayRef<double> mean,
                           at::ArrayRef<double> std, at::ScalarType dtype) {
  const auto channels = [&](at::ArrayRef<double> values) {
    return torch::tensor(values, torch::kFloat).view({1, -1, 1, 1}).to(images.device());
  };
  return images.to(torch::kFloat)
      .sub_(channels(mean))
      .mul_(channels(std).reciprocal_())
      .to(dtype)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

std::vector<c10::SymInt> check_normalize_images(const torch::Tensor& images,
                                                at::ArrayRef<double> mean, at::ArrayRef<double> std,
                                                at::ScalarType dtype, const ImageCrops& crops) {
  TORCH_CHECK(images.scalar_type() == torch::kByte && images.dim() == 4,
              "dnc: expected images uint8 [N, C, H, W], got ", images.dim(), " dimensions of ",
              images.scalar_type());
  TORCH_CHECK(mean.size() >= 1 && mean.size() <= 4 && mean.size() == std.size(),
              "dnc: expected a mean and std for each of 1 to 4 channels, got ", mean.size(),
              " and ", std.size());
  TORCH_CHECK(c10::isFloatingType(dtype), "dnc: normalised images are floats, not ", dtype);
  TORCH_CHECK(images.sym_size(1) == static_cast<int64_t>(mean.size()), "dnc: images ",
              images.sym_sizes(), " have other channels than the ", mean.size(),
              " of mean and std");
  auto sizes = images.sym_sizes().vec();
  const auto fits = [&](const torch::Tensor& x, at::ScalarType type, int64_t dimensions) {
    return x.scalar_type() == type && x.dim() == dimensions && x.sym_size(0) == sizes[0] &&
           x.device() == images.device();
  };
  TORCH_CHECK(
      !crops.corners || (fits(*crops.corners, torch::kLong, 2) && crops.corners->sym_size(1) == 2),
      "dnc: expected corners int64 [N, 2] beside the images, got ", crops.corners->sym_sizes(),
      " of ", crops.corners->scalar_type());
  TORCH_CHECK(!crops.flips || fits(*crops.flips, torch::kBool, 1),
              "dnc: expected flips bool [N] beside the images, got ", crops.flips->sym_sizes(),
              " of ", crops.flips->scalar_type());
  if (crops.size) {
    TORCH_CHECK(crops.size->size() == 2 && crops.size->at(0) >= 1 && crops.size->at(1) >= 1,
                "dnc: expected the height and width of the crops, got ", *crops.size);
    sizes[2] = crops.size->at(0);
    sizes[3] = crops.size->at(1);
  }
  return sizes;
}

torch::Tensor normalize_images(const torch::Tensor& images, at::ArrayRef<double> mean,
                               at::ArrayRef<double> std, at::ScalarType dtype,
                               const ImageCrops& crops) {
  const auto symbolic = check_normalize_images(images, mean, std, dtype, crops);
  const auto sizes = C10_AS_INTARRAYREF_SLOW(symbolic);
  if (!images.is_cpu()) {
    const bool whole = !crops.corners && !crops.size && !crops.flips;
    return by_operators(whole ? images : crop_by_operators(images, sizes[2], sizes[3], crops), mean,
                        std, dtype);
  }
  auto result = at::empty(sizes, images.options().dtype(dtype), at::MemoryFormat::ChannelsLast);
  const Channels channels(mean, std);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, dtype, "normalize_images",
                                  [&] { normalize<scalar_t>(images, channels, crops, result); });
  return result;
}

}  // namespace dnc
