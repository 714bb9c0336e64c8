// Training steps of 1, 2 and 4 ranks on the same batches.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <map>
#include <mutex>

#include "host/components/components.h"
#include "host/data/image_decoder.h"
#include "host/parallel/divergence.h"
#include "host/parallel/ranks.h"
#include "host/train/evaluate.h"
#include "host/train/runner.h"
#include "host/train/step.h"
#include "plugins/backbones/common/norm.h"
#include "plugins/heads/dnc/dnc_head.h"
#include "registry/config.h"
#include "registry/registry.h"

namespace dnc {
namespace {

struct Small : Backbone {
  struct Options {
    NormOptions norm;
    void fields(Fields& f) { f.group("norm", norm, "After the convolution."); }
  };
  Small(Options options, const Context& context) {
    conv =
        register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).bias(false)));
    options.norm.groups = 2;
    options.norm.ranks = context.ranks;
    norm = Norm(*this, "bn", options.norm, 8);
  }
  Features forward(const torch::Tensor& images) override { return {norm(conv(images)).relu()}; }
  std::vector<FeatureShape> shapes() const override { return {{8, 1}}; }
  torch::nn::Conv2d conv{nullptr};
  Norm norm{nullptr};
};

struct Mean : DecodeHead {
  Mean() { fc = register_module("fc", torch::nn::Linear(8, 6)); }
  torch::Tensor forward(const Features& features) override {
    return fc(features.back().mean({2, 3}));
  }
  int64_t channels() const override { return 6; }
  torch::nn::Linear fc{nullptr};
};

/// Pictures whose pixels say which sample they are; 26 of them, which fills no batch of 8 at the
/// end.
struct Numbered : Dataset {
  struct Options {
    int64_t damaged = -1;
    void fields(Fields& f) { f("damaged", damaged, "A sample that cannot be read."); }
  };
  explicit Numbered(const Options& options) : damaged(options.damaged) {
    info.names = {"a", "b", "c", "d"};
  }
  int64_t size() const override { return 26; }
  Sample load(int64_t index) const override {
    if (index == damaged) throw DataError(name(index) + ": is damaged");
    Sample sample;
    sample.index = index;
    sample.label = index % 3 == 0 ? kIgnoredLabel : index % 4;
    sample.image = Image(6, 6, 3);
    Random random(7, Purpose::kAugment, 0, static_cast<uint64_t>(index));
    for (int64_t i = 0; i < sample.image.size(); ++i) {
      sample.image.pixels()[i] = static_cast<uint8_t>(random.integer(0, 256));
    }
    return sample;
  }
  const ClassInfo& classes() const override { return info; }
  std::string name(int64_t index) const override { return "picture #" + std::to_string(index); }
  int64_t damaged;
  ClassInfo info;
};

constexpr const char* kConfig = R"(device: cpu
seed: 3
model: {backbone: Small, decode_head: Mean, head: {type: DNC, momentum: 0.9, memory: 8}}
data:
  train: {dataset: Numbered}
  test: {dataset: Numbered}
  batch_size: 8
  eval_batch_size: 4
  drop_last: false
optimizer: {type: SGD, lr: 0.1, momentum: 0.9, weight_decay: 0.001}
train: {epochs: 2, ema: true, clip_norm: 0.5}
)";

/// What a run of two epochs leaves: losses of all steps, tensors, figures, and the samples of each
/// batch in the order of the ranks.
struct Trained {
  std::vector<double> losses;
  std::map<std::string, torch::Tensor> tensors;
  std::vector<std::pair<std::string, double>> figures;
  std::vector<std::vector<int64_t>> samples;
};

class TrainingOnRanksTest : public testing::Test {
 protected:
  TrainingOnRanksTest() {
    Registrar registrar(registry_, "test");
    register_components(registrar);
    registrar.backbone<Small>("Small", "A convolution.");
    registrar.decode_head<Mean>("Mean", "The mean.");
    registrar.head<DncHead>("DNC", "Sub-centroids.");
    registrar.dataset<Numbered>("Numbered", "Noise.");
  }

  Trained train(int64_t count, const std::vector<std::string>& overrides) {
    Trained trained;
    const auto body = [&](Ranks& ranks) { train_rank(ranks, overrides, trained); };
    if (count == 1) {
      OneRank alone;
      body(alone);
    } else {
      run_as_ranks(count, body);
    }
    return trained;
  }

  void expect_equal(const Trained& a, const Trained& b, double tolerance) {
    ASSERT_EQ(a.losses.size(), b.losses.size());
    for (size_t i = 0; i < a.losses.size(); ++i) {
      EXPECT_NEAR(a.losses[i], b.losses[i], tolerance) << "step " << i;
    }
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (const auto& [name, tensor] : a.tensors) {
      const auto difference =
          (tensor.to(torch::kDouble) - b.tensors.at(name).to(torch::kDouble)).abs();
      if (tensor.numel() > 0) {
        EXPECT_LT(difference.max().item<double>(), tolerance) << name;
      }
    }
    EXPECT_EQ(a.figures, b.figures);
    EXPECT_EQ(a.samples, b.samples);
  }

