#include "host/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "host/components/components.h"
#include "host/cuda_library.h"
#include "host/data/image_decoder.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/head.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using Overrides = std::vector<std::string>;
using testing::HasSubstr;
using testing::StartsWith;

// ---- the smallest network and data that there are -----------------------------------------------

struct Tiny : Backbone {
  struct Options {
    int64_t width = 3;
    void fields(Fields& f) { f("width", width, "Channels.").at_least(1); }
  };
  explicit Tiny(const Options& options) {
    weight = register_parameter("weight", torch::rand({options.width, 3}));
    bias = register_parameter("bias", torch::zeros({options.width}));
  }
  Features forward(const torch::Tensor& images) override {
    return {torch::einsum("nchw,dc->ndhw", {images, weight}) + bias.view({1, -1, 1, 1})};
  }
  std::vector<FeatureShape> shapes() const override { return {{weight.size(0), 1}}; }
  torch::Tensor weight, bias;
};

struct Mean : DecodeHead {
  explicit Mean(const Context& context) : width(context.features.back().channels) {}
  torch::Tensor forward(const Features& features) override { return features.back().mean({2, 3}); }
  int64_t channels() const override { return width; }
  int64_t width;
};

struct Scores : Head {
  explicit Scores(const Context& context) {
    weight = register_parameter("weight", torch::rand({context.classes.size(), context.channels}));
  }
  torch::Tensor forward(const torch::Tensor& embeddings) override {
    return embeddings.matmul(weight.t());
  }
  torch::Tensor weight;
};

struct Listed : Dataset {
  struct Options {
    std::vector<std::string> names{"cat", "dog"};
    int64_t length = 10;
    Path root;
    void fields(Fields& f) {
      f("names", names, "Of the classes.");
      f("length", length, "Samples.");
      f("root", root, "Not read.");
    }
  };
  explicit Listed(const Options& options) : length(options.length) { info.names = options.names; }
  int64_t size() const override { return length; }
  Sample load(int64_t index) const override {
    Sample sample;
    sample.index = index;
    sample.label = index % info.size();
    sample.image = Image(4, 4, 3);
    return sample;
  }
  const ClassInfo& classes() const override { return info; }
  std::string name(int64_t index) const override { return "listed #" + std::to_string(index); }
  int64_t length;
  ClassInfo info;
};

struct Nothing : Transform {
  void apply(Sample&, Random&) const override {}
};

// Gives the length of the run back.
struct Length : Schedule {
  explicit Length(const Context& context)
      : steps(context.run.steps), steps_per_epoch(context.run.steps_per_epoch) {}
  double factor(int64_t step) const override {
    return static_cast<double>(step == 0 ? steps : steps_per_epoch);
  }
  int64_t steps, steps_per_epoch;
};

struct Watcher : Hook {};

struct Untouched : BatchTransform {
  void apply(Batch&, Random&) const override {}
};

const char* const kConfig = R"(model:
  backbone: Tiny
  decode_head: Mean
  head: {type: Scores}
data:
  train:
    dataset: {type: Listed, length: 10}
    transforms: [Nothing]
  test:
    dataset: {type: Listed, length: 5}
  batch_size: 4
optimizer: {type: SGD, lr: 0.1}
train: {epochs: 3}
)";

class ExperimentTest : public testing::Test {
 protected:
  ExperimentTest() {
    Registrar registrar(registry_, "test");
    register_components(registrar);
    registrar.backbone<Tiny>("Tiny", "A 1x1 convolution.");
    registrar.decode_head<Mean>("Mean", "The mean.");
    registrar.head<Scores>("Scores", "A matrix.");
    registrar.dataset<Listed>("Listed", "Black pictures.", {"Black"});
    registrar.transform<Nothing>("Nothing", "Does nothing.");
    registrar.schedule<Length>("Length", "The number of steps.");
    registrar.hook<Watcher>("Watcher", "Does nothing.");
    registrar.batch_transform<Untouched>("Untouched", "Does nothing.");
  }

