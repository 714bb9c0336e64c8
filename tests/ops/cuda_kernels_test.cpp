// The kernels of ops/cuda, run on this processor thread by thread, against the operators' own
// implementation. What a GPU alone can show is in cuda_test.cpp.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "ops/batch_norm_relu.h"
#include "ops/confusion.h"
#include "ops/nearest.h"
#include "ops/normalize_images.h"
#include "ops/segments.h"
#include "ops/sinkhorn.h"
#include "ops/unit_rows.h"
#include "tests/ops/emulated_grid.h"
// After the words that they are written in.
#include "ops/cuda/batch_norm_relu.cuh"
#include "ops/cuda/confusion.cuh"
#include "ops/cuda/nearest.cuh"
#include "ops/cuda/normalize_images.cuh"
#include "ops/cuda/rows.cuh"
#include "ops/cuda/segments.cuh"
#include "ops/cuda/sinkhorn.cuh"

namespace dnc {
namespace {

using emulated::emulate;
using torch::Tensor;

Tensor unit(const Tensor& x) { return x / x.norm(2, -1, /*keepdim=*/true); }

unsigned blocks(int64_t size, int64_t step) {
  return static_cast<unsigned>((size + step - 1) / step);
}

/// Both orders of a block's threads.
class CudaKernels : public testing::TestWithParam<bool> {
 protected:
  void run(unsigned grid, unsigned threads, const std::function<void()>& body) const {
    emulate({grid, 1}, threads, GetParam(), body);
  }
  void run(emulated::Place grid, unsigned threads, const std::function<void()>& body) const {
    emulate(grid, threads, GetParam(), body);
  }
};

INSTANTIATE_TEST_SUITE_P(, CudaKernels, testing::Bool(), [](const auto& order) {
  return order.param ? "LastFirst" : "FirstFirst";
});

TEST_P(CudaKernels, CountWhatTheOperatorCounts) {
  const auto labels = torch::randint(-1, 8, {3000}), predictions = torch::randint(-1, 8, {3000});
  const auto expected = count_confusion(predictions, labels, 7);
  const auto *found = predictions.const_data_ptr<int64_t>(),
             *wanted = labels.const_data_ptr<int64_t>();
  for (const bool in_blocks : {true, false}) {
    auto counts = torch::zeros_like(expected);
    auto* to = reinterpret_cast<cuda::Count*>(counts.mutable_data_ptr<int64_t>());
    run(3, 64, [&] {
      (in_blocks ? cuda::count_in_blocks : cuda::count_at_once)(found, wanted, 3000, 7, to);
    });
    EXPECT_TRUE(torch::equal(counts, expected)) << in_blocks;
  }
}

template <typename T>
Tensor normalize_on_grid(const Tensor& images, const Tensor& corners, const Tensor& flips,
                         int64_t height, int64_t width, bool backwards) {
  const auto type = c10::CppTypeToScalarType<T>::value;
  Tensor result = torch::empty({images.size(0), images.size(1), height, width}, type,
                               at::MemoryFormat::ChannelsLast);
  const cuda::ImageNormalization in{images.const_data_ptr<uint8_t>(),
                                    images.stride(0),
                                    images.stride(1),
                                    images.stride(2),
                                    images.stride(3),
                                    images.size(2),
                                    images.size(3),
                                    corners.const_data_ptr<int64_t>(),
                                    flips.const_data_ptr<bool>(),
                                    images.size(0),
                                    images.size(1),
                                    height,
                                    width,
                                    {120, 110, 100},
                                    {1 / 60.f, 1 / 58.f, 1 / 57.f}};
  emulate({2, 1}, 64, backwards, [&] { cuda::normalize_pixels(in, result.mutable_data_ptr<T>()); });
  return result;
}

// To the bit.
TEST_P(CudaKernels, NormalizeCropsOfImages) {
  const auto bytes = torch::randint(0, 256, {3, 3, 9, 11}, torch::kUInt8);
  const auto corners = torch::tensor({{0, 0}, {-2, 5}, {4, -3}});
  const auto flips = torch::tensor({true, false, true});
  const auto packed = bytes.contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& images : {bytes, packed}) {
    for (const auto& size : std::vector<std::vector<int64_t>>{{9, 11}, {6, 8}}) {
      const auto expected = [&](at::ScalarType type) {
        return normalize_images(images, {120, 110, 100}, {60, 58, 57}, type,
                                {corners, size, flips});
      };
      const auto on_grid = [&](auto example) {
        return normalize_on_grid<decltype(example)>(images, corners, flips, size[0], size[1],
                                                    GetParam());
      };
      EXPECT_TRUE(torch::equal(on_grid(float()), expected(torch::kFloat)));
      EXPECT_TRUE(torch::equal(on_grid(at::Half()), expected(torch::kHalf)));
      EXPECT_TRUE(torch::equal(on_grid(at::BFloat16()), expected(torch::kBFloat16)));
    }
  }
}

cuda::RowLayout layout_of(const Tensor& x) {  // [N, P, D]
  return {x.size(1), x.stride(0), x.stride(1), x.stride(2)};
}

/// Rows in both layouts: images [N, D, P] as [N, P, D], and contiguous ones.
std::vector<Tensor> rows_to_compare(int64_t N, int64_t P, int64_t D) {
  auto x = torch::randn({N, D, P});
  x.select(2, 1).zero_();
  return {x.transpose(1, 2), x.transpose(1, 2).contiguous()};
}

// 1e-5 of values around 1.
TEST_P(CudaKernels, FindTheNearestOfEachClass) {
  const int64_t N = 2, P = 45, D = 37, C = 6, K = 3, R = N * P;
  const auto prototypes = unit(torch::randn({C, K, D}));
  for (const auto& x : rows_to_compare(N, P, D)) {
    const auto [scores, index, scale] = nearest_of_classes(x, prototypes, 10);
    auto own_scale = torch::empty({R});
    const unsigned at_once = x.stride(2) == 1 ? 8 : 32;
    run(blocks(R, at_once), cuda::kThreads, [&] {
      cuda::scale_each_row(x.const_data_ptr<float>(), layout_of(x), R, D, 10,
                           own_scale.mutable_data_ptr<float>());
    });
    EXPECT_TRUE(torch::allclose(own_scale, scale.flatten(), 1e-5, 1e-5));
    const auto dots = x.reshape({R, D}).matmul(prototypes.flatten(0, 1).t());
    auto found = torch::full({R, C + 2}, -7.f);  // of a wider matrix
    auto places = torch::zeros({R, C + 2}, torch::kByte);
    run(2, 64, [&] {
      cuda::take_nearest_of_each(dots.const_data_ptr<float>(), own_scale.const_data_ptr<float>(), R,
                                 C, K, C + 2, found.mutable_data_ptr<float>(),
                                 places.mutable_data_ptr<uint8_t>());
    });
    EXPECT_TRUE(torch::allclose(found.narrow(1, 0, C), scores.view({R, C}), 1e-5, 1e-5));
    EXPECT_TRUE(torch::equal(places.narrow(1, 0, C), index.view({R, C})));
    EXPECT_TRUE(torch::all(found.narrow(1, C, 2).eq(-7)).item<bool>());
  }
}

TEST_P(CudaKernels, KeepNanAndTakeTheFirstOfEqualProducts) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto dots = torch::tensor({{1.f, 1.f, 0.f}, {nan, 2.f, 3.f}, {1.f, nan, 3.f}});
  const auto scale = torch::ones({1});
  auto scores = torch::empty({3});
  auto index = torch::empty({3}, torch::kByte);
  run(1, 32, [&] {
    cuda::take_nearest_of_each(dots.const_data_ptr<float>(), scale.const_data_ptr<float>(), 1, 3, 3,
                               3, scores.mutable_data_ptr<float>(),
                               index.mutable_data_ptr<uint8_t>());
  });
  EXPECT_EQ(scores[0].item<float>(), 1);
  EXPECT_EQ(index[0].item<int64_t>(), 0);
  EXPECT_TRUE(std::isnan(scores[1].item<float>()) && std::isnan(scores[2].item<float>()));
}