 private:
  void train_rank(Ranks& ranks, const std::vector<std::string>& overrides, Trained& trained) {
    std::unique_lock lock(mutex_);  // weights are drawn from a generator that threads share
    Experiment experiment(registry_, images_, parse_config(kConfig, "c.yaml", overrides));
    experiment.use_ranks(ranks.modules(), ranks.rank(), ranks.size());
    const auto model = experiment.build_model();
    lock.unlock();
    TrainStep step(experiment, model, torch::kCPU, ranks);
    if (ranks.size() > 1) step.reduce_by(ranks.reducer(step.learnable()));
    const auto& split = experiment.split("train");
    Loader loader(split.dataset, split.transforms,
                  train_loader_options(experiment.options(), torch::kCPU, ranks));
    model->train();
    int64_t done = 0;
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      loader.start(epoch);
      while (auto batch = loader.next()) {
        note_samples(ranks, *batch, trained);
        const auto losses = step.run(std::move(*batch), done++);
        if (ranks.rank() == 0) trained.losses.push_back(losses.front().second.item<double>());
        check_same(ranks, step.shared(), "at step " + std::to_string(done));
      }
    }
    share_bad_samples(loader, ranks);
    ranks.broadcast(model->batch_statistics());
    const auto test =
        evaluation_loader(experiment.split("test"), experiment.options().data, 3, ranks);
    const auto found = evaluate(*model, *test, "test", experiment.build_metrics(), torch::kCPU,
                                Precision::kFloat32, ranks);
    if (ranks.rank() != 0) return;
    trained.figures = found.figures;
    for (const auto& [name, tensor] : step.shared()) trained.tensors[name] = tensor.clone();
    for (const auto& item : model->named_buffers()) {
      if (sync_) trained.tensors["model." + item.key()] = item.value().clone();
    }
  }

  static void note_samples(Ranks& ranks, const Batch& batch, Trained& trained) {
    const auto own = torch::tensor(batch.indices);
    const auto all = ranks.gather(own);
    if (ranks.rank() != 0) return;
    std::vector<int64_t> samples(all.const_data_ptr<int64_t>(),
                                 all.const_data_ptr<int64_t>() + all.numel());
    samples.resize(std::min(samples.size(), std::min<size_t>(8, kSize(trained))));
    trained.samples.push_back(std::move(samples));
  }
  // Samples of the batch that comes: the last one of an epoch has 2 of 26, the rest fills up.
  static size_t kSize(const Trained& trained) { return trained.samples.size() % 4 == 3 ? 2 : 8; }

 protected:
  bool sync_ = false;  // whether batch statistics are those of all ranks

 private:
  Registry registry_;
  ImageDecoder images_;
  std::mutex mutex_;
};

TEST_F(TrainingOnRanksTest, GroupNormAndAccumulationEqualOneProcess) {
  const std::vector<std::string> overrides{"model.backbone={type: Small, norm: {type: group}}",
                                           "train.accumulate=2"};
  const auto alone = train(1, overrides);
  ASSERT_EQ(alone.losses.size(), 8u);
  for (const int64_t ranks : {2, 4}) expect_equal(train(ranks, overrides), alone, 2e-5);
}

TEST_F(TrainingOnRanksTest, SyncBatchNormEqualsOneProcess) {
  sync_ = true;
  const std::vector<std::string> overrides{"model.backbone={type: Small, norm: {type: sync_batch}}",
                                           "data.drop_last=true"};
  const auto alone = train(1, overrides);
  ASSERT_EQ(alone.losses.size(), 6u);
  for (const int64_t ranks : {2, 4}) expect_equal(train(ranks, overrides), alone, 2e-4);
}

TEST_F(TrainingOnRanksTest, BatchNormOfEachRankDiffersFromOneProcess) {
  const std::vector<std::string> overrides{"data.drop_last=true"};
  EXPECT_GT(std::abs(train(2, overrides).losses.back() - train(1, overrides).losses.back()), 1e-4);
}

TEST_F(TrainingOnRanksTest, Float16OverflowsOnAllRanksAtOnce) {
  const std::vector<std::string> overrides{"model.backbone={type: Small, norm: {type: group}}",
                                           "train.precision=float16",
                                           "train.grad_scaler.initial_scale=1e38"};
  // check_same() in each step compares weights and loss scales.
  EXPECT_EQ(train(2, overrides).losses.size(), 8u);
}

TEST_F(TrainingOnRanksTest, DamagedSamplesCountOverAllRanks) {
  const std::vector<std::string> more{"data.train.dataset={type: Numbered, damaged: 11}"};
  EXPECT_THROW(train(2, more), DataError);
  const std::vector<std::string> one{more.front(), "data.max_bad_samples=1"};
  EXPECT_EQ(train(2, one).losses.size(), 8u);
}

}  // namespace
}  // namespace dnc