  Experiment experiment(const Overrides& overrides = {}, const std::string& text = kConfig) const {
    return Experiment(registry_, images_, parse_config(text, "c.yaml", overrides));
  }
  // What the constructor says of a config.
  std::string refusal(const Overrides& overrides, const std::string& text = kConfig) const {
    return message_of<ConfigError>([&] { experiment(overrides, text); });
  }
  // What something that is asked of the experiment says.
  template <typename Use>
  std::string late_refusal(const Overrides& overrides, const Use& use) const {
    auto built = experiment(overrides);
    return message_of<ConfigError>([&] { use(built); });
  }

  Registry registry_;
  ImageDecoder images_;
};

bool has_gpu() { return open_cuda_library() && torch::cuda::is_available(); }

std::string without(std::string text, const std::string& line) {
  return text.erase(text.find(line), line.size());
}

// ---- what the constructor refuses ---------------------------------------------------------------

TEST_F(ExperimentTest, TakesACompleteConfig) {
  const auto built = experiment();
  EXPECT_EQ(built.options().data.batch_size, 4);
  EXPECT_EQ(built.options().train.epochs, 3);
  EXPECT_EQ(built.options().model.head.type(), "Scores");
}

TEST_F(ExperimentTest, RefusesAnUnknownKeyAtAnyLevel) {
  EXPECT_THAT(refusal({}, "modle: {}\n" + std::string(kConfig)),
              StartsWith("c.yaml:1:1: 'modle' is not a known key; did you mean 'model'? (known: "
                         "plugins, seed, device, "));
  EXPECT_THAT(refusal({"train.epoch=3"}),
              StartsWith("--set train.epoch=3: 'train.epoch' is not a known key; did you mean "
                         "'epochs'? (known: epochs, steps, "));
  EXPECT_EQ(
      refusal({"data.train.dataset.lenght=3"}),
      "--set data.train.dataset.lenght=3: 'data.train.dataset.lenght' is not a known key; did "
      "you mean 'length'? (known: names, length, root)");
  EXPECT_THAT(refusal({"data.type=CIFAR10"}),
              StartsWith("--set data.type=CIFAR10: 'data.type' is not a known key"));
}

TEST_F(ExperimentTest, RefusesASectionOrAComponentThatIsMissing) {
  EXPECT_EQ(refusal({}, "seed: 1\n"),
            "c.yaml:1:1: 'model.backbone' is missing: Images to feature maps.");
  EXPECT_EQ(refusal({}, ""), "c.yaml:1:1: 'model.backbone' is missing: Images to feature maps.");
  EXPECT_EQ(refusal({}, without(kConfig, "  head: {type: Scores}\n")),
            "c.yaml:2:3: 'model.head' is missing: Embeddings to class scores.");
  EXPECT_EQ(
      refusal({"model.decode_head="}),
      "--set model.decode_head=: 'model.decode_head' is missing: Feature maps to embeddings.");
  EXPECT_EQ(refusal({"data="}),
            "--set data=: 'data' has no dataset: give data.train.dataset and data.test.dataset");
}

TEST_F(ExperimentTest, RefusesAnUnknownComponentBeforeAnythingIsBuilt) {
  EXPECT_EQ(refusal({"model.head.type=Score"}),
            "--set model.head.type=Score: 'model.head.type' names no head: 'Score'; did you mean "
            "'Scores'? (known: Scores)");
  EXPECT_THAT(refusal({"hooks=[Wacher]"}),
              StartsWith("--set hooks=[Wacher]: 'hooks.0' names no hook: 'Wacher'; did you mean "
                         "'Watcher'? (known: "));
  EXPECT_EQ(refusal({"model.backbone.width=0"}),
            "--set model.backbone.width=0: 'model.backbone.width' must be at least 1, not 0");
}