// 1e-5 of values around 1.
TEST_P(CudaKernels, GiveTheGradientOfTheNearest) {
  const int64_t N = 2, P = 20, D = 37, C = 6, K = 3, R = N * P;
  const auto prototypes = unit(torch::randn({C, K, D}));
  for (const auto& x : rows_to_compare(N, P, D)) {
    const auto nearest = nearest_of_classes(x, prototypes, 10);
    const auto &scores = std::get<0>(nearest), &index = std::get<1>(nearest),
               &scale = std::get<2>(nearest);
    const auto slope = torch::randn_like(scores);
    const auto expected = nearest_of_classes_backward(slope, x, prototypes, index, scale, 10);
    auto spread = torch::empty({R, C * K});
    run(static_cast<unsigned>(R), 32, [&] {
      cuda::spread_each_row(slope.const_data_ptr<float>(), index.const_data_ptr<uint8_t>(), C, K,
                            spread.mutable_data_ptr<float>());
    });
    auto gradient = spread.matmul(prototypes.flatten(0, 1));
    const unsigned at_once = x.stride(2) == 1 ? 8 : 32;
    run(blocks(R, at_once), cuda::kThreads, [&] {
      cuda::unscale_each_gradient(x.const_data_ptr<float>(), layout_of(x),
                                  scale.const_data_ptr<float>(), R, D, 10,
                                  gradient.mutable_data_ptr<float>());
    });
    EXPECT_TRUE(torch::allclose(gradient, expected.reshape({R, D}), 1e-4, 1e-5));
  }
}

