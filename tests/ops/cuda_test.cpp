// The library of CUDA kernels: that it opens and registers them, on any machine; and on one with a
// GPU each operator against itself on the CPU. cuda_kernels_test.cpp runs the kernels without one.
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/Allocator.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "host/cuda_library.h"
#include "ops/batch_norm_relu.h"
#include "ops/nearest.h"
#include "ops/segments.h"
#include "ops/sinkhorn.h"
#include "ops/unit_rows.h"

namespace dnc {
namespace {

using torch::Tensor;

constexpr const char* kLibrary = DNC_BUILD_DIR "/lib/dnc-host/dnc_ops_cuda.so";

constexpr const char* kOperators[] = {"nearest",
                                      "nearest_backward",
                                      "segment_mean",
                                      "momentum_update_",
                                      "count_confusion",
                                      "normalize_images",
                                      "batch_norm_relu_forward",
                                      "batch_norm_relu_backward",
                                      "sinkhorn_logits",
                                      "own_similarities",
                                      "unit_rows"};

bool has_kernel(const std::string& name) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(("dnc::" + name).c_str(), "")
      .hasKernelForDispatchKey(c10::DispatchKey::CUDA);
}

TEST(CudaLibrary, OpensWithoutAGpuAndRegistersItsKernels) {
  if (!std::filesystem::exists(kLibrary)) {
    GTEST_SKIP() << kLibrary << " is not built: CMake found no nvcc, or LibTorch has no CUDA half";
  }
  ASSERT_NE(dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL), nullptr) << dlerror();
  for (const auto* name : kOperators) EXPECT_TRUE(has_kernel(name)) << name;
  // Operators made of others, and those that the library leaves to LibTorch's.
  for (const auto* name : {"nearest_scores", "batch_norm_relu", "sinkhorn"}) {
    EXPECT_FALSE(has_kernel(name)) << name;
  }
}

template <typename Signature>
auto op(const std::string& name) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(("dnc::" + name).c_str(), "")
      .typed<Signature>();
}

Tensor unit(const Tensor& x) { return x / x.norm(2, -1, /*keepdim=*/true); }

/// Runs on a GPU with the kernels; skips with the reason where that cannot be.
class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    const auto problem = gpu_problem(cuda_facts());
    if (!problem.empty()) GTEST_SKIP() << "no GPU: " << problem;
    if (!has_kernel("nearest")) GTEST_SKIP() << "no kernels: " << kLibrary << " is not built";
  }

  /// That f gives the same on both, f(inputs) with float tensors in `type` on the GPU, and twice
  /// the same bits there.
  static void expect_same(const std::vector<Tensor>& inputs, at::ScalarType type, double tolerance,
                          const std::function<std::vector<Tensor>(std::vector<Tensor>)>& f) {
    std::vector<Tensor> on_cpu, on_gpu;
    for (const auto& x : inputs) {
      // Both start from the same rounded values.
      const auto rounded = x.scalar_type() == torch::kFloat ? x.to(type) : x;
      on_cpu.push_back(x.scalar_type() == torch::kFloat ? rounded.to(torch::kFloat) : x);
      on_gpu.push_back(rounded.to(torch::kCUDA));
    }
    const auto clones = [](const std::vector<Tensor>& tensors) {
      std::vector<Tensor> copies;
      for (const auto& x : tensors) copies.push_back(x.clone());
      return copies;
    };
    const auto expected = f(clones(on_cpu)), found = f(clones(on_gpu)), again = f(clones(on_gpu));
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(torch::equal(found[i], again[i])) << "result " << i << " differs from run to run";
      const auto value = found[i].cpu().to(torch::kDouble), goal = expected[i].to(torch::kDouble);
      ASSERT_EQ(value.sizes(), goal.sizes());
      if (goal.numel() == 0) continue;
      const auto difference = (value - goal).abs().max().item<double>();
      EXPECT_LE(difference, tolerance * (1 + goal.abs().max().item<double>())) << "result " << i;
    }
  }
};

struct Precision {
  at::ScalarType type;
  double tolerance;
};
constexpr Precision kPrecisions[] = {
    {torch::kFloat, 1e-4}, {torch::kHalf, 5e-3}, {torch::kBFloat16, 4e-2}};

