#include "host/weights/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <string>
#include <vector>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace nn = torch::nn;

nn::Sequential make_net(int64_t classes = 3) {
  nn::Sequential net(nn::Linear(2, 4), nn::BatchNorm1d(4), nn::Linear(4, classes));
  net->to(torch::kFloat);
  return net;
}

TensorMap copy_of(const nn::Sequential& net) {
  TensorMap copy;
  for (const auto& item : state_of(*net)) copy.insert(item.key(), item.value().detach().clone());
  return copy;
}

bool same(const TensorMap& a, const TensorMap& b) {
  if (a.keys() != b.keys()) return false;
  for (const auto& item : a) {
    if (!torch::equal(item.value(), b[item.key()])) return false;
  }
  return true;
}

const std::string kAdvice =
    ". Use the config that it was written with (config.yaml in its run folder), or a checkpoint of "
    "this config.";

TEST(StateOf, NamesParametersAndBuffers) {
  EXPECT_THAT(state_of(*make_net()).keys(),
              ElementsAre("0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias",
                          "1.running_mean", "1.running_var", "1.num_batches_tracked"));
}

TEST(StateOf, LeavesOutWhatIsSwitchedOff) {
  const nn::BatchNorm1d norm(nn::BatchNorm1dOptions(4).affine(false).track_running_stats(false));
  EXPECT_TRUE(state_of(*norm).is_empty());
}

TEST(LoadState, CopiesInPlaceAndKeepsGradientsOn) {
  auto source = make_net();
  source[1]->as<nn::BatchNorm1d>()->running_mean.fill_(5);
  auto target = make_net();
  const auto* storage = target->parameters()[0].data_ptr();
  load_state(*target, copy_of(source), "a.safetensors");
  EXPECT_TRUE(same(state_of(*target), state_of(*source)));
  EXPECT_EQ(target->parameters()[0].data_ptr(), storage);
  EXPECT_TRUE(target->parameters()[0].requires_grad());
  EXPECT_TRUE(target->parameters()[0].is_leaf());
}

TEST(LoadState, GoesThroughAFileUnchanged) {
  const TemporaryFolder folder;
  const auto source = make_net();
  write_safetensors(folder / "x", state_of(*source));
  auto target = make_net();
  load_state(*target, read_safetensors(folder / "x").tensors, "x");
  EXPECT_TRUE(same(state_of(*target), state_of(*source)));
}

TEST(LoadState, RefusesAnotherWidthAndChangesNothing) {
  auto net = make_net(3);
  const auto before = copy_of(net);
  const auto message = message_of<CheckpointError>(
      [&] { load_state(*net, copy_of(make_net(5)), "run/model.safetensors"); });
  EXPECT_EQ(message,
            "run/model.safetensors: does not fit the model: of another shape: 2.weight is [5, 4] "
            "there, [3, 4] here, 2.bias is [5] there, [3] here" +
                kAdvice);
  EXPECT_TRUE(same(state_of(*net), before));
}

TEST(LoadState, ListsAllThatDoesNotFit) {
  auto net = make_net();
  const auto before = copy_of(net);
  TensorMap tensors;
  for (const auto& item : copy_of(make_net())) {
    if (item.key() == "0.bias") {
      tensors.insert("0.offset", item.value());
    } else if (item.key() == "1.weight") {
      tensors.insert(item.key(), item.value().to(torch::kHalf));
    } else if (item.key() == "2.bias") {
      tensors.insert(item.key(), item.value().view({1, 3}));
    } else {
      tensors.insert(item.key(), item.value());
    }
  }
  EXPECT_EQ(
      message_of<CheckpointError>([&] { load_state(*net, tensors, "a"); }),
      "a: does not fit the model: missing: 0.bias; unexpected: 0.offset; of another shape: "
      "2.bias is [1, 3] there, [3] here; of another type: 1.weight is Half there, Float here" +
          kAdvice);
  EXPECT_TRUE(same(state_of(*net), before));
}

TEST(LoadState, ShowsTheFirstNamesAndCountsTheOthers) {
  auto net = make_net();
  EXPECT_EQ(message_of<CheckpointError>([&] { load_state(*net, TensorMap(), "a"); }),
            "a: does not fit the model: missing: 0.weight, 0.bias, 1.weight, 1.bias, 2.weight, "
            "2.bias, 1.running_mean, 1.running_var and 1 more" +
                kAdvice);
}

TEST(CopyTensors, DoesNotConfuseScalarsWithListsOfOne) {
  TensorMap source, target;
  source.insert("steps", torch::zeros({1}));
  target.insert("steps", torch::zeros({}));
  EXPECT_THAT(message_of<CheckpointError>([&] { copy_tensors(source, target, "a", "x"); }),
              HasSubstr("a: does not fit x: of another shape: steps is [1] there, [] here"));
}

}  // namespace
}  // namespace dnc