TEST_F(ExperimentTest, RefusesTwoLengthsOfARun) {
  auto text = std::string(kConfig);
  text.replace(text.find("{epochs: 3}"), 11, "{epochs: 3, steps: 100}");
  EXPECT_EQ(refusal({}, text),
            "c.yaml:13:27: 'train.steps' is given as well as 'epochs'; give one of them");
  EXPECT_EQ(refusal({"train.epochs=", "train.steps=7"}), "");
}

TEST_F(ExperimentTest, RefusesALengthThatNoRunCanHave) {
  EXPECT_EQ(refusal({"train.epochs=0"}),
            "--set train.epochs=0: 'train.epochs' must be above 0 and at most 1000000000, not 0");
  EXPECT_EQ(refusal({"train.epochs=1e300"}),
            "--set train.epochs=1e300: 'train.epochs' must be above 0 and at most 1000000000, not "
            "1e300");
  EXPECT_EQ(refusal({"train.save.epochs=1e300"}),
            "--set train.save.epochs=1e300: 'train.save.epochs' must be above 0 and at most "
            "1000000000, not 1e300");
}

TEST_F(ExperimentTest, RefusesTwoLengthsOfTheWarmup) {
  EXPECT_EQ(refusal({"warmup.steps=5", "warmup.epochs=1"}),
            "--set warmup.epochs=1: 'warmup.epochs' is given beside steps; give one of them");
}

TEST_F(ExperimentTest, RefusesMorePartsThanABatchHasSamples) {
  EXPECT_EQ(refusal({"train.accumulate=5"}),
            "--set train.accumulate=5: 'train.accumulate' must be at most the batch size, 4");
}

TEST_F(ExperimentTest, RefusesDevicesThatCannotBe) {
  for (const char* name :
       {"gpu", "cuda:", "cuda0", "cuda:x", "cuda:-1", "cuda:1000", "cudax:1", "CPU", ""}) {
    const auto text = "device='" + std::string(name) + "'";
    EXPECT_EQ(refusal({text}),
              "--set " + text + ": 'device' must be auto, cpu, cuda or cuda:N, not '" + name + "'");
  }
}

TEST_F(ExperimentTest, RefusesDevicesThatAreNotThere) {
  const auto device = [&](const std::string& name) {
    return late_refusal({"device=" + name}, [](Experiment& built) { built.device(); });
  };
  EXPECT_EQ(device("cpu"), "");
  EXPECT_EQ(device("auto"), "");
  if (has_gpu()) {
    EXPECT_EQ(device("cuda"), "");
    EXPECT_EQ(device("cuda:0"), "");
    EXPECT_EQ(device("cuda:999"), "--set device=cuda:999: 'device' is 'cuda:999', but there are " +
                                      std::to_string(torch::cuda::device_count()) +
                                      " GPUs, numbered from 0");
  } else {
    EXPECT_EQ(device("cuda:1"),
              "--set device=cuda:1: 'device' is 'cuda:1', but no GPU is usable "
              "here: " +
                  gpu_problem(cuda_facts()) + "; use cpu");
  }
}

TEST_F(ExperimentTest, AutoIsTheFirstGpuOrTheCpu) {
  const auto first = has_gpu() ? torch::Device("cuda:0") : torch::Device("cpu");
  EXPECT_EQ(experiment().device(), first);
  EXPECT_EQ(experiment({"device=cpu"}).device(), torch::Device("cpu"));
}

// ---- data ---------------------------------------------------------------------------------------

TEST_F(ExperimentTest, BuildsEachSplitOnce) {
  auto built = experiment();
  const auto& train = built.split("train");
  EXPECT_EQ(train.name, "train");
  EXPECT_EQ(train.dataset->size(), 10);
  EXPECT_EQ(train.transforms.size(), 1u);
  EXPECT_EQ(&built.split("train"), &train);
  EXPECT_EQ(built.split("test").dataset->size(), 5);
}