TEST_F(OnGpu, NearestScoresAndTheirGradientAreThoseOfTheCpu) {
  const auto prototypes = unit(torch::randn({150, 10, 64}));
  const auto map = torch::randn({2, 64, 40, 30}), slope = torch::randn({2, 40, 30, 150});
  for (const auto& x : {map.movedim(1, -1), map.movedim(1, -1).contiguous()}) {
    for (const auto& [type, tolerance] : kPrecisions) {
      // Half precision may take another of two prototypes that are as near: the scores show nothing
      // of it, the gradient does.
      const bool exact = type == torch::kFloat;
      expect_same({x, prototypes, slope}, type, tolerance, [exact](std::vector<Tensor> in) {
        auto leaf = in[0].detach().requires_grad_();
        const auto scores = nearest_cosine(leaf, in[1], 10);
        if (!exact) return std::vector<Tensor>{scores.detach()};
        return std::vector<Tensor>{scores.detach(),
                                   torch::autograd::grad({(scores * in[2]).sum()}, {leaf})[0]};
      });
    }
  }
}

/// Bytes of a GPU that this thread holds, and the most it held.
class Memory : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device device) override {
    if (!device.is_cuda()) return;
    now += size;
    peak = std::max(peak, now);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t now = 0;
  int64_t peak = 0;
};

TEST_F(OnGpu, NearestScoresOfManyPixelsHoldNoTableOfAll) {
  const int64_t D = 64, C = 150, K = 10, P = 131072;
  const auto prototypes = unit(torch::randn({C, K, D})).to(torch::kCUDA);
  const auto x = torch::randn({P, D}, torch::kCUDA);
  const auto memory = std::make_shared<Memory>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, memory);
  const auto scores = nearest_cosine(x, prototypes, 1);
  EXPECT_GE(memory->peak, P * C * 5);      // the scores and which it was
  EXPECT_LT(memory->peak, P * C * K * 2);  // half of all cosines
  const auto rows = torch::randint(0, P, {100});
  const auto some = nearest_cosine(x.cpu().index({rows}), prototypes.cpu(), 1);
  EXPECT_TRUE(torch::allclose(scores.cpu().index({rows}), some, 1e-3, 1e-4));
}

TEST_F(OnGpu, SinkhornIsThatOfTheCpu) {
  for (const int64_t K : {1, 4, 10, 200}) {
    for (const int64_t classes : {3, 5000}) {
      const auto similarities = torch::rand({3000, K}) * 2 - 1;
      const auto labels = torch::randint(0, 3, {3000});
      expect_same({similarities, labels}, torch::kFloat, 1e-4, [classes](std::vector<Tensor> in) {
        return std::vector<Tensor>{sinkhorn(in[0], in[1], classes, 3, 0.05)};
      });
    }
  }
}

TEST_F(OnGpu, SegmentsAndRowsAreThoseOfTheCpu) {
  const auto values = torch::randn({5000, 136}), table = unit(torch::randn({40, 136}));
  const auto segments = torch::randint(-1, 40, {5000});
  for (const auto& [type, tolerance] : kPrecisions) {
    expect_same({values, segments}, type, tolerance, [](std::vector<Tensor> in) {
      const auto [means, counts] =
          op<std::tuple<Tensor, Tensor>(const Tensor&, const Tensor&, int64_t)>("segment_mean")
              .call(in[0], in[1], 40);
      return std::vector<Tensor>{means, counts};
    });
  }
  expect_same({table, unit(values), segments}, torch::kFloat, 1e-5, [](std::vector<Tensor> in) {
    op<void(Tensor&, const Tensor&, const Tensor&, double)>("momentum_update_")
        .call(in[0], in[1], in[2], 0.9);
    return std::vector<Tensor>{in[0]};
  });
  const auto prototypes = unit(torch::randn({40, 3, 136}));
  expect_same({values, segments, prototypes}, torch::kFloat, 1e-5, [](std::vector<Tensor> in) {
    return std::vector<Tensor>{own_similarities(in[0], {}, in[1], in[2]),
                               unit_rows(in[0].unsqueeze(0), in[1])};
  });
}

