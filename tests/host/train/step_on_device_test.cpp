// Whole steps of training as a device sees them: the host tells it what to do and does not wait,
// and passes that are replayed give what passes that are made give.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "host/cuda_library.h"
#include "host/data/endless_batches.h"
#include "host/program.h"
#include "host/train/device_graph.h"
#include "host/train/read_back.h"
#include "host/train/runner.h"
#include "host/train/step.h"
#include "registry/error.h"
#include "tests/host/train/fake_graph.h"
#include "tests/host/train/observed.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::ElementsAre;

// Operators that a device must have finished before the host can go on: they give it a number, or
// a tensor whose size depends on values.
const std::vector<std::string> kWaits{
    "aten::item",    "aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal",
    "aten::nonzero", "aten::masked_select",       "aten::_unique2",   "aten::unique_dim"};

// On a CPU the operators of the heads look at the largest label, so that none writes beyond a
// table. They do not ask a device.
bool is_range_check(const std::vector<std::string>& names, size_t item) {
  return item >= 3 && names[item - 3] == "aten::max" && names[item] == "aten::item";
}

std::vector<std::string> waits_in(const std::function<void()>& work) {
  const auto names = observed(at::RecordScope::FUNCTION, work);
  EXPECT_FALSE(names.empty());
  std::vector<std::string> waits;
  for (size_t i = 0; i < names.size(); ++i) {
    if (is_range_check(names, i)) {
      ++i;  // what item() calls
    } else if (std::find(kWaits.begin(), kWaits.end(), names[i]) != kWaits.end()) {
      waits.push_back(names[i]);
    }
  }
  return waits;
}

// A config of ours with drawn pictures in place of its data, small enough for a test.
struct Setting {
  Setting(const std::string& config, const std::string& device,
          std::vector<std::string> overrides) {
    overrides.insert(overrides.begin(), {"device=" + device, "data.batch_size=8", "data.workers=0",
                                         "train.epochs=null", "train.steps=9"});
    experiment = program.experiment(DNC_SOURCE_DIR "/configs/" + config, overrides);
    const auto target = experiment->device();
    auto model = experiment->build_model();
    model->to(target);
    model->to_channels_last();
    model->train();
    step = std::make_unique<TrainStep>(*experiment, model, target, alone);
    const auto& data = experiment->split("train");
    batches = std::make_unique<EndlessBatches>(
        data.dataset, data.transforms, train_loader_options(experiment->options(), target, alone));
  }
  Program program;
  SingleProcess alone;
  std::unique_ptr<Experiment> experiment;
  std::unique_ptr<TrainStep> step;
  std::unique_ptr<EndlessBatches> batches;
};

const std::string kDrawn =
    "data.train.dataset={type: Synthetic, classes: 10, size: 28, length: 64}";

struct Case {
  std::string name;
  std::vector<std::string> overrides;
  bool kernel_of_cpu_reads = false;  // a number, though that of a GPU does not
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

// What a step is made of: each of these must come without a wait.
std::vector<Case> cases() {
  const std::vector<std::string> drawn{kDrawn};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), kDrawn);
    return more;
  };
  return {
      {"Plain", drawn},
      {"ClippedAveragedInParts",
       with({"train.clip_norm=1", "train.ema=true", "train.accumulate=2"})},
      {"BFloat16", with({"train.precision=bfloat16"})},
      {"Float16WithScaler", with({"train.precision=float16", "train.ema=true"})},
      {"AdamW", with({"optimizer={type: AdamW, lr: 0.001}"}),
       /*kernel_of_cpu_reads=*/true},
      {"LAMB", with({"optimizer={type: LAMB, lr: 0.001}"})},
      {"Dampened", with({"optimizer={type: SGD, lr: 0.1, momentum: 0.9, dampening: 0.5}"})},
      {"MixedBatches", with({"data.train.batch_transforms=[{type: Mixup}, {type: CutMix}]"})},
      {"MemoryAndRevival",
       with(
           {"model.head={type: DNC, memory: 8, revive: resample, start: data, samples: correct}"})},
      {"LossesOfTheHead", with({"model.head={type: DNC, ppc: 0.01, ppd: 0.001}"})},
      {"Linear", with({"model.head={type: Linear}"})},
      {"Losses", with({"model.head={type: Linear}",
                       "model.losses=[{type: CrossEntropy, class_weights: [1, 1, 1, 1, 1, 2, 2, 2, "
                       "2, 2]}, {type: BinaryCrossEntropy}, {type: Dice}, {type: "
                       "OhemCrossEntropy, thresh: 0.7, min_kept: 2}]"})},
  };
}

class StepWaits : public testing::TestWithParam<Case> {};