// 1e-5 of values around 1.
TEST_P(CudaKernels, CompareWithTheOwnClass) {
  const auto points = torch::randn({40, 50}), prototypes = torch::randn({5, 3, 50});
  const auto rows = torch::randint(0, 40, {33}), labels = torch::randint(-1, 5, {33});
  const auto expected = own_similarities_by_operators(points, rows, labels, prototypes);
  auto found = torch::empty({33, 3});
  run(blocks(33, 8), cuda::kThreads, [&] {
    cuda::compare_with_own(points.const_data_ptr<float>(), rows.const_data_ptr<int64_t>(),
                           labels.const_data_ptr<int64_t>(), prototypes.const_data_ptr<float>(), 33,
                           5, 3, 50, found.mutable_data_ptr<float>());
  });
  EXPECT_TRUE(torch::allclose(found, expected, 1e-5, 1e-5));
}

// 1e-6 of values around 0.1.
TEST_P(CudaKernels, BringRowsToLengthOne) {
  for (auto x : rows_to_compare(2, 45, 37)) {
    auto labels = torch::randint(-1, 5, {90});
    x[0][3].fill_(std::numeric_limits<float>::infinity());
    labels[3] = -1;
    const auto [expected, lengths] = unit_rows_by_operators(x, labels);
    auto points = torch::empty({90, 37}), scale = torch::empty({90});
    run(blocks(90, x.stride(2) == 1 ? 8 : 32), cuda::kThreads, [&] {
      cuda::unit_each_row(x.const_data_ptr<float>(), layout_of(x), labels.const_data_ptr<int64_t>(),
                          90, 37, points.mutable_data_ptr<float>(),
                          scale.mutable_data_ptr<float>());
    });
    EXPECT_TRUE(torch::allclose(points, expected, 0, 1e-6));
    EXPECT_TRUE(torch::allclose(scale, lengths, 0, 1e-6));
  }
}

