#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// A run on images, and configs for pixels with its backbone.
class Transfer : public testing::Test {
 protected:
  void SetUp() override {
    const auto config = write_small_config(folder_.path(), "images.yaml").string();
    const auto trained =
        run_program({"train", config, "-o", in_folder("images"), "--set", "train.epochs=1"});
    ASSERT_EQ(trained.code, 0) << trained.output;
  }
  std::string in_folder(const std::string& name) const { return (folder_ / name).string(); }

  /// `more` is what a config has beside the one that starts from nothing.
  std::string write_pixel_config(const std::string& name, const std::string& more) const {
    std::ofstream(folder_ / name) << R"(device: cpu
threads: 1
model:
  backbone: {type: ResNetCifar, depth: 8, width: 8}
  decode_head: {type: FCN, num_convs: 1, channels: 16, concat_input: false}
  head: {type: DNC, sub_centroids: 3}
  auxiliary_heads:
    - {decode_head: {type: FCN, num_convs: 1, channels: 8, concat_input: false}, head: Linear}
data:
  train: {dataset: {type: Synthetic, task: pixels, classes: 5, length: 8, size: 32}}
  test: {dataset: {type: Synthetic, task: pixels, classes: 5, length: 4, size: 32, split: test}}
  batch_size: 4
  workers: 0
optimizer: {type: SGD, lr: 1.0e-12}
metrics: [MeanIoU]
train: {steps: 1}
)" << more;
    return in_folder(name);
  }

  /// The weights of the best checkpoint.
  static TensorMap weights_of(const std::string& run) {
    return read_safetensors(fs::path(run) / "checkpoints/best/model.safetensors").tensors;
  }

  TemporaryFolder folder_;
};

/// Parameters only: the step moves the statistics of batch norms, whatever the lr.
int64_t equal_parameters(const TensorMap& a, const TensorMap& b, const std::string& prefix) {
  int64_t equal = 0;
  for (const auto& item : a) {
    const auto& name = item.key();
    if (!name.starts_with(prefix) || name.find("running_") != std::string::npos ||
        name.ends_with(".num_batches_tracked")) {
      continue;
    }
    const auto* other = b.find(name);
    if (!other || !torch::allclose(*other, item.value(), 0, 1e-6)) return -1;
    ++equal;
  }
  return equal;
}

TEST_F(Transfer, AModelOfImagesGoesToPixelsByOneLineOfTheConfig) {
  const auto images = weights_of(in_folder("images"));
  const auto scratch = in_folder("scratch");
  ASSERT_EQ(run_program({"train", write_pixel_config("scratch.yaml", ""), "-o", scratch}).code, 0);
  EXPECT_EQ(equal_parameters(images, weights_of(scratch), "backbone."), -1);

  const auto tuned = in_folder("tuned");
  const auto trained =
      run_program({"train", write_pixel_config("tuned.yaml", "load_from: images\n"), "-o", tuned});
  ASSERT_EQ(trained.code, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("starts from " + in_folder("images/checkpoints/step_")));
  EXPECT_THAT(trained.output, testing::ContainsRegex("\ndecode_head\\.\\* +new +- +6 tensors"));
  EXPECT_THAT(trained.output, testing::ContainsRegex(
                                  "\nhead\\.prototypes +of another shape +\\[4, 4, 32\\] +\\[5, 3, "
                                  "16\\]"));
  EXPECT_THAT(trained.output, testing::ContainsRegex("\nauxiliary_heads\\.0\\.\\* +new +-"));
  EXPECT_THAT(trained.output, HasSubstr("the prototypes of the head are not among them: they start "
                                        "anew (model.head.start: noise)"));
  EXPECT_GT(equal_parameters(images, weights_of(tuned), "backbone."), 20);
}

TEST_F(Transfer, TheBackboneAloneIsTakenWhereThatIsAsked) {
  const auto images = weights_of(in_folder("images"));
  const auto tuned = in_folder("tuned");
  const auto config = write_pixel_config("tuned.yaml", "load_from: images\nload_part: backbone\n");
  const auto trained =
      run_program({"train", config, "-o", tuned, "--set", "model.head.start=data"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  EXPECT_THAT(trained.output,
              testing::ContainsRegex("\nhead\\.\\* +left out +4 tensors +5 tensors"));
  EXPECT_THAT(trained.output, HasSubstr("start anew (model.head.start: data)"));
  EXPECT_GT(equal_parameters(images, weights_of(tuned), "backbone."), 20);
}

TEST_F(Transfer, AModelOfPixelsGoesToOtherClassesWithItsDecodeHead) {
  const auto first = in_folder("first");
  const auto config = write_pixel_config("pixels.yaml", "");
  ASSERT_EQ(run_program({"train", config, "-o", first, "--set", "train.steps=2"}).code, 0);
  const auto second = in_folder("second");
  const auto trained =
      run_program({"train", config, "-o", second, "--set", "load_from=" + first, "--set",
                   "data.train.dataset.classes=7", "--set", "data.test.dataset.classes=7"});
  ASSERT_EQ(trained.code, 0) << trained.output;
  EXPECT_THAT(trained.output, testing::ContainsRegex("\nhead\\.prototypes +of other classes"));
  EXPECT_THAT(trained.output, Not(HasSubstr("decode_head.*")));
  EXPECT_GT(equal_parameters(weights_of(first), weights_of(second), "decode_head."), 0);

  // The same classes: everything is taken, and the head has nothing to say.
  const auto same = run_program(
      {"train", config, "-o", in_folder("same"), "--set", "load_from=" + first, "--set", "seed=5"});
  ASSERT_EQ(same.code, 0) << same.output;
  EXPECT_THAT(same.output, Not(HasSubstr("start anew")));
  EXPECT_GT(equal_parameters(weights_of(first), weights_of(in_folder("same")), "decode_head."), 0);
}

TEST_F(Transfer, SaysWhatIsWrongWithTheRun) {
  const auto train = [&](const std::string& name, const std::string& from,
                         const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"train", write_pixel_config("tuned.yaml", ""),
                                       "-o",    in_folder(name),
                                       "--set", "load_from=" + in_folder(from)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  };
  const auto other = train("other", "images", {"--set", "model.backbone.depth=14"});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.output, HasSubstr(": does not fit the model: "));
  EXPECT_THAT(other.output, testing::ContainsRegex("\nbackbone\\.[a-z0-9.]+ +missing"));
  EXPECT_THAT(other.output,
              HasSubstr("Give `model.backbone` the options that the weights were trained with"));
  EXPECT_FALSE(fs::exists(folder_ / "other/result.json"));

  EXPECT_THAT(train("nowhere", "nothing").output, HasSubstr(in_folder("nothing") + ": "));

  fs::remove(folder_ / "images/result.json");
  const auto unfinished = train("unfinished", "images");
  EXPECT_EQ(unfinished.code, 0) << unfinished.output;
  EXPECT_THAT(unfinished.output, HasSubstr("(checkpoint of an unfinished run): "));

  fs::remove_all(folder_ / "images/checkpoints");
  const auto empty = train("empty", "images");
  EXPECT_EQ(empty.code, 1);
  EXPECT_THAT(empty.output,
              HasSubstr(in_folder("images") +
                        ": the run has no checkpoint yet, so there are no weights to take"));
}

}  // namespace
}  // namespace dnc