TEST_F(ExperimentTest, OnlyTrainingDataHasBatchTransforms) {
  EXPECT_TRUE(experiment().build_batch_transforms().empty());
  auto built = experiment({"data.train.batch_transforms=[Untouched, Untouched]"});
  EXPECT_EQ(built.build_batch_transforms().size(), 2u);
  EXPECT_EQ(refusal({"data.test.batch_transforms=[Untouched]"}),
            "--set data.test.batch_transforms=[Untouched]: 'data.test.batch_transforms' is not a "
            "known key (known: dataset, transforms, pipeline)");
  EXPECT_EQ(refusal({"data.train.batch_transforms=Nothing"}),
            "--set data.train.batch_transforms=Nothing: 'data.train.batch_transforms' names no "
            "batch_transform: 'Nothing' (known: Untouched)\n  'Nothing' is a transform");
}

TEST_F(ExperimentTest, ValAndTestStandInForEachOther) {
  auto built = experiment();
  EXPECT_TRUE(built.has_split("val"));
  EXPECT_EQ(built.split("val").name, "val");
  EXPECT_EQ(built.split("val").dataset, built.split("test").dataset);
  auto with_val = experiment({"data.val.dataset={type: Listed, length: 3}", "data.test.dataset="});
  EXPECT_EQ(with_val.split("test").dataset->size(), 3);
  auto both = experiment({"data.val.dataset={type: Listed, length: 3}"});
  EXPECT_EQ(both.split("val").dataset->size(), 3);
  EXPECT_EQ(both.split("test").dataset->size(), 5);
}

TEST_F(ExperimentTest, RefusesASplitThatIsNotThere) {
  const Overrides no_test = {"data.test.dataset="};
  EXPECT_FALSE(experiment(no_test).has_split("val"));
  EXPECT_EQ(late_refusal(no_test, [](Experiment& built) { built.split("test"); }),
            "c.yaml:10:5: 'data.test' has no dataset");
  EXPECT_EQ(late_refusal(no_test, [](Experiment& built) { built.split("val"); }),
            "c.yaml:6:3: 'data.val' has no dataset");
  EXPECT_EQ(late_refusal({}, [](Experiment& built) { built.split("dev"); }),
            "there is no split 'dev' (known: train, val, test)");
}

TEST_F(ExperimentTest, RefusesADatasetWithoutSamples) {
  EXPECT_EQ(late_refusal({"data.train.dataset.length=0"},
                         [](Experiment& built) { built.split("train"); }),
            "c.yaml:7:14: 'data.train.dataset' has no sample; check its root and split");
}

TEST_F(ExperimentTest, RefusesSplitsWithDifferentClasses) {
  const auto test_with = [&](const std::string& names) {
    return late_refusal({"data.test.dataset.names=" + names}, [](Experiment& built) {
      built.split("train");
      built.split("test");
    });
  };
  EXPECT_EQ(test_with("[cat, dog]"), "");
  EXPECT_EQ(test_with("[cat, dog, cow]"),
            "c.yaml:10:14: 'data.test.dataset' has 3 classes, but the model has 2; all splits need "
            "the same classes in the same order");
  EXPECT_EQ(test_with("[cat, cow]"),
            "c.yaml:10:14: 'data.test.dataset' calls class 1 'cow', but for the model it is 'dog'; "
            "all splits need the same classes in the same order");
  EXPECT_EQ(test_with("[dog, cat]"),
            "c.yaml:10:14: 'data.test.dataset' calls class 0 'dog', but for the model it is 'cat'; "
            "all splits need the same classes in the same order");
}

TEST_F(ExperimentTest, NamedClassesMapEveryDataSet) {
  auto built = experiment({"data.classes=[dog, cat]", "data.test.dataset.names=[cow, cat, dog]"});
  EXPECT_EQ(built.classes().names, (std::vector<std::string>{"dog", "cat"}));
  EXPECT_EQ(built.split("train").dataset->load(0).label, 1);
  EXPECT_EQ(built.split("test").dataset->load(0).label, kIgnoredLabel) << "cow";
  EXPECT_EQ(built.split("test").dataset->load(2).label, 0);
  EXPECT_EQ(built.split("test").dataset->classes().size(), 2);
  EXPECT_EQ(
      late_refusal({"data.classes=[dog, cot]"}, [](Experiment& late) { late.split("train"); }),
      "--set data.classes=[dog, cot]: 'data.classes' names 'cot', but the training data has no "
      "such class; did you mean 'cat'? (known: cat, dog)");
  EXPECT_EQ(refusal({"data.classes=[dog, dog]"}),
            "--set data.classes=[dog, dog]: 'data.classes' names 'dog' twice");
}

