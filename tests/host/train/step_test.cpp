#include "host/train/step.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "host/components/components.h"
#include "host/data/image_decoder.h"
#include "host/train/evaluate.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/registry.h"

namespace dnc {
namespace {

// ---- a model of one matrix that counts the calls of update() ------------------------------------

struct Channels : Backbone {
  Features forward(const torch::Tensor& images) override { return {images}; }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}}; }
};

struct Mean : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back().mean({2, 3}); }
  int64_t channels() const override { return 3; }
};

struct Counting : Head {
  Counting() {
    weight = register_parameter("weight", torch::randn({4, 3}));
    updates = register_buffer("updates", torch::zeros({}, torch::kInt64));
  }
  torch::Tensor forward(const torch::Tensor& embeddings) override {
    return embeddings.matmul(weight.t());
  }
  void update(const HeadStep&, Communicator&) override { updates.add_(1); }
  torch::Tensor weight, updates;
};

// Samples `damaged` and above cannot be read.
struct Drawn : Dataset {
  struct Options {
    int64_t damaged = 100;
    void fields(Fields& f) { f("damaged", damaged, "The first damaged sample."); }
  };
  explicit Drawn(const Options& options) : damaged(options.damaged) {
    info.names = {"a", "b", "c", "d"};
  }
  int64_t size() const override { return 12; }
  Sample load(int64_t index) const override {
    if (index >= damaged) throw DataError(name(index) + ": is damaged");
    Sample sample;
    sample.index = index;
    sample.label = index % 4;
    sample.image = Image(2, 2, 3);
    return sample;
  }
  const ClassInfo& classes() const override { return info; }
  std::string name(int64_t index) const override { return "drawn #" + std::to_string(index); }
  int64_t damaged;
  ClassInfo info;
};

constexpr const char* kConfig = R"(device: cpu
model: {backbone: Channels, decode_head: Mean, head: Counting}
data: {train: {dataset: Drawn}, test: {dataset: Drawn}, batch_size: 6, eval_batch_size: 4}
optimizer: {type: SGD, lr: 0.1}
train: {epochs: 1, ema: true}
)";

class TrainStepTest : public testing::Test {
 protected:
  TrainStepTest() {
    Registrar registrar(registry_, "test");
    register_components(registrar);
    registrar.backbone<Channels>("Channels", "The pixels themselves.");
    registrar.decode_head<Mean>("Mean", "The mean.");
    registrar.head<Counting>("Counting", "A matrix.");
    registrar.dataset<Drawn>("Drawn", "Black pictures.");
  }

  std::unique_ptr<Experiment> experiment(const std::vector<std::string>& overrides) const {
    return std::make_unique<Experiment>(registry_, images_,
                                        parse_config(kConfig, "c.yaml", overrides));
  }

  Registry registry_;
  ImageDecoder images_;
  SingleProcess alone_;
};

Batch batch_of(std::vector<int64_t> labels) {
  Batch batch;
  const auto size = static_cast<int64_t>(labels.size());
  batch.images = torch::randn({size, 3, 2, 2});
  batch.labels = torch::tensor(labels);
  batch.indices.resize(labels.size());
  return batch;
}

torch::Tensor state_named(TrainStep& step, const std::string& name) {
  for (const auto& [key, tensor] : step.state()) {
    if (key == name) return tensor;
  }
  throw std::runtime_error("no state " + name);
}

TEST_F(TrainStepTest, AnOverflowOfFloat16ChangesNeitherParametersNorHeadNorAverages) {
  const auto built = experiment({"train.precision=float16"});
  auto model = built->build_model();
  TrainStep step(*built, model, torch::kCPU, alone_);
  const auto weight = dynamic_cast<Counting&>(model->head()).weight;
  const auto& updates = dynamic_cast<Counting&>(model->head()).updates;
  const auto before = weight.detach().clone();

  state_named(step, "scaler.scale").fill_(3e38);  // times a loss above 1.14: infinite
  auto batch = batch_of({0, 1, 2, 3, 0, 1});
  batch.images.mul_(20);
  const auto losses = step.run(batch, 0);
  EXPECT_GT(losses.front().second.item<double>(), 1.14) << "or nothing overflows";
  EXPECT_TRUE(torch::equal(weight, before));
  EXPECT_EQ(updates.item<int64_t>(), 0);
  EXPECT_EQ(state_named(step, "ema.updates").item<int64_t>(), 0);
  EXPECT_NEAR(state_named(step, "scaler.scale").item<double>(), 1.5e38, 1e32);

  state_named(step, "scaler.scale").fill_(16);
  step.run(batch, 1);
  EXPECT_FALSE(torch::equal(weight, before));
  EXPECT_EQ(updates.item<int64_t>(), 1);
  EXPECT_EQ(state_named(step, "ema.updates").item<int64_t>(), 1);
}

TEST_F(TrainStepTest, PartsOfABatchCountByTheirValidLabels) {
  const auto batch = batch_of({0, kIgnoredLabel, kIgnoredLabel, 1, 2, 3});
  std::vector<torch::Tensor> weights, losses;
  for (const char* parts : {"train.accumulate=1", "train.accumulate=2", "train.accumulate=3"}) {
    const auto built = experiment({parts});
    auto model = built->build_model();
    TrainStep step(*built, model, torch::kCPU, alone_);
    losses.push_back(step.run(batch, 0).front().second);
    weights.push_back(dynamic_cast<Counting&>(model->head()).weight.detach().clone());
  }
  for (size_t i = 1; i < weights.size(); ++i) {
    EXPECT_TRUE(torch::allclose(losses[i], losses[0], 1e-6, 1e-6)) << i;
    EXPECT_TRUE(torch::allclose(weights[i], weights[0], 1e-6, 1e-6)) << i;
  }
}

TEST_F(TrainStepTest, EvaluationLeavesDamagedSamplesOutAndPassesOverEmptyBatches) {
  const auto built = experiment(
      {"data.test.dataset={type: Drawn, damaged: 6}", "data.max_bad_samples=6", "data.workers=0"});
  auto model = built->build_model();
  const auto loader = evaluation_loader(built->split("test"), built->options().data, 0, alone_);
  std::vector<int64_t> sizes;
  for_each_batch(*model, *loader, torch::kCPU, Precision::kFloat32,
                 [&](const Batch& batch, const Model::Output& output) {
                   EXPECT_EQ(output.scores.size(0), batch.size());
                   EXPECT_EQ(batch.labels.size(0), batch.size());
                   sizes.push_back(batch.size());
                 });
  EXPECT_EQ(sizes, (std::vector<int64_t>{4, 2})) << "the third batch has nothing but damaged ones";
  EXPECT_EQ(loader->bad_samples().size(), 6u);
}

TEST_F(TrainStepTest, AnEvaluationWithoutAGoodSampleIsAnError) {
  const auto built =
      experiment({"data.test.dataset={type: Drawn, damaged: 0}", "data.max_bad_samples=100"});
  auto model = built->build_model();
  const auto loader = evaluation_loader(built->split("test"), built->options().data, 0, alone_);
  try {
    evaluate(*model, *loader, "test", built->build_metrics(), torch::kCPU, Precision::kFloat32,
             alone_);
    FAIL() << "nothing was thrown";
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "drawn #0: is damaged; and no other sample of 'test' is good");
  }
}

}  // namespace
}  // namespace dnc
