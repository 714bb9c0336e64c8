#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <string>

#include "plugins/heads/torch_script/network.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(DNC_SOURCE_DIR) / "tests/golden/torch_script";

Context three_classes(Task task, int64_t channels = 5) {
  Context context;
  context.task = task;
  context.channels = channels;
  context.classes.names = {"a", "b", "c"};
  return context;
}

TorchScriptHead::Options of(const std::string& name) {
  TorchScriptHead::Options options;
  options.file.value = (kFolder / name).string();
  return options;
}

/// What building it says, without the place in the config and the file's folder.
std::string error(const std::string& name, const Context& context) {
  auto text = build_error<Head, TorchScriptHead>(
      "{type: T, file: " + (kFolder / name).string() + "}", context);
  const auto folder = kFolder.string() + "/";
  for (size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
  const auto place = text.find(": '");
  return place == std::string::npos ? text : text.substr(place + 2);
}

TEST(TorchScriptHead, ScoresImagesAndPixelsAndLearns) {
  TorchScriptHead head(of("scores.pt"), three_classes(Task::kImages));
  const auto x = torch::rand({4, 5});
  const auto scores = head.forward(x);
  EXPECT_TRUE(torch::allclose(scores, x.narrow(1, 0, 3)));
  scores.sum().backward();
  EXPECT_TRUE(head.named_parameters()["weight"].grad().defined());
  TorchScriptHead pixels(of("scores.pt"), three_classes(Task::kPixels));
  EXPECT_EQ(pixels.forward(torch::rand({2, 5, 3, 3})).sizes().vec(),
            (std::vector<int64_t>{2, 3, 3, 3}));
}

TEST(TorchScriptHead, CallsItsUpdateAndKeepsTheBuffers) {
  TorchScriptHead head(of("means.pt"), three_classes(Task::kImages));
  const auto means = head.named_buffers()["means"], updates = head.named_buffers()["updates"];
  const auto embeddings = torch::rand({6, 5});
  const auto labels = torch::tensor({0, 0, 2, -1, 2, 2});
  SingleProcess alone;
  head.update({embeddings, {}, labels}, alone);
  EXPECT_TRUE(torch::allclose(means[0], embeddings.narrow(0, 0, 2).mean(0)));
  EXPECT_TRUE(torch::equal(means[1], torch::zeros({5})));
  EXPECT_EQ(updates.item<int64_t>(), 1);
  head.update({embeddings, {}, labels}, alone);
  EXPECT_EQ(updates.item<int64_t>(), 2);  // the module replaces it; ours stays the one that it uses
  EXPECT_EQ(head.forward(means.narrow(0, 0, 1)).argmax(1).item<int64_t>(), 0);
}

TEST(TorchScriptHead, FrozenIsNotUpdated) {
  auto options = of("means.pt");
  options.frozen = true;
  TorchScriptHead head(options, three_classes(Task::kImages));
  SingleProcess alone;
  head.update({torch::rand({2, 5}), {}, torch::tensor({0, 1})}, alone);
  EXPECT_EQ(head.named_buffers()["updates"].item<int64_t>(), 0);
}

TEST(TorchScriptHead, RefusesWhatDoesNotFit) {
  auto two = three_classes(Task::kImages);
  two.classes.names.pop_back();
  EXPECT_EQ(error("scores.pt", two),
            "'file' is 'scores.pt', whose module fails on embeddings of 5 channels: returns a "
            "tensor [2, 3] of float; expected floats [2, 2], a score for each of 2 classes");
  EXPECT_NE(error("scores.pt", three_classes(Task::kImages, 7)).find("embeddings of 7 channels: "),
            std::string::npos);
  EXPECT_EQ(error("wrongupdate.pt", three_classes(Task::kImages)),
            "'file' is 'wrongupdate.pt', whose update() takes something else than (embeddings: "
            "Tensor, labels: Tensor)");
}

}  // namespace
}  // namespace dnc