TEST_F(ExperimentTest, AddedClassesAreFiles) {
  const TemporaryFolder folder;
  std::ofstream(folder / "list.txt") << "a.png\nb.png\n";
  const auto list = (folder / "list.txt").string();
  const auto added = "data.added_classes=[{name: cow, images: " + list + "}]";
  auto built = experiment({"data.classes=[cat, dog, cow]", added});
  EXPECT_EQ(built.classes().size(), 3);
  EXPECT_EQ(built.split("train").dataset->size(), 12);
  EXPECT_EQ(built.split("train").dataset->label(11), 2);
  EXPECT_EQ(built.split("test").dataset->size(), 5) << "there are no test images";
  EXPECT_EQ(refusal({"data.classes=[cat, dog]", added}),
            "--set " + added +
                ": 'data.added_classes.0.name' is 'cow', which is not in data.classes; name it "
                "there too; did you mean 'cat'? (known: cat, dog)");
  EXPECT_THAT(refusal({"data.added_classes=[{name: cow}]"}),
              HasSubstr("'data.added_classes.0.images' is missing"));
  EXPECT_THROW(experiment({"data.classes=[cat, dog, cow]",
                           "data.added_classes=[{name: cow, images: /nowhere}]"})
                   .split("train"),
               DataError);
}

TEST_F(ExperimentTest, AnchoringNeedsAHeadWithPrototypes) {
  EXPECT_EQ(late_refusal({"train.anchor_epochs=2"}, [](Experiment& built) { built.build_model(); }),
            "--set train.anchor_epochs=2: 'train.anchor_epochs' is 2, but the head, Scores, has no "
            "prototypes; set it to 0, or name a head that has them");
}