/// Keys in order, as the kernels take them.
struct Sorted {
  Tensor keys, order;
  int64_t size;
  Sorted(const Tensor& given, int64_t size) : size(size) {
    std::tie(keys, order) = given.sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  }
  cuda::SortedKeys view() const {
    return {keys.const_data_ptr<int64_t>(), order.const_data_ptr<int64_t>(), keys.size(0), size};
  }
  unsigned blocks() const { return static_cast<unsigned>(cuda::segments(view())); }
};

// 1e-4 of logits of which the largest are around 20.
TEST_P(CudaKernels, DivideEachClassBySinkhorn) {
  for (const int64_t K : {1, 4, 10, 33}) {
    for (const int64_t classes : {3, 400}) {  // fewer and more than samples
      const auto similarities = torch::rand({320, K}) * 2 - 1;
      const auto labels = torch::randint(-1, 3, {320});
      labels.narrow(0, 20, 270).fill_(1);  // more than a block has threads
      const auto expected = sinkhorn_by_operators(similarities, labels, classes, 4, 0.05);
      const Sorted sorted(labels, classes);
      int lanes = 1;
      while (lanes < K) lanes *= 2;
      auto logits = torch::zeros_like(similarities);
      run(sorted.blocks(), cuda::kThreads, [&] {
        cuda::sinkhorn_of_each(similarities.const_data_ptr<float>(), sorted.view(), K, 4, 0.05f,
                               lanes, logits.mutable_data_ptr<float>());
      });
      const auto counts = labels.ge(0);
      EXPECT_TRUE(torch::allclose(logits.index({counts}), expected.index({counts}), 1e-5, 1e-4))
          << K << " of " << classes;
      EXPECT_EQ(logits.index({~counts}).abs().sum().item<double>(), 0);
    }
  }
}

template <typename T, int kVector>
void expect_means(const Tensor& given, const Tensor& segments, int64_t size, bool backwards,
                  double tolerance) {
  const Tensor values = given.to(c10::CppTypeToScalarType<T>::value);
  const auto [expected, expected_counts] = segment_mean(values.to(torch::kFloat), segments, size);
  const Sorted sorted(segments, size);
  const int64_t D = values.size(1);
  Tensor means = torch::zeros({size, D}, values.options());
  Tensor counts = torch::zeros({size}, values.options());
  emulate({sorted.blocks(), 1}, cuda::kSegmentThreads, backwards, [&] {
    cuda::mean_of_each_segment<kVector>(values.const_data_ptr<T>(), sorted.view(), D,
                                        means.mutable_data_ptr<T>(), counts.mutable_data_ptr<T>());
  });
  EXPECT_TRUE(torch::allclose(means.to(torch::kFloat), expected, tolerance, tolerance));
  EXPECT_TRUE(torch::equal(counts.to(torch::kFloat), expected_counts));
}

TEST_P(CudaKernels, AverageSegments) {
  const auto segments = torch::randint(-1, 5, {90});
  const auto values = torch::randn({90, 136});
  for (const int64_t size : {6, 100}) {  // fewer and more than rows
    expect_means<float, 4>(values, segments, size, GetParam(), 1e-5);
    expect_means<float, 1>(values.narrow(1, 0, 35).contiguous(), segments, size, GetParam(), 1e-5);
    expect_means<at::Half, 4>(values, segments, size, GetParam(), 1e-3);
    expect_means<at::BFloat16, 1>(values, segments, size, GetParam(), 1e-2);
  }
}

// 1e-6 of values around 0.1.
TEST_P(CudaKernels, MoveRowsOfATable) {
  for (const int64_t size : {6, 100}) {
    for (const int64_t D : {136, 35}) {
      const auto rows = torch::randint(-1, 5, {90});
      auto points = unit(torch::randn({90, D}));
      auto table = unit(torch::randn({size, D}));
      const auto opposite = torch::nonzero(rows.eq(4)).flatten();
      points.index_put_({opposite}, -table[4]);  // 0.5 of each is nothing: the row stays
      auto expected = table.clone();
      momentum_update_by_operators(expected, points, rows, 0.5);
      const Sorted sorted(rows, size);
      auto moved = torch::empty({sorted.blocks(), D});
      run(sorted.blocks(), cuda::kSegmentThreads, [&] {
        (D % 4 == 0 ? cuda::move_each_row<4>
                    : cuda::move_each_row<1>)(points.const_data_ptr<float>(), sorted.view(), D,
                                              0.5f, moved.mutable_data_ptr<float>(),
                                              table.mutable_data_ptr<float>());
      });
      const auto others = torch::arange(size).ne(4);
      EXPECT_TRUE(torch::allclose(table.index({others}), expected.index({others}), 0, 1e-6));
    }
  }
}

