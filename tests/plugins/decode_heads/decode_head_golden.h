#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "registry/context.h"
#include "registry/decode_head.h"
#include "tests/golden/golden.h"
#include "tests/plugins/backbones/backbone_golden.h"
#include "tests/plugins/traced.h"

namespace dnc {

/// The maps of tests/golden/decode_heads.py: channels, and odd heights and widths.
inline const std::vector<int64_t> kMapChannels = {6, 8, 12, 16};
inline const std::vector<std::pair<int64_t, int64_t>> kMapSizes = {
    {17, 13}, {9, 7}, {5, 4}, {3, 2}};

inline Context pixel_context() {
  Context context;
  context.task = Task::kPixels;
  int64_t stride = 4;
  for (const auto channels : kMapChannels) {
    context.features.push_back({channels, stride});
    stride *= 2;
  }
  return context;
}

inline Features golden_maps(int64_t images = 2) {
  Features maps;
  for (size_t i = 0; i < kMapChannels.size(); ++i) {
    const auto [height, width] = kMapSizes[i];
    maps.push_back(
        golden_values("map" + std::to_string(i), {images, kMapChannels[i], height, width})
            .to(torch::kFloat64));
  }
  return maps;
}

/// Compares names and shapes of the state, the embeddings in evaluation and in training, and then
/// gradients and running statistics with the golden ones. Float64 on both sides; tolerances are
/// relative to the largest value.
inline void expect_decode_head(const std::string& name, DecodeHead& head) {
  constexpr double kForward = 1e-5;
  constexpr double kGradient = 1e-4;
  static const Golden golden = Golden::load("decode_heads.txt");
  SCOPED_TRACE(name);
  fill(head);
  auto state = head.named_parameters();
  const auto parameters = head.named_parameters();
  const auto buffers = head.named_buffers();
  state.update(buffers);
  EXPECT_THAT(state.keys(), testing::UnorderedElementsAreArray(golden.names(name + "/state/")));
  for (const auto& item : state) {
    const auto shape = torch::tensor(item.value().sizes().vec(), torch::kFloat64);
    EXPECT_TRUE(torch::equal(shape, golden[name + "/state/" + item.key()])) << item.key();
  }

  head.eval();
  auto maps = golden_maps();
  expect_summary(golden, name + "/eval", head.forward(maps), kForward);
  head.train();
  for (auto& map : maps) map.requires_grad_();
  const auto out = head.forward(maps);
  EXPECT_EQ(out.size(1), head.channels());
  expect_summary(golden, name + "/train", out, kForward);
  (out * golden_values("probe", out.sizes())).sum().backward();
  for (const auto& each : summaries(golden, name + "/gradient/map/")) {
    expect_summary(golden, name + "/gradient/map/" + each, maps.at(std::stoul(each)).grad(),
                   kGradient);
  }
  for (const auto& item : parameters) {
    expect_summary(golden, name + "/gradient/parameter/" + item.key(), item.value().grad(),
                   kGradient);
  }
  for (const auto& item : buffers) {
    expect_summary(golden, name + "/buffer/" + item.key(), item.value(), kForward);
  }
}

/// What every decode head for pixels does, here without dropout: embeddings have the size of the
/// map `size_of`, an image has the same ones whatever is beside it, channels-last maps stay so, and
/// TorchScript records it for any number of images.
inline void expect_pixel_head(DecodeHead& head, size_t size_of) {
  fill(head);
  head.eval();
  const auto maps = golden_maps(3);
  const torch::NoGradGuard no_grad;
  const auto together = head.forward(maps);
  const auto [height, width] = kMapSizes[size_of];
  EXPECT_EQ(together.sizes().vec(), (std::vector<int64_t>{3, head.channels(), height, width}));

  Features second, channels_last;
  for (const auto& map : maps) {
    second.push_back(map.narrow(0, 1, 1));
    channels_last.push_back(map.contiguous(torch::MemoryFormat::ChannelsLast));
  }
  EXPECT_TRUE(is_close(head.forward(second), together.narrow(0, 1, 1), 1e-9));
  const auto last = head.forward(channels_last);
  EXPECT_TRUE(last.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(is_close(last, together, 1e-9));

  // The maps of one image behind each other, so that one tensor goes in.
  const auto flat = [](const Features& features) {
    std::vector<torch::Tensor> parts;
    for (const auto& map : features) parts.push_back(map.flatten(1));
    return torch::cat(parts, 1);
  };
  for (const auto& parameter : head.parameters()) parameter.requires_grad_(false);
  const auto forward = [&](const torch::Tensor& all) {
    Features features;
    int64_t begin = 0;
    for (size_t i = 0; i < kMapChannels.size(); ++i) {
      const auto [rows, columns] = kMapSizes[i];
      const auto length = kMapChannels[i] * rows * columns;
      features.push_back(
          all.narrow(1, begin, length).unflatten(1, {kMapChannels[i], rows, columns}));
      begin += length;
    }
    return head.forward(features);
  };
  const auto traced = trace(forward, flat(golden_maps(1)));
  EXPECT_TRUE(is_close(traced(flat(maps)), together, 1e-9));
}

}  // namespace dnc