TEST_F(ExperimentTest, ClassesComeFromTheTrainingDataOrFromACheckpoint) {
  EXPECT_EQ(experiment().classes().names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(experiment({"data.train.dataset="}).classes().size(), 2);
  auto built = experiment({"data.train.dataset.length=0"});
  built.set_classes(ClassInfo{{"x", "y", "z"}, {}}, Task::kPixels);
  EXPECT_EQ(built.classes().size(), 3);
  EXPECT_EQ(built.task(), Task::kPixels);
  // Data of other classes than the checkpoint's are refused.
  EXPECT_THAT(message_of<ConfigError>([&] { built.split("test"); }),
              HasSubstr("has 2 classes, but the model has 3"));
}

// ---- the length of a run ------------------------------------------------------------------------

TEST_F(ExperimentTest, CountsStepsInWholeBatchesOrInAll) {
  EXPECT_EQ(experiment().steps_per_epoch(), 2);
  EXPECT_EQ(experiment().steps(), 6);
  EXPECT_EQ(experiment({"data.drop_last=false"}).steps_per_epoch(), 3);
  EXPECT_EQ(experiment({"data.drop_last=false"}).steps(), 9);
  EXPECT_EQ(experiment({"train.epochs=0.5"}).steps(), 1);
  EXPECT_EQ(experiment({"train.epochs=0.01"}).steps(), 1);
  EXPECT_EQ(experiment({"train.epochs=", "train.steps=77"}).steps(), 77);
  EXPECT_EQ(experiment({"train.epochs=1e9"}).steps(), 2'000'000'000);
}

TEST_F(ExperimentTest, RefusesARunWithoutALength) {
  EXPECT_EQ(late_refusal({"train.epochs="}, [](Experiment& built) { built.steps(); }),
            "--set train.epochs=: 'train.epochs' is missing: give train.epochs or train.steps");
}

TEST_F(ExperimentTest, RefusesABatchThatIsLargerThanTheData) {
  const auto message = [&](const Overrides& overrides) {
    return late_refusal(overrides, [](Experiment& built) { built.steps_per_epoch(); });
  };
  EXPECT_EQ(
      message({"data.batch_size=11"}),
      "--set data.batch_size=11: 'data.batch_size' is 11, but the training data has 10 samples; "
      "make it smaller, or set data.drop_last: false");
  EXPECT_EQ(message({"data.batch_size=10"}), "");
  EXPECT_EQ(message({"data.batch_size=11", "data.drop_last=false"}), "");
}

TEST(Every, IsCountedInSteps) {
  EXPECT_EQ((Every{1.0, {}}).in_steps(391), 391);
  EXPECT_EQ((Every{0.5, {}}).in_steps(391), 196);
  EXPECT_EQ((Every{0.0001, {}}).in_steps(391), 1);
  EXPECT_EQ((Every{1.0, 50}).in_steps(391), 50);
  EXPECT_EQ((Every{{}, {}}).in_steps(391), 391);
}

// ---- what is built ------------------------------------------------------------------------------

TEST_F(ExperimentTest, TheModelFitsTogether) {
  auto built = experiment({"model.backbone.width=7"});
  auto model = built.build_model();
  const auto output = model->forward(torch::zeros({2, 3, 4, 4}));
  EXPECT_EQ(output.embeddings.sizes(), (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(output.scores.sizes(), (std::vector<int64_t>{2, 2}));
}

TEST_F(ExperimentTest, RefusesAClassCountThatDiffersFromTheData) {
  EXPECT_EQ(
      late_refusal({"model.head.num_classes=3"}, [](Experiment& built) { built.build_model(); }),
      "--set model.head.num_classes=3: 'model.head.num_classes' is '3', but the data has 2; "
      "leave the key out");
  EXPECT_EQ(late_refusal({"model.head.num_classes=2", "model.head.in_channels=3"},
                         [](Experiment& built) { built.build_model(); }),
            "");
}

TEST_F(ExperimentTest, TheSeedDecidesTheWeightsWhateverWasDrawnBefore) {
  const auto weights = [&](const std::string& seed) {
    auto built = experiment({"seed=" + seed});
    torch::rand({100});
    return torch::cat({built.build_model()->parameters()[0].flatten(),
                       built.build_model()->parameters()[2].flatten()});
  };
  EXPECT_TRUE(torch::equal(weights("5"), weights("5")));
  EXPECT_FALSE(torch::equal(weights("5"), weights("6")));
}

TEST_F(ExperimentTest, BuildsWhatTrainingNeeds) {
  auto built = experiment({"hooks=[Watcher]", "model.losses=[CrossEntropy, CrossEntropy]"});
  EXPECT_EQ(built.build_losses().size(), 2u);
  EXPECT_EQ(built.build_metrics().size(), 3u);
  EXPECT_EQ(built.build_hooks().size(), 1u);
  EXPECT_EQ(built.test_transforms().size(), 0u);
}

TEST_F(ExperimentTest, SchedulesKnowTheLengthOfTheRun) {
  const auto schedule = experiment({"schedule=Length"}).build_schedule();
  EXPECT_EQ(schedule->factor(0), 6);
  EXPECT_EQ(schedule->factor(1), 2);
}

TEST_F(ExperimentTest, TheOptimizerGetsItsGroupsAndItsScaledLr) {
  auto built = experiment({"train.base_batch_size=16"});
  auto model = built.build_model();
  EXPECT_DOUBLE_EQ(built.build_optimizer(*model)->base_lr(), 0.1 * 4 / 16);
  auto plain = experiment();
  EXPECT_DOUBLE_EQ(plain.build_optimizer(*plain.build_model())->base_lr(), 0.1);
}

TEST_F(ExperimentTest, RefusesTrainingWithoutAnOptimizer) {
  auto built = experiment({"optimizer="});
  auto model = built.build_model();
  EXPECT_EQ(message_of<ConfigError>([&] { built.build_optimizer(*model); }),
            "--set optimizer=: 'optimizer' is missing: training needs one");
}

TEST_F(ExperimentTest, ARuleThatMatchesNothingIsRefusedAtItsKey) {
  auto built = experiment({"parameters.no_decay=[neck.*]"});
  auto model = built.build_model();
  const auto message = message_of<ConfigError>([&] { built.build_optimizer(*model); });
  EXPECT_THAT(message, StartsWith("--set parameters.no_decay=[neck.*]: 'parameters.no_decay.0' "));
  EXPECT_THAT(message, HasSubstr("neck.*"));
}

// ---- the resolved config ------------------------------------------------------------------------

TEST_F(ExperimentTest, TheResolvedConfigIsCompleteAndSaysWhereEachValueIsFrom) {
  const auto built = experiment({"model.backbone.width=7", "data.train.dataset.type=Black"});
  const auto& resolved = built.resolved();
  const auto& dataset = *resolved.find("data")->find("train")->find("dataset");
  EXPECT_EQ(to_json(dataset),
            R"({"type": "Listed", "names": ["cat", "dog"], "length": 10, "root": ""})");
  EXPECT_EQ(dataset.find("length")->origin.where(), "c.yaml:7:37");
  EXPECT_EQ(to_json(*resolved.find("model")->find("backbone")), R"({"type": "Tiny", "width": 7})");
  EXPECT_EQ(resolved.find("model")->find("backbone")->find("width")->origin.where(),
            "--set model.backbone.width=7");
  EXPECT_EQ(resolved.find("model")->find("losses")->items[0].type(), "CrossEntropy");
  EXPECT_EQ(resolved.find("train")->find("keep")->path, "train.keep");
}

TEST_F(ExperimentTest, TheResolvedConfigMeansTheSame) {
  const auto built =
      experiment({"data.train.dataset.root=some where",
                  "data.train.dataset.names=['1', 'true', '$${x}', 'null']", "hooks=[Watcher]",
                  "parameters={rules: [{match: '*.weight', lr_scale: 0.1}]}",
                  "train.early_stop.metric=accuracy/top1", "train.precision=bfloat16"});
  const auto yaml = to_yaml(built.resolved());
  const auto again = experiment({}, yaml);
  EXPECT_EQ(to_yaml(again.resolved()), yaml);
  EXPECT_EQ(again.options().train.precision, Precision::kBFloat16);
  EXPECT_EQ(again.options().parameters.rules.at(0).lr_scale, 0.1);
  EXPECT_EQ(
      again.resolved().find("data")->find("train")->find("dataset")->find("names")->items[2].scalar,
      "${x}");
}

TEST_F(ExperimentTest, PathsOfPluginsAreRelativeToTheFileThatNamesThem) {
  const TemporaryFolder folder;
  put_bytes(folder / "run.yaml", "plugins: [./a.so, sub/b.so, /c.so, name]\n");
  const auto root = folder.path().string();
  const auto plugins = [&](const Overrides& overrides) {
    return Experiment::plugins_of(load_config((folder / "run.yaml").string(), overrides));
  };
  EXPECT_EQ(plugins({}),
            (std::vector<std::string>{root + "/a.so", root + "/sub/b.so", "/c.so", "name"}));
  // On the command line, relative to the current folder.
  const auto here = (std::filesystem::current_path() / "d.so").string();
  EXPECT_EQ(plugins({"plugins+=./d.so"}).back(), here);
  EXPECT_EQ(plugins({"plugins=./d.so"}), (std::vector<std::string>{here}));
  EXPECT_TRUE(plugins({"plugins="}).empty());
  EXPECT_EQ(message_of<ConfigError>([&] { plugins({"plugins={a: b}"}); }),
            "--set plugins={a: b}: 'plugins' must be a list, each item a text, not a map");
  EXPECT_TRUE(Experiment::plugins_of(parse_config("seed: 1\n", "c.yaml")).empty());
}

}  // namespace
}  // namespace dnc
