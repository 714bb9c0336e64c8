#include "host/train/step.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "host/components/components.h"
#include "host/data/image_decoder.h"
#include "host/train/evaluate.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/registry.h"
#include "tests/host/train/observed.h"

namespace dnc {
namespace {

// ---- a model of one matrix that counts the updates with labels ----------------------------------

struct Channels : Backbone {
  Features forward(const torch::Tensor& images) override { return {images}; }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}}; }
};

struct Mean : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back().mean({2, 3}); }
  int64_t channels() const override { return 3; }
};

// The numbers that Blending drew.
std::vector<double> drawn;

// Blends each image with the one at the other end, and labels alike, in a share that it draws.
struct Blending : BatchTransform {
  void apply(Batch& batch, Random& random) const override {
    EXPECT_EQ(batch.images.scalar_type(), torch::kFloat32);
    drawn.push_back(random.uniform());
    const double share = 0.5 + drawn.back() / 2;
    const auto labels = torch::one_hot(batch.labels, 4).to(torch::kFloat32);
    batch.images = batch.images * share + batch.images.flip(0) * (1 - share);
    batch.soft_labels = labels * share + labels.flip(0) * (1 - share);
  }
};

// Forgets an image.
struct Losing : BatchTransform {
  void apply(Batch& batch, Random&) const override { batch.images = batch.images.narrow(0, 1, 2); }
};

// Makes soft labels of other classes.
struct Inventing : BatchTransform {
  void apply(Batch& batch, Random&) const override { batch.soft_labels = torch::ones({6, 5}); }
};

struct Counting : Head {
  Counting() {
    weight = register_parameter("weight", torch::randn({4, 3}));
    updates = register_buffer("updates", torch::zeros({}, torch::kInt64));
  }
  torch::Tensor forward(const torch::Tensor& embeddings) override {
    return embeddings.matmul(weight.t());
  }
  void add_losses(const HeadStep& step, Losses&) override {
    if (!step.soft_labels.defined()) return;
    EXPECT_EQ(step.soft_labels.size(0), step.labels.size(0));
  }
  void update(const HeadStep& step, Communicator&) override {
    updates.add_((step.labels != kIgnoredLabel).any());
    soft_labels = step.soft_labels;
  }
  torch::Tensor soft_labels;  // of the last update
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
    registrar.batch_transform<Blending>("Blending", "Blends.");
    registrar.batch_transform<Losing>("Losing", "Forgets images.");
    registrar.batch_transform<Inventing>("Inventing", "Makes up classes.");
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

  // Of other weights than the model's, or it would stay as it is in any case.
  auto average = state_named(step, "ema.average.head.weight").mul_(2).clone();
  state_named(step, "scaler.scale").fill_(3e38);  // times a loss above 1.14: infinite
  auto batch = batch_of({0, 1, 2, 3, 0, 1});
  batch.images.mul_(20);
  const auto losses = step.run(batch, 0);
  EXPECT_GT(losses.front().second.item<double>(), 1.14) << "or nothing overflows";
  EXPECT_TRUE(torch::equal(weight, before));
  EXPECT_EQ(updates.item<int64_t>(), 0);
  EXPECT_TRUE(torch::equal(state_named(step, "ema.average.head.weight"), average));
  EXPECT_NEAR(state_named(step, "scaler.scale").item<double>(), 1.5e38, 1e32);

