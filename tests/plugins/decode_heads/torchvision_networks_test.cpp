#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "host/model.h"
#include "host/weights/key_map.h"
#include "host/weights/state.h"
#include "plugins/backbones/resnet/network.h"
#include "plugins/decode_heads/aspp/network.h"
#include "plugins/decode_heads/fcn/network.h"
#include "plugins/heads/linear/network.h"
#include "tests/golden/golden.h"
#include "tests/plugins/backbones/backbone_golden.h"

namespace dnc {
namespace {

Context seven_classes() {
  Context context;
  context.task = Task::kPixels;
  context.classes.names.resize(7);
  return context;
}

/// ResNet-50 of stride 8 as torchvision's segmentation networks have it.
std::shared_ptr<Backbone> dilated_resnet() {
  ResNet::Options options;
  options.strides = {1, 2, 1, 1};
  options.dilations = {1, 1, 2, 4};
  options.contract_dilation = true;
  options.out_stages = {2, 3};
  return std::make_shared<ResNet>(options);
}

Branch branch(const std::shared_ptr<DecodeHead>& decode_head) {
  auto context = seven_classes();
  context.channels = decode_head->channels();
  return {decode_head, std::make_shared<LinearHead>(LinearHead::Options(), context)};
}

Fcn::Options torchvision_fcn(int64_t in_index, int64_t channels) {
  Fcn::Options options;
  options.in_index = {in_index};
  options.channels = channels;
  options.num_convs = 1;
  options.concat_input = false;
  return options;
}

/// The model has exactly the tensors of torchvision's under its names, and gives its scores before
/// they are resized to the image. Float64 on both sides, within 1e-5 of the largest score.
void expect_network(const std::string& name, const std::shared_ptr<Backbone>& backbone,
                    const Context& context, const std::shared_ptr<DecodeHead>& decode_head) {
  const auto golden = Golden::load("segmentation_networks.txt");
  const auto auxiliary = std::make_shared<Fcn>(torchvision_fcn(0, 256), context);
  Model model({}, backbone, branch(decode_head), {branch(auxiliary)});

  std::map<std::string, std::vector<int64_t>> expected, found;
  std::map<std::string, std::string> names;  // ours by theirs
  for (const auto& pair : golden.names(name + "/state/")) {
    const auto equal = pair.find('=');
    names[pair.substr(0, equal)] = pair.substr(equal + 1);
    auto& shape = expected[pair.substr(0, equal)];
    const auto values = golden[name + "/state/" + pair];
    for (int64_t i = 0; i < values.numel(); ++i) shape.push_back(values[i].item<int64_t>());
  }
  const auto ours = state_of(model);
  const KeyMaps maps(DNC_SOURCE_DIR "/keymaps");
  const auto* form = maps.find(ours, "torchvision");
  ASSERT_TRUE(form);
  const auto theirs = from_ours(ours, *form, "state");
  EXPECT_TRUE(theirs.unknown.empty());
  for (const auto& item : theirs.tensors) found[item.key()] = item.value().sizes().vec();
  EXPECT_EQ(found, expected);
  ASSERT_EQ(maps.recognise(theirs.tensors), form);
  for (const auto& [there, here] : names) {
    TensorMap one;
    one.insert(there, theirs.tensors[there]);
    EXPECT_EQ(to_ours(one, *form, "state").tensors.keys(), std::vector<std::string>{here});
  }

  fill(model);
  model.eval();
  const torch::NoGradGuard no_grad;
  const auto outputs = model.forward_all(golden_images({2, 3, 65, 49}));
  expect_summary(golden, name + "/scores", outputs.at(0).scores, 1e-5);
  expect_summary(golden, name + "/auxiliary", outputs.at(1).scores, 1e-5);
}

TEST(TorchvisionNetworks, FcnResnet50HasTheirTensorsAndScores) {
  const auto backbone = dilated_resnet();
  auto context = seven_classes();
  context.features = backbone->shapes();
  expect_network("fcn", backbone, context, std::make_shared<Fcn>(torchvision_fcn(1, 512), context));
}

TEST(TorchvisionNetworks, Deeplabv3Resnet50HasTheirTensorsAndScores) {
  const auto backbone = dilated_resnet();
  auto context = seven_classes();
  context.features = backbone->shapes();
  Aspp::Options options;
  options.layout = Aspp::Layout::kTorchvision;
  options.channels = 256;
  options.dilations = {1, 12, 24, 36};
  expect_network("deeplabv3", backbone, context, std::make_shared<Aspp>(options, context));
}

}  // namespace
}  // namespace dnc