/// A channels-last batch norm with relu on the grid, as batch_norm_relu.cu starts it.
template <typename T, int kVector>
struct NormOnGrid {
  static constexpr auto kType = c10::CppTypeToScalarType<T>::value;
  Tensor x, residual, weight, bias, running_mean, running_var;
  int lanes;
  bool backwards;
  unsigned side = 0, chunks = 3;
  Tensor y = {}, mean = {}, rstd = {}, partial = {};

  int64_t rows() const { return x.size(0) * x.size(2) * x.size(3); }
  int64_t C() const { return x.size(1); }
  const T* residual_data() const {
    return residual.defined() ? residual.const_data_ptr<T>() : nullptr;
  }
  template <typename Body>
  void over_all(const Body& body) const {
    emulate({side, chunks}, cuda::kThreads, backwards, body);
  }
  template <typename Body>
  void over_channels(const Body& body) const {
    emulate({blocks(C(), cuda::kWarp), 1}, cuda::kThreads, backwards, body);
  }

  void forward() {
    side = blocks(C(), int64_t{lanes} * kVector);
    y = torch::empty_like(x);
    mean = torch::empty({C()});
    rstd = torch::empty({C()});
    partial = torch::empty({chunks, 2, C()});
    over_all([&] {
      cuda::sum_batch<T, kVector>(x.const_data_ptr<T>(), rows(), C(), lanes,
                                  partial.mutable_data_ptr<float>());
    });
    over_channels([&] {
      cuda::finish_statistics(
          x.const_data_ptr<T>(), partial.const_data_ptr<float>(), chunks, rows(), C(), 0.1f, 1e-5f,
          mean.mutable_data_ptr<float>(), rstd.mutable_data_ptr<float>(),
          running_mean.mutable_data_ptr<float>(), running_var.mutable_data_ptr<float>());
    });
    over_all([&] {
      cuda::normalize_each<T, kVector>(x.const_data_ptr<T>(), residual_data(),
                                       weight.const_data_ptr<float>(), bias.const_data_ptr<float>(),
                                       mean.const_data_ptr<float>(), rstd.const_data_ptr<float>(),
                                       rows(), C(), lanes, y.mutable_data_ptr<T>());
    });
  }

  /// Gradients of x, residual, weight and bias.
  std::vector<Tensor> backward(const Tensor& slope, bool training) {
    Tensor of_x = torch::empty_like(x), of_residual = torch::empty_like(x);
    Tensor of_weight = torch::empty({C()}), of_bias = torch::empty({C()});
    over_all([&] {
      cuda::sum_gradients<T, kVector>(slope.const_data_ptr<T>(), x.const_data_ptr<T>(),
                                      y.const_data_ptr<T>(), mean.const_data_ptr<float>(), rows(),
                                      C(), lanes, partial.mutable_data_ptr<float>());
    });
    over_channels([&] {
      cuda::finish_gradients(partial.const_data_ptr<float>(), chunks, C(),
                             rstd.const_data_ptr<float>(), of_weight.mutable_data_ptr<float>(),
                             of_bias.mutable_data_ptr<float>());
    });
    over_all([&] {
      cuda::gradient_of_each<T, kVector>(
          slope.const_data_ptr<T>(), x.const_data_ptr<T>(), y.const_data_ptr<T>(),
          weight.const_data_ptr<float>(), mean.const_data_ptr<float>(),
          rstd.const_data_ptr<float>(), of_weight.const_data_ptr<float>(),
          of_bias.const_data_ptr<float>(), training, rows(), C(), lanes, of_x.mutable_data_ptr<T>(),
          of_residual.mutable_data_ptr<T>());
    });
    return {of_x, of_residual, of_weight, of_bias};
  }
};

