#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host/weights/key_map.h"
#include "host/weights/state.h"
#include "plugins/backbones/convnext/network.h"
#include "plugins/backbones/mobilenet_v2/network.h"
#include "plugins/backbones/resnet/network.h"
#include "plugins/backbones/swin_transformer/network.h"
#include "plugins/backbones/vision_transformer/network.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

using Shapes = std::map<std::string, std::string>;

std::string shape_text(const torch::Tensor& tensor) {
  std::string text;
  for (const auto size : tensor.sizes()) {
    if (!text.empty()) text += 'x';
    text += std::to_string(size);
  }
  return text.empty() ? "-" : text;
}

Shapes shapes_of(const TensorMap& tensors) {
  Shapes shapes;
  for (const auto& item : tensors) shapes[item.key()] = shape_text(item.value());
  return shapes;
}

/// What a library calls the tensors of a network, with their shapes: key_maps.txt.
Shapes expected_shapes(const std::string& family, const std::string& library) {
  std::ifstream file(DNC_SOURCE_DIR "/tests/golden/key_maps.txt");
  if (!file) throw std::runtime_error("key_maps.txt: cannot be opened");
  Shapes shapes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string of, in, name, shape;
    words >> of >> in >> name >> shape;
    if (of == family && in == library) shapes[name] = shape;
  }
  return shapes;
}

/// The state of a model with this backbone and a linear head of seven classes.
template <typename T>
TensorMap state_with_head(const std::string& options) {
  const auto backbone = build_component<Backbone, T>(options);
  TensorMap state;
  for (const auto& item : state_of(*backbone)) {
    state.insert("backbone." + item.key(), item.value().detach());
  }
  const auto channels = backbone->shapes().back().channels;
  state.insert("head.fc.weight", torch::zeros({7, channels}));
  state.insert("head.fc.bias", torch::zeros({7}));
  return state;
}

/// Under each library's names the state has all tensors of its model and no other, in its shapes,
/// so that it loads there strictly; under every other program's names nothing gets lost.
void expect_strict(const std::string& family, const TensorMap& state) {
  const KeyMaps maps(DNC_SOURCE_DIR "/keymaps");
  EXPECT_EQ(maps.recognise(state), nullptr) << "our names are nobody else's";
  for (const auto& name : maps.names()) {
    const auto* form = maps.find(state, name);
    if (!form) continue;
    SCOPED_TRACE(family + " " + name);
    const auto theirs = from_ours(state, *form, "state");
    EXPECT_TRUE(theirs.unknown.empty());
    const auto expected = expected_shapes(family, name);
    const bool is_listed = name == "torchvision" || name == "timm";
    EXPECT_TRUE(!expected.empty() || !is_listed);
    if (!expected.empty()) {
      EXPECT_EQ(shapes_of(theirs.tensors), expected);
    }
    const auto ours = to_ours(theirs.tensors, *form, "state");
    ASSERT_EQ(shapes_of(ours.tensors), shapes_of(state));
    for (const auto& item : state) {
      EXPECT_TRUE(torch::equal(ours.tensors[item.key()], item.value())) << item.key();
    }
  }
}

TEST(KeyMapsOfBackbones, ResNetHasTheTensorsOfTorchvisionAndTimm) {
  expect_strict("resnet", state_with_head<ResNet>("{type: T, depth: 18}"));
}

TEST(KeyMapsOfBackbones, ResNetWithADeepStemHasTheTensorsOfTimm) {
  expect_strict("resnet_deep_stem", state_with_head<ResNetV1d>("{type: T, depth: 18}"));
}

TEST(KeyMapsOfBackbones, ResNetV1dHasTheTensorsOfTimmMmclsAndMmseg) {
  expect_strict("resnet_average_down", state_with_head<ResNetV1d>("{type: T, depth: 50}"));
}

TEST(KeyMapsOfBackbones, ResNeXtHasTheTensorsOfTorchvisionAndTimm) {
  expect_strict("resnext", state_with_head<ResNeXt>("{type: T, depth: 50}"));
}

/// Whether a file that has the tensors of `state`, with parts of their names renamed, is known as
/// one of mmseg and becomes `state`.
void expect_read(const TensorMap& state,
                 const std::vector<std::pair<std::string, std::string>>& renamed) {
  TensorMap file;
  for (const auto& item : state) {
    auto name = item.key();
    for (const auto& [ours, theirs] : renamed) {
      const auto at = name.find(ours);
      if (at == std::string::npos) continue;
      const auto rest = name.substr(at + ours.size());
      name.resize(at);
      name += theirs;
      name += rest;
      break;
    }
    file.insert(name, item.value());
  }
  const KeyMaps maps(DNC_SOURCE_DIR "/keymaps");
  const auto* form = maps.recognise(file);
  ASSERT_NE(form, nullptr);
  EXPECT_EQ(form->names.back(), "mmseg");
  const auto ours = to_ours(file, *form, "file");
  EXPECT_TRUE(ours.unknown.empty());
  EXPECT_EQ(shapes_of(ours.tensors), shapes_of(state));
}

TEST(KeyMapsOfBackbones, ResNetV1cIsReadFromMmseg) {
  expect_read(state_with_head<ResNetV1c>("{type: T, depth: 18}"),
              {{"backbone.conv1.", "backbone.stem."}, {"backbone.bn1.", "backbone.stem.7."}});
}

TEST(KeyMapsOfBackbones, ResNetV1cIsReadFromAClassifierOfOpenMmlab) {
  expect_read(state_with_head<ResNetV1c>("{type: T, depth: 18}"), {{"backbone.conv1.", "stem."},
                                                                   {"backbone.bn1.", "stem.7."},
                                                                   {"backbone.", ""},
                                                                   {"head.fc.", "fc."}});
}

TEST(KeyMapsOfBackbones, ResNetWithGroupNormsIsReadFromMmseg) {
  const auto state =
      state_with_head<ResNet>("{type: T, depth: 18, width: 8, norm: {type: group, groups: 4}}");
  expect_read(state, {{".bn1.", ".gn1."}, {".bn2.", ".gn2."}});
}

TEST(KeyMapsOfBackbones, MobileNetV2HasTheTensorsOfTorchvisionAndTimm) {
  expect_strict("mobilenet_v2", state_with_head<MobileNetV2>("{type: T}"));
}

TEST(KeyMapsOfBackbones, SwinTransformerHasTheTensorsOfTorchvisionAndTimm) {
  expect_strict("swin_transformer",
                state_with_head<SwinTransformer>(
                    "{type: T, embed_dims: 24, depths: [2, 2, 2, 1], heads: [2, 3, 4, 6]}"));
}

TEST(KeyMapsOfBackbones, VisionTransformerHasTheTensorsOfTorchvisionAndTimm) {
  expect_strict("vision_transformer",
                state_with_head<VisionTransformer>(
                    "{type: T, embed_dims: 48, depth: 2, heads: 3, patch: 32}"));
}

TEST(KeyMapsOfBackbones, ConvNextHasTheTensorsOfTorchvisionAndTimm) {
  expect_strict("convnext", state_with_head<ConvNext>("{type: T, width: 8, depths: [1, 2, 2, 1]}"));
}

}  // namespace
}  // namespace dnc
