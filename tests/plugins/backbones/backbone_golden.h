#pragma once

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "registry/backbone.h"
#include "tests/golden/golden.h"
#include "tests/plugins/traced.h"

namespace dnc {

/// fill() of tests/golden/backbones.py: weights that depend on the names only, so that none need be
/// stored, of a size that keeps activations of order 1. In float64.
inline void fill(torch::nn::Module& net) {
  torch::NoGradGuard no_grad;
  net.to(torch::kFloat64);
  const auto ends_with = [](const std::string& name, const std::string& end) {
    return name.size() >= end.size() &&
           name.compare(name.size() - end.size(), end.size(), end) == 0;
  };
  const auto set = [&](const std::string& name, torch::Tensor tensor) {
    if (ends_with(name, "num_batches_tracked")) return;
    auto value = golden_values(name, tensor.sizes()).to(torch::kFloat64);
    if (ends_with(name, "running_var") || (ends_with(name, "weight") && tensor.dim() == 1)) {
      value = 1 + 0.5 * value;
    } else if (tensor.dim() == 1) {
      value *= 0.1;
    } else {
      value *= std::sqrt(3.0 / static_cast<double>(tensor[0].numel()));
    }
    tensor.copy_(value);
  };
  for (const auto& item : net.named_parameters()) set(item.key(), item.value());
  for (const auto& item : net.named_buffers()) set(item.key(), item.value());
}

/// Whether `tensor` has the shape, mean, deviation and sampled values that summarise() of
/// tests/golden/backbones.py found. Gives the largest difference of a sampled value, relative to
/// the largest of them.
inline double expect_summary(const Golden& golden, const std::string& name,
                             const torch::Tensor& tensor, double tolerance) {
  SCOPED_TRACE(name);
  const auto sizes = torch::tensor(tensor.sizes().vec(), torch::kFloat64);
  const bool same_shape = torch::equal(sizes, golden[name + "/shape"]);
  EXPECT_TRUE(same_shape) << "shape " << tensor.sizes();
  if (!same_shape) return std::numeric_limits<double>::infinity();
  const auto flat = tensor.detach().to(torch::kFloat64).reshape(-1);
  const auto moments = torch::stack({flat.mean(), flat.std(/*unbiased=*/false)});
  EXPECT_TRUE(is_close(moments, golden[name + "/moments"], tolerance));
  const auto sample = flat.slice(0, 0, std::nullopt, std::max<int64_t>(1, flat.numel() / 100));
  const auto expected = golden[name + "/sample"];
  EXPECT_TRUE(is_close(sample, expected, tolerance));
  return ((sample - expected).abs().max() / expected.abs().max()).item<double>();
}

/// The names after `prefix` of which there is a summary; at least one.
inline std::vector<std::string> summaries(const Golden& golden, const std::string& prefix) {
  std::vector<std::string> found;
  for (const auto& name : golden.names(prefix)) {
    const size_t slash = name.rfind("/shape");
    if (slash != std::string::npos) found.push_back(name.substr(0, slash));
  }
  EXPECT_FALSE(found.empty()) << "no golden values under " << prefix;
  return found;
}

inline torch::Tensor golden_images(at::IntArrayRef shape) {
  return golden_values("images", shape).to(torch::kFloat64);
}

inline int64_t parameter_count(const torch::nn::Module& net) {
  int64_t count = 0;
  for (const auto& parameter : net.parameters()) count += parameter.numel();
  return count;
}

/// The largest differences that expect_golden() found, relative to the largest value of the tensor.
struct Parity {
  double maps = 0;         // in float64
  double single_maps = 0;  // in float32, in evaluation
  double gradients = 0;    // in float64
};

/// In evaluation, in float64 and in float32.
inline void expect_golden_maps(const Golden& golden, const std::string& name, Backbone& net,
                               at::IntArrayRef images_shape, double tolerance, Parity& parity) {
  const torch::NoGradGuard no_grad;
  net.eval();
  for (const auto type : {torch::kFloat64, torch::kFloat32}) {
    net.to(type);
    const auto maps = net.forward(golden_images(images_shape).to(type));
    EXPECT_FALSE(golden.contains(name + "/eval/map" + std::to_string(maps.size()) + "/shape"));
    auto& worst = type == torch::kFloat64 ? parity.maps : parity.single_maps;
    for (size_t i = 0; i < maps.size(); ++i) {
      const auto map = name + "/eval/map" + std::to_string(i);
      worst = std::max(worst, expect_summary(golden, map, maps[i], tolerance));
    }
  }
}

/// Compares all stages' maps with the golden ones: in evaluation, then in training with the
/// gradients and the running statistics after it. Tolerances are relative to the largest value.
/// Prints what docs/parity.md shows.
inline void expect_golden(const Golden& golden, const std::string& name, Backbone& net,
                          at::IntArrayRef images_shape) {
  constexpr double kForward = 1e-5;
  constexpr double kGradient = 1e-4;
  Parity parity;
  fill(net);
  expect_golden_maps(golden, name, net, images_shape, kForward, parity);

  fill(net);  // the statistics and the digits that float32 has not
  net.train();
  const auto images = golden_images(images_shape).requires_grad_();
  const auto maps = net.forward(images);
  auto loss = torch::zeros({}, torch::kFloat64);
  for (size_t i = 0; i < maps.size(); ++i) {
    const auto index = std::to_string(i);
    const auto map = name + "/train/map" + index;
    parity.maps = std::max(parity.maps, expect_summary(golden, map, maps[i], kForward));
    loss = loss + (maps[i] * golden_values("probe" + index, maps[i].sizes())).sum();
  }
  EXPECT_TRUE(is_close(loss, golden[name + "/train/loss"], kForward));
  loss.backward();

  const auto expect_gradient = [&](const std::string& of, const torch::Tensor& gradient) {
    const auto difference =
        expect_summary(golden, name + "/train/gradient/" + of, gradient, kGradient);
    parity.gradients = std::max(parity.gradients, difference);
  };
  expect_gradient("images", images.grad());
  const auto parameters = net.named_parameters();
  for (const auto& each : summaries(golden, name + "/train/gradient/parameter/")) {
    expect_gradient("parameter/" + each, parameters[each].grad());
  }
  const auto buffers = net.named_buffers();
  if (!buffers.is_empty()) {
    for (const auto& each : summaries(golden, name + "/train/buffer/")) {
      expect_summary(golden, name + "/train/buffer/" + each, buffers[each], kForward);
    }
  }
  std::printf("[  PARITY  ] %s: maps %.1e, in float32 %.1e, gradients %.1e, parameters %lld\n",
              name.c_str(), parity.maps, parity.single_maps, parity.gradients,
              static_cast<long long>(parameter_count(net)));
}

/// Whether a network of each preset has as many parameters as the golden FAMILY_SIZE/parameters
/// says.
template <typename T>
void expect_parameter_counts(const Golden& golden, const std::string& family) {
  using Size = typename T::Size;
  for (const auto& [size, name] :
       std::vector<std::pair<Size, std::string>>{{Size::kTiny, "tiny"},
                                                 {Size::kSmall, "small"},
                                                 {Size::kBase, "base"},
                                                 {Size::kLarge, "large"}}) {
    typename T::Options options;
    options.size = size;
    EXPECT_EQ(parameter_count(T(options)),
              golden[family + "_" + name + "/parameters"].template item<int64_t>())
        << name;
  }
}

/// Whether the names, the shapes and the order of the parameters, and the names and the shapes of
/// the buffers, are those of the state_dict in `golden`.
inline void expect_state(const Golden& golden, const std::string& name,
                         const torch::nn::Module& net) {
  const auto prefix = name + "/state/";
  const auto buffers = net.named_buffers();
  std::vector<std::string> parameters;
  for (const auto& each : golden.names(prefix)) {
    if (!buffers.contains(each)) parameters.push_back(each);
  }
  auto state = net.named_parameters();
  EXPECT_EQ(state.keys(), parameters);
  state.update(buffers);
  for (const auto& item : state) {
    const auto shape = torch::tensor(item.value().sizes().vec(), torch::kFloat64);
    ASSERT_TRUE(golden.contains(prefix + item.key())) << item.key();
    EXPECT_TRUE(torch::equal(shape, golden[prefix + item.key()])) << item.key();
  }
}

/// Whether `net`, which returns the maps `picked` of those of `whole`, returns the same there.
inline void expect_maps_of(Backbone& whole, Backbone& net, const std::vector<size_t>& picked,
                           at::IntArrayRef images_shape) {
  fill(net);
  fill(whole);
  net.eval();
  whole.eval();
  const auto maps = net.forward(golden_images(images_shape));
  const auto all = whole.forward(golden_images(images_shape));
  ASSERT_EQ(maps.size(), picked.size());
  for (size_t i = 0; i < picked.size(); ++i) {
    EXPECT_TRUE(torch::equal(maps[i], all.at(picked[i]))) << "map " << i;
  }
}

/// Whether in evaluation the maps of an image are the same beside others, with a gradient wanted,
/// as they are alone and without.
inline void expect_images_apart(Backbone& net, at::IntArrayRef shape) {
  net.eval();
  const auto images = golden_values("images", shape);
  const auto together = net.forward(images);
  torch::NoGradGuard no_grad;
  for (int64_t i = 0; i < images.size(0); ++i) {
    const auto alone = net.forward(images.narrow(0, i, 1));
    for (size_t map = 0; map < together.size(); ++map) {
      EXPECT_TRUE(is_close(alone[map], together[map].narrow(0, i, 1), 1e-5))
          << "image " << i << ", map " << map;
    }
  }
}

/// Whether chance has a part in training, and none in evaluation.
inline void expect_random_in_training_only(Backbone& net, at::IntArrayRef shape) {
  torch::manual_seed(1);
  torch::NoGradGuard no_grad;
  const auto images = golden_values("images", shape);
  const auto is_random = [&] {
    return !torch::equal(net.forward(images).back(), net.forward(images).back());
  };
  net.train();
  EXPECT_TRUE(is_random());
  net.eval();
  EXPECT_FALSE(is_random());
}

/// Whether the parameters whose names begin with one of `prefixes`, and no others, do not learn,
/// after a round trip through evaluation too, and a training step works.
inline void expect_frozen(Backbone& net, const std::vector<std::string>& prefixes,
                          at::IntArrayRef images_shape) {
  net.eval();
  net.train();
  bool learns = false;
  for (const auto& item : net.named_parameters()) {
    const bool frozen =
        std::any_of(prefixes.begin(), prefixes.end(),
                    [&](const std::string& prefix) { return item.key().rfind(prefix, 0) == 0; });
    EXPECT_EQ(item.value().requires_grad(), !frozen) << item.key();
    learns = learns || !frozen;
  }
  const auto map = net.forward(golden_values("images", images_shape)).back();
  ASSERT_EQ(map.requires_grad(), learns);
  if (learns) map.sum().backward();
  for (const auto& item : net.named_parameters()) {
    EXPECT_EQ(item.value().grad().defined(), item.value().requires_grad()) << item.key();
  }
}

/// Whether what TorchScript records of the last map for zeros of the shape `recorded` gives the
/// same as the network for images of the shape `used`.
inline void expect_traced(Backbone& net, at::IntArrayRef recorded, at::IntArrayRef used) {
  net.eval();
  for (const auto& parameter : net.parameters()) parameter.requires_grad_(false);
  const auto last_map = [&](const torch::Tensor& images) { return net.forward(images).back(); };
  const auto traced = trace(last_map, torch::zeros(recorded));
  const auto images = golden_values("images", used);
  EXPECT_TRUE(is_close(traced(images), last_map(images), 1e-5));
}

/// Whether each map has the channels and, at images of `height` x `width`, the size that shapes()
/// promises, rounded up.
inline void expect_shapes(Backbone& net, int64_t height, int64_t width) {
  torch::NoGradGuard no_grad;
  net.eval();
  const auto maps = net.forward(torch::zeros({2, 3, height, width}));
  const auto shapes = net.shapes();
  ASSERT_EQ(maps.size(), shapes.size());
  for (size_t i = 0; i < maps.size(); ++i) {
    const auto [channels, stride] = shapes[i];
    const std::vector<int64_t> expected = {2, channels, (height + stride - 1) / stride,
                                           (width + stride - 1) / stride};
    EXPECT_EQ(maps[i].sizes().vec(), expected) << "map " << i << " at " << height << "x" << width;
  }
}

}  // namespace dnc