template <typename T, int kVector>
void expect_batch_norm(int64_t C, int lanes, bool with_residual, bool backwards, double tolerance) {
  const auto type = c10::CppTypeToScalarType<T>::value;
  const auto images = [&](double shift) {
    return (torch::randn({3, C, 5, 7}) + shift).to(type).contiguous(at::MemoryFormat::ChannelsLast);
  };
  NormOnGrid<T, kVector> own{images(2),
                             with_residual ? images(0) : Tensor(),
                             torch::rand({C}) + 0.5,
                             torch::randn({C}),
                             torch::randn({C}),
                             torch::rand({C}),
                             lanes,
                             backwards};
  auto running_mean = own.running_mean.clone(), running_var = own.running_var.clone();
  own.forward();
  const auto residual = with_residual ? std::optional(own.residual) : std::nullopt;
  const auto [y, mean, rstd] = batch_norm_relu_forward(own.x, residual, own.weight, own.bias,
                                                       running_mean, running_var, true, 0.1, 1e-5);
  const auto close = [&](const Tensor& found, const Tensor& expected, const char* what) {
    const auto difference =
        (found.to(torch::kFloat) - expected.to(torch::kFloat)).abs().max().template item<double>();
    EXPECT_LE(difference, tolerance * (1 + expected.abs().max().template item<double>())) << what;
  };
  close(own.y, y, "y");
  close(own.mean, mean, "mean");
  close(own.rstd, rstd, "rstd");
  close(own.running_mean, running_mean, "running_mean");
  close(own.running_var, running_var, "running_var");
  const auto slope = images(0);
  for (const bool training : {true, false}) {
    const auto found = own.backward(slope, training);
    const auto [x, of_residual, weight, bias] = batch_norm_relu_backward(
        slope, own.x, own.y, own.weight, mean, rstd, training, /*residual=*/true);
    close(found[0], x, "gradient of x");
    close(found[1], of_residual, "gradient of the residual");
    close(found[2], weight, "gradient of weight");
    close(found[3], bias, "gradient of bias");
  }
}

// Float32 to 1e-5 of the largest value, half precision to its rounding.
TEST_P(CudaKernels, NormalizeBatchesAndTheirGradients) {
  for (const bool residual : {true, false}) {
    expect_batch_norm<float, 4>(24, 8, residual, GetParam(), 1e-5);    // two lanes idle
    expect_batch_norm<float, 4>(144, 32, residual, GetParam(), 1e-5);  // two blocks side by side
    expect_batch_norm<float, 1>(35, 32, residual, GetParam(), 1e-5);
    expect_batch_norm<at::BFloat16, 8>(48, 8, residual, GetParam(), 1e-2);
    expect_batch_norm<at::Half, 1>(3, 4, residual, GetParam(), 2e-3);
  }
}

// A mean a thousand times the deviation: 1e-3 of the deviation's reciprocal.
TEST_P(CudaKernels, KeepTheDeviationOfABatchFarFromZero) {
  const auto x = (torch::randn({4, 4, 6, 6}) + 1000).contiguous(at::MemoryFormat::ChannelsLast);
  NormOnGrid<float, 4> own{
      x, {},        torch::ones({4}), torch::zeros({4}), torch::zeros({4}), torch::ones({4}),
      1, GetParam()};
  own.forward();
  const auto variance = x.to(torch::kDouble).var({0, 2, 3}, /*unbiased=*/false);
  EXPECT_TRUE(torch::allclose(own.rstd.to(torch::kDouble), (variance + 1e-5).rsqrt(), 1e-3, 0));
}

}  // namespace
}  // namespace dnc