TEST_F(OnGpu, ConfusionIsThatOfTheCpu) {
  for (const int64_t classes : {2, 19, 150, 700}) {  // with a table in shared memory and without
    const auto labels = torch::randint(-1, classes + 1, {4, 300, 301}),
               predictions = torch::randint(-1, classes + 1, {4, 300, 301});
    expect_same({predictions, labels}, torch::kFloat, 0, [classes](std::vector<Tensor> in) {
      return std::vector<Tensor>{
          op<Tensor(const Tensor&, const Tensor&, int64_t)>("count_confusion")
              .call(in[0], in[1], classes)};
    });
  }
}

// To the bit.
TEST_F(OnGpu, NormalizedImagesAreThoseOfTheCpu) {
  using Normalize =
      Tensor(const Tensor&, at::ArrayRef<double>, at::ArrayRef<double>, at::ScalarType,
             const std::optional<Tensor>&, at::OptionalIntArrayRef, const std::optional<Tensor>&);
  const auto bytes = torch::randint(0, 256, {5, 3, 33, 47}, torch::kUInt8);
  const auto corners = torch::randint(-4, 5, {5, 2}),
             flips = torch::randint(0, 2, {5}).to(at::kBool);
  for (const auto& images : {bytes, bytes.contiguous(at::MemoryFormat::ChannelsLast)}) {
    for (const auto type : {torch::kFloat, torch::kHalf, torch::kBFloat16, torch::kDouble}) {
      expect_same({images, corners, flips}, torch::kFloat, 0, [type](std::vector<Tensor> in) {
        const std::vector<double> mean{120, 110, 100}, std{60, 58, 57};
        const std::vector<int64_t> size{32, 40};
        const auto normalize = op<Normalize>("normalize_images");
        return std::vector<Tensor>{
            normalize.call(in[0], mean, std, type, std::nullopt, std::nullopt, std::nullopt),
            normalize.call(in[0], mean, std, type, in[1], size, in[2])};
      });
    }
  }
}

TEST_F(OnGpu, BatchNormReluAndItsGradientsAreThoseOfTheCpu) {
  for (const int64_t C : {64, 35, 2048}) {
    const auto images = [&] {
      return torch::randn({4, C, 7, 9}).contiguous(at::MemoryFormat::ChannelsLast);
    };
    const auto of_channels = std::vector<Tensor>{torch::rand({C}) + 0.5, torch::randn({C}),
                                                 torch::zeros({C}), torch::ones({C})};
    const auto x = images(), residual = images(), slope = images();
    for (const bool training : {true, false}) {
      for (const auto& [type, tolerance] : kPrecisions) {
        expect_same({x, residual}, type, tolerance, [&](std::vector<Tensor> in) {
          std::vector<Tensor> own;
          for (const auto& each : of_channels) own.push_back(each.to(in[0].device(), false, true));
          const auto [y, mean, rstd] =
              op<decltype(batch_norm_relu_forward)>("batch_norm_relu_forward")
                  .call(in[0], in[1], own[0], own[1], own[2], own[3], training, 0.1, 1e-5);
          return std::vector<Tensor>{y, mean, rstd, own[2], own[3]};
        });
        // From one y: where it is nearly 0, rounding decides whether there is a gradient.
        auto running_mean = of_channels[2].clone(), running_var = of_channels[3].clone();
        const auto [y, mean, rstd] =
            batch_norm_relu_forward(x, residual, of_channels[0], of_channels[1], running_mean,
                                    running_var, training, 0.1, 1e-5);
        expect_same({slope, x, y}, type, tolerance,
                    [&, mean = mean, rstd = rstd](std::vector<Tensor> in) {
                      const auto device = in[0].device();
                      const auto [of_x, of_residual, weight, bias] =
                          op<decltype(batch_norm_relu_backward)>("batch_norm_relu_backward")
                              .call(in[0], in[1], in[2], of_channels[0].to(device), mean.to(device),
                                    rstd.to(device), training, true);
                      return std::vector<Tensor>{of_x, of_residual, weight, bias};
                    });
      }
    }
  }
}

}  // namespace
}  // namespace dnc
