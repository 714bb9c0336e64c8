#include "ops/normalize_images.h"

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

template <typename T>
void normalize(const torch::Tensor& images, const Channels& channels, torch::Tensor& result) {
  const int64_t C = images.size(1), H = images.size(2), W = images.size(3);
  const auto* data = images.const_data_ptr<uint8_t>();
  auto* out = result.mutable_data_ptr<T>();
  const bool packed = images.stride(1) == 1 && images.stride(3) == C;
  parallel(images.size(0) * H, W * C, [&](int64_t i) {
    const auto* row = data + i / H * images.stride(0) + i % H * images.stride(2);
    auto* to = out + i * W * C;
    if (packed) {
      normalize_packed(row, W, channels, to);
    } else {
      normalize_strided(row, images.stride(1), images.stride(3), W, channels, to);
    }
  });
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

void check_normalize_images(at::ScalarType type, int64_t dimensions, at::ArrayRef<double> mean,
                            at::ArrayRef<double> std, at::ScalarType dtype) {
  TORCH_CHECK(type == torch::kByte && dimensions == 4,
              "dnc: expected images uint8 [N, C, H, W], got ", dimensions, " dimensions of ", type);
  TORCH_CHECK(mean.size() >= 1 && mean.size() <= 4 && mean.size() == std.size(),
              "dnc: expected a mean and std for each of 1 to 4 channels, got ", mean.size(),
              " and ", std.size());
  TORCH_CHECK(c10::isFloatingType(dtype), "dnc: normalised images are floats, not ", dtype);
}

torch::Tensor normalize_images(const torch::Tensor& images, at::ArrayRef<double> mean,
                               at::ArrayRef<double> std, at::ScalarType dtype) {
  check_normalize_images(images.scalar_type(), images.dim(), mean, std, dtype);
  TORCH_CHECK(images.size(1) == static_cast<int64_t>(mean.size()), "dnc: images ", images.sizes(),
              " have other channels than the ", mean.size(), " of mean and std");
  if (!images.is_cpu()) return by_operators(images, mean, std, dtype);
  auto result =
      at::empty(images.sizes(), images.options().dtype(dtype), at::MemoryFormat::ChannelsLast);
  const Channels channels(mean, std);
  switch (dtype) {
    case torch::kFloat:
      normalize<float>(images, channels, result);
      return result;
    case torch::kBFloat16:
      normalize<at::BFloat16>(images, channels, result);
      return result;
    default:
      return by_operators(images, mean, std, dtype);
  }
}

}  // namespace dnc