TEST_P(StepWaits, NotOnACpu) {
  if (GetParam().kernel_of_cpu_reads) GTEST_SKIP() << "LibTorch's kernel for CPUs counts steps so";
  Setting setting("fashion_mnist/resnet8_dnc.yaml", "cpu", GetParam().overrides);
  const auto take = [&](int64_t step) {
    ReadBack(setting.step->run(setting.batches->next(), step));
  };
  take(0);  // what is made once may be waited for
  take(1);
  EXPECT_THAT(waits_in([&] { take(2); }), ElementsAre());
}

TEST_P(StepWaits, NotOnAGpu) {
  if (!gpu_problem(cuda_facts()).empty()) GTEST_SKIP() << gpu_problem(cuda_facts());
  Setting setting("fashion_mnist/resnet8_dnc.yaml", "cuda", GetParam().overrides);
  const auto take = [&](int64_t step) {
    return ReadBack(setting.step->run(setting.batches->next(), step));
  };
  take(0);
  take(1).values();
  refuse_to_wait_for_gpu(true);
  std::optional<ReadBack> losses;
  EXPECT_NO_THROW(losses.emplace(take(2)));
  refuse_to_wait_for_gpu(false);
  EXPECT_GT(losses->values().front().second, 0);
}

INSTANTIATE_TEST_SUITE_P(Of, StepWaits, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(StepWaitsTest, AWaitWouldBeFound) {
  const auto x = torch::ones({2});
  EXPECT_THAT(waits_in([&] { x.sum().item<float>(); }),
              ElementsAre("aten::item", "aten::_local_scalar_dense"));
  EXPECT_THAT(waits_in([&] { x.index({x.gt(0)}); }), ElementsAre("aten::nonzero"));
}

// With a graph that does again what was recorded, so that all around it is seen: inputs that stay
// in their place, random numbers, batch statistics, gradients.
class StepReplays : public testing::TestWithParam<Case> {};

TEST_P(StepReplays, LeaveTheSameBits) {
  std::vector<std::string> calls, log;
  const auto state_after_8_steps = [&](bool replaying) {
    Setting setting("fashion_mnist/resnet8_dnc.yaml", "cpu", GetParam().overrides);
    setting.step->log_to([&](const std::string& text) { log.push_back(text); });
    if (replaying) setting.step->replay_by(std::make_unique<FakeGraph>(calls));
    for (int64_t step = 0; step < 8; ++step) setting.step->run(setting.batches->next(), step);
    auto state = setting.step->shared();
    const auto& model = setting.step->model();
    for (const auto& item : model.named_buffers()) state.emplace_back(item.key(), item.value());
    return state;
  };
  const auto plain = state_after_8_steps(false), replayed = state_after_8_steps(true);
  ASSERT_EQ(plain.size(), replayed.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_TRUE(torch::equal(plain[i].second, replayed[i].second)) << plain[i].first;
  }
  ASSERT_EQ(log.size(), 1u);
  const bool own_losses = GetParam().name == "LossesOfTheHead";
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "replay"), own_losses ? 0 : 5);
  EXPECT_THAT(log[0], testing::HasSubstr(own_losses ? "a head has losses of its own"
                                                    : "replayed from now on"));
}

INSTANTIATE_TEST_SUITE_P(Of, StepReplays, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

// Replaying is for GPUs: `auto` leaves it, `on` is refused where it is written.
TEST(StepOfACpu, IsNotReplayed) {
  std::vector<std::string> log;
  Setting setting("fashion_mnist/resnet8_dnc.yaml", "cpu", {kDrawn, "train.cuda_graph=auto"});
  setting.step->log_to([&](const std::string& text) { log.push_back(text); });
  for (int64_t step = 0; step < 6; ++step) setting.step->run(setting.batches->next(), step);
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(message_of<ConfigError>([] {
              Setting("fashion_mnist/resnet8_dnc.yaml", "cpu", {kDrawn, "train.cuda_graph=on"});
            }),
            "--set train.cuda_graph=on: 'train.cuda_graph' is 'on', but the device is cpu, not a "
            "GPU");
}

// Replayed and not, from the same start: the same losses up to the order of sums.
TEST(StepOfAGpu, IsTheSameReplayed) {
  if (!gpu_problem(cuda_facts()).empty()) GTEST_SKIP() << gpu_problem(cuda_facts());
  std::vector<std::string> log;
  const auto losses_with = [&](const std::string& graph) {
    Setting setting("fashion_mnist/resnet8_dnc.yaml", "cuda",
                    {kDrawn, "train.cuda_graph=" + graph});
    setting.step->log_to([&](const std::string& text) { log.push_back(text); });
    std::vector<double> losses;
    for (int64_t step = 0; step < 9; ++step) {
      const ReadBack read(setting.step->run(setting.batches->next(), step));
      losses.push_back(read.values().front().second);
    }
    return losses;
  };
  const auto plain = losses_with("off"), replayed = losses_with("on");
  EXPECT_THAT(log, ElementsAre(testing::HasSubstr("replayed from now on")));
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(replayed[i], plain[i], 1e-3 * plain[i]) << "step " << i;
  }
}

}  // namespace
}  // namespace dnc
