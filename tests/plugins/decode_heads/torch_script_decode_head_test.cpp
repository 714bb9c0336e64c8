#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <string>

#include "plugins/decode_heads/torch_script/network.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(DNC_SOURCE_DIR) / "tests/golden/torch_script";

Context of_backbone(Task task) {
  Context context;
  context.task = task;
  context.features = {{6, 2}, {10, 4}};
  return context;
}

TorchScriptDecodeHead::Options of(const std::string& name) {
  TorchScriptDecodeHead::Options options;
  options.file.value = (kFolder / name).string();
  return options;
}

/// What building it says, without the place in the config and the file's folder.
std::string error(const std::string& name, Task task, const std::string& options = "") {
  auto text = build_error<DecodeHead, TorchScriptDecodeHead>(
      "{type: T, file: " + (kFolder / name).string() + options + "}", of_backbone(task));
  const auto folder = kFolder.string() + "/";
  for (size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
  const auto place = text.find(": '");
  return place == std::string::npos ? text : text.substr(place + 2);
}

TEST(TorchScriptDecodeHead, TakesOneMapAndTrains) {
  TorchScriptDecodeHead head(of("decode.pt"), of_backbone(Task::kImages));
  EXPECT_EQ(head.channels(), 5);
  const auto last = torch::rand({2, 10, 7, 8});
  const auto embeddings = head.forward({torch::rand({2, 6, 14, 16}), last});
  const auto weight = head.named_parameters()["fc.weight"],
             bias = head.named_parameters()["fc.bias"];
  EXPECT_TRUE(torch::allclose(embeddings, torch::linear(last.mean({2, 3}), weight, bias)));
  embeddings.sum().backward();
  EXPECT_EQ(weight.grad().sizes().vec(), (std::vector<int64_t>{5, 10}));
}

TEST(TorchScriptDecodeHead, TakesAllMapsOfPixels) {
  TorchScriptDecodeHead head(of("decodepixels.pt"), of_backbone(Task::kPixels));
  EXPECT_EQ(head.channels(), 5);
  EXPECT_EQ(head.forward({torch::rand({2, 6, 14, 16}), torch::rand({2, 10, 7, 8})}).sizes().vec(),
            (std::vector<int64_t>{2, 5, 14, 16}));
}

TEST(TorchScriptDecodeHead, FrozenDoesNotLearn) {
  auto options = of("decode.pt");
  options.frozen = true;
  TorchScriptDecodeHead head(options, of_backbone(Task::kImages));
  head.train();
  EXPECT_FALSE(head.is_training());
  EXPECT_FALSE(
      head.forward({torch::rand({2, 6, 4, 4}), torch::rand({2, 10, 2, 2})}).requires_grad());
}

TEST(TorchScriptDecodeHead, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error("decode.pt", Task::kImages, ", in_index: 2"),
            "'in_index' is 2, but the backbone gives 2 maps");
  EXPECT_EQ(error("decode.pt", Task::kPixels),
            "'file' is 'decode.pt', whose module fails on the maps of an image of 224 x 224 pixels "
            "(image_size): returns a tensor [1, 5] of float; expected floats [N, D, h, w]");
  EXPECT_NE(error("decode.pt", Task::kImages, ", in_index: 0").find("(image_size): "),
            std::string::npos);
  EXPECT_NE(error("decodepixels.pt", Task::kImages).find("expected floats [N, D]"),
            std::string::npos);
  EXPECT_EQ(error("none.pt", Task::kImages), "'file' is 'none.pt', which is not there or no file");
  EXPECT_EQ(error("beyond.pt", Task::kImages),
            "'file' is damaged: 'weight' reaches beyond what is stored");
}

}  // namespace
}  // namespace dnc