  state_named(step, "scaler.scale").fill_(16);
  step.run(batch, 1);
  EXPECT_FALSE(torch::equal(weight, before));
  EXPECT_EQ(updates.item<int64_t>(), 1);
  EXPECT_FALSE(torch::equal(state_named(step, "ema.average.head.weight"), average));
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

TEST_F(TrainStepTest, PartsOfAMixedBatchHaveTheirSoftLabels) {
  const auto batch = batch_of({0, 1, 2, 1, 2, 3});
  std::vector<torch::Tensor> weights, losses;
  for (const char* parts : {"train.accumulate=1", "train.accumulate=2", "train.accumulate=3"}) {
    const auto built = experiment({parts, "data.train.batch_transforms=[Blending]"});
    auto model = built->build_model();
    auto& head = dynamic_cast<Counting&>(model->head());
    const auto before = head.weight.detach().clone();
    TrainStep step(*built, model, torch::kCPU, alone_);
    losses.push_back(step.run(batch, 0).front().second);
    weights.push_back(head.weight.detach().clone());
    EXPECT_EQ(head.soft_labels.sizes(), at::IntArrayRef({6, 4}));
    const double share = 0.5 + drawn.back() / 2;
    const auto images = batch.images * share + batch.images.flip(0) * (1 - share);
    const auto expected =
        at::cross_entropy_loss(images.mean({2, 3}).matmul(before.t()), head.soft_labels);
    EXPECT_TRUE(torch::allclose(losses.back(), expected, 1e-5, 1e-6));
  }
  for (size_t i = 1; i < weights.size(); ++i) {
    EXPECT_TRUE(torch::allclose(losses[i], losses[0], 1e-6, 1e-6)) << i;
    EXPECT_TRUE(torch::allclose(weights[i], weights[0], 1e-6, 1e-6)) << i;
  }
}

TEST_F(TrainStepTest, TheNextBatchIsSeenOnceAsTheNetworkGetsIt) {
  const auto built = experiment({"data.train.batch_transforms=[Blending]"});
  TrainStep step(*built, built->build_model(), torch::kCPU, alone_);
  const auto batch = batch_of({0, 1, 2, 1, 2, 3});
  std::vector<Batch> seen;
  step.look_at_next_batch([&](const Batch& given) { seen.push_back(given); });
  step.run(batch, 0);
  step.run(batch, 1);
  ASSERT_EQ(seen.size(), 1);
  const double share = 0.5 + drawn[drawn.size() - 2] / 2;
  EXPECT_TRUE(
      torch::allclose(seen[0].images, batch.images * share + batch.images.flip(0) * (1 - share)));
  EXPECT_EQ(seen[0].soft_labels.sizes(), at::IntArrayRef({6, 4}));
}

TEST_F(TrainStepTest, BatchTransformsGetBytesNormalisedAndDrawByTheStep) {
  const auto built = experiment({"data.train.batch_transforms=[Blending, Blending]"});
  const auto draws_of = [&](int64_t number) {
    auto model = built->build_model();
    TrainStep step(*built, model, torch::kCPU, alone_);
    auto batch = batch_of({0, 1, 2, 1, 2, 3});
    batch.images = batch.images.to(torch::kUInt8);
    drawn.clear();
    step.run(batch, number);
    return drawn;
  };
  const auto first = draws_of(7);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_NE(first[0], first[1]);
  EXPECT_EQ(draws_of(7), first) << "a resumed run";
  EXPECT_NE(draws_of(8), first);
}

TEST_F(TrainStepTest, ItsPhasesHaveTheirNamesAndOrder) {
  struct TwoRanks : Communicator {
    int64_t rank() const override { return 0; }
    int64_t size() const override { return 2; }
    void sum(const std::vector<torch::Tensor>&) override {}
    torch::Tensor gather(const torch::Tensor& tensor) override {
      return torch::cat({tensor, tensor});
    }
  } two;
  const auto phases_of = [&](Communicator& ranks, const std::string& overrides) {
    const auto built = experiment({overrides});
    TrainStep step(*built, built->build_model(), torch::kCPU, ranks);
    return observed(at::RecordScope::USER_SCOPE, [&] {
      step.run(batch_of({0, 1, 2, 1, 2, 3}), 0);
    });
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(phases_of(alone_, "train.accumulate=2"),
            (Names{"forward", "backward", "forward", "backward", "optimizer", "update"}));
  EXPECT_EQ(phases_of(two, "train.accumulate=1"),
            (Names{"all_reduce", "forward", "backward", "all_reduce", "optimizer", "update"}));
}

TEST_F(TrainStepTest, WithoutBatchTransformsThereAreNoSoftLabels) {
  const auto built = experiment({});
  auto model = built->build_model();
  TrainStep step(*built, model, torch::kCPU, alone_);
  step.run(batch_of({0, 1, 2, 1, 2, 3}), 0);
  EXPECT_FALSE(dynamic_cast<Counting&>(model->head()).soft_labels.defined());
}

TEST_F(TrainStepTest, ABatchTransformThatBreaksTheBatchIsNamed) {
  for (const auto& [name, expected] :
       {std::pair("Losing",
                  "a batch transform made images [2, 3, 2, 2] and labels [6] of 6 images"),
        {"Inventing", "a batch transform made soft labels [6, 5] for 6 images of 4 classes"}}) {
    const auto built = experiment({std::string("data.train.batch_transforms=") + name});
    auto model = built->build_model();
    TrainStep step(*built, model, torch::kCPU, alone_);
    try {
      step.run(batch_of({0, 1, 2, 1, 2, 3}), 0);
      FAIL() << "did not throw";
    } catch (const c10::Error& error) {
      EXPECT_NE(std::string(error.what_without_backtrace()).find(expected), std::string::npos)
          << error.what_without_backtrace();
    }
  }
}

TEST_F(TrainStepTest, TrainsAHeadOfWhichNothingLearnsByGradient) {
  const auto built = experiment({"train.ema=false"});
  auto model = built->build_model();
  auto& head = dynamic_cast<Counting&>(model->head());
  head.weight.set_requires_grad(false);
  TrainStep step(*built, model, torch::kCPU, alone_);
  const auto losses = step.run(batch_of({0, 1, 2, 1, 2, 3}), 0);
  EXPECT_GT(losses.front().second.item<double>(), 0);
  EXPECT_EQ(head.updates.item<int64_t>(), 1);
}

TEST_F(TrainStepTest, AuxiliaryHeadsAddTheirWeightedLossesAndAreUpdated) {
  const auto batch = batch_of({0, 1, 2, kIgnoredLabel, 2, 3});
  for (const char* parts : {"train.accumulate=1", "train.accumulate=2"}) {
    const auto built = experiment(
        {parts, "model.auxiliary_heads=[{decode_head: Mean, head: Counting, weight: 0.25}]"});
    auto model = built->build_model();
    auto& auxiliary = dynamic_cast<Counting&>(model->auxiliary_head(0));
    const auto before = auxiliary.weight.detach().clone();
    TrainStep step(*built, model, torch::kCPU, alone_);
    const auto losses = step.run(batch, 0);

    ASSERT_EQ(losses.size(), 3u);
    EXPECT_EQ(losses[2].first, "auxiliary_0.CrossEntropy");
    const auto scores = batch.images.mean({2, 3}).matmul(before.t());
    const auto expected =
        at::cross_entropy_loss(scores, batch.labels, {}, at::Reduction::Mean, kIgnoredLabel);
    EXPECT_TRUE(torch::allclose(losses[2].second, expected / 4, 1e-5, 1e-6)) << parts;
    EXPECT_TRUE(torch::allclose(losses[0].second, losses[1].second + losses[2].second));
    EXPECT_FALSE(torch::equal(auxiliary.weight, before));
    EXPECT_EQ(auxiliary.updates.item<int64_t>(), 1);
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
