#include <initializer_list>
#include <type_traits>

#include "ops/cuda/batch_norm_relu.cuh"
#include "ops/cuda/launch.h"

namespace dnc::cuda {
namespace {

/// The grid for a matrix whose channels are read kVector at a time. It depends on the sizes alone,
/// and with it the order of the sums.
struct Grid {
  int lanes = 1;
  dim3 blocks;

  Grid(int64_t rows, int64_t C, int vector) {
    const int64_t packs = parts(C, vector);
    while (lanes < kWarp && lanes < packs) lanes *= 2;
    constexpr int64_t kBlocks = 1024, kRowsOfThread = 8;
    const int64_t side = parts(packs, lanes);
    const int64_t most = std::max<int64_t>(1, parts(rows, kThreads / lanes * kRowsOfThread));
    blocks = dim3(static_cast<unsigned>(side),
                  static_cast<unsigned>(std::clamp<int64_t>(kBlocks / side, 1, most)));
  }
};

template <typename T>
constexpr int kPack = 16 / sizeof(T);  // what a thread reads at best

/// Calls body(T(), Vector) where Vector::value channels are read at a time.
template <typename Body>
void with_layout(const BatchNorm& norm, std::initializer_list<const void*> data, const Body& body) {
  with_type(norm.type, [&](auto example) {
    using T = decltype(example);
    bool packs = norm.C % kPack<T> == 0;
    for (const void* each : data) packs = packs && reinterpret_cast<uintptr_t>(each) % 16 == 0;
    if (packs) {
      body(example, std::integral_constant<int, kPack<T>>());
    } else {
      body(example, std::integral_constant<int, 1>());
    }
  });
}

unsigned blocks_of_channels(int64_t C) { return static_cast<unsigned>(parts(C, kWarp)); }

}  // namespace

int64_t partial_sums(const BatchNorm& norm) {
  const int64_t packed = Grid(norm.rows, norm.C, norm.type == Type::kFloat ? 4 : 8).blocks.y;
  const int64_t single = Grid(norm.rows, norm.C, 1).blocks.y;
  return std::max(packed, single) * 2 * norm.C;
}

void statistics(const BatchNorm& norm, float momentum, float eps, float* running_mean,
                float* running_var, Stream stream) {
  with_layout(norm, {norm.x}, [&](auto example, auto vector) {
    using T = decltype(example);
    const auto* const x = static_cast<const T*>(norm.x);
    const Grid grid(norm.rows, norm.C, vector);
    sum_batch<T, vector>
        <<<grid.blocks, kThreads, 0, stream>>>(x, norm.rows, norm.C, grid.lanes, norm.partial);
    finish_statistics<T><<<blocks_of_channels(norm.C), kThreads, 0, stream>>>(
        x, norm.partial, grid.blocks.y, norm.rows, norm.C, momentum, eps, norm.mean, norm.rstd,
        running_mean, running_var);
  });
}

void normalize_relu(const BatchNorm& norm, const float* bias, const void* residual, void* y,
                    Stream stream) {
  if (norm.rows * norm.C == 0) return;
  with_layout(norm, {norm.x, residual, y}, [&](auto example, auto vector) {
    using T = decltype(example);
    const Grid grid(norm.rows, norm.C, vector);
    normalize_each<T, vector><<<grid.blocks, kThreads, 0, stream>>>(
        static_cast<const T*>(norm.x), static_cast<const T*>(residual), norm.weight, bias,
        norm.mean, norm.rstd, norm.rows, norm.C, grid.lanes, static_cast<T*>(y));
  });
}

void normalize_relu_backward(const BatchNorm& norm, const void* gradient, const void* y,
                             bool training, void* x_gradient, void* residual_gradient,
                             float* weight_gradient, float* bias_gradient, Stream stream) {
  if (norm.rows * norm.C == 0) return;
  const auto data = {norm.x, gradient, y, static_cast<const void*>(x_gradient),
                     static_cast<const void*>(residual_gradient)};
  with_layout(norm, data, [&](auto example, auto vector) {
    using T = decltype(example);
    const auto* const slopes = static_cast<const T*>(gradient);
    const auto* const x = static_cast<const T*>(norm.x);
    const auto* const results = static_cast<const T*>(y);
    const Grid grid(norm.rows, norm.C, vector);
    sum_gradients<T, vector><<<grid.blocks, kThreads, 0, stream>>>(
        slopes, x, results, norm.mean, norm.rows, norm.C, grid.lanes, norm.partial);
    finish_gradients<<<blocks_of_channels(norm.C), kThreads, 0, stream>>>(
        norm.partial, grid.blocks.y, norm.C, norm.rstd, weight_gradient, bias_gradient);
    gradient_of_each<T, vector><<<grid.blocks, kThreads, 0, stream>>>(
        slopes, x, results, norm.weight, norm.mean, norm.rstd, weight_gradient, bias_gradient,
        training, norm.rows, norm.C, grid.lanes, static_cast<T*>(x_gradient),
        static_cast<T*>(residual_gradient));
  });
}

}  // namespace dnc::cuda
