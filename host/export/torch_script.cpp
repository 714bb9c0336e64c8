#include "host/export/torch_script.h"

#include <fmt/format.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <sstream>
#include <utility>
#include <vector>

#include "host/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace jit = torch::jit;

constexpr const char* kForImages = R"(
def forward(self, images: Tensor) -> Tensor:
    return self.network(self.normalise(images))[1]
)";

// Scores of pixels are wanted at the size of the images.
constexpr const char* kForPixels = R"(
def forward(self, images: Tensor) -> Tensor:
    scores = self.network(self.normalise(images))[1]
    size = [images.size(2), images.size(3)]
    return torch.upsample_bilinear2d(scores, size, False, None, None)
)";

// Without the assertion where the size is free.
constexpr const char* kNormalise = R"(
def normalise(self, images: Tensor) -> Tensor:
    if not self.any_size:
        assert images.size(2) == {0} and images.size(3) == {1}, "this model was exported for images of {0} x {1}"
    bytes = images.type_as(self.mean)
    if images.is_floating_point():
        bytes = bytes * 255.0
    return (bytes - self.mean) * self.scale
)";

constexpr const char* kMethods = R"(
def predict(self, images: Tensor) -> Tuple[Tensor, Tensor]:
    probabilities, classes = torch.max(torch.softmax(self.forward(images), 1), 1)
    return classes, probabilities

def embed(self, images: Tensor) -> Tensor:
    return self.network(self.normalise(images))[0]
)";

}  // namespace

TorchScriptExport to_torch_script(Model& model, const ExportInfo& info) {
  const torch::NoGradGuard no_grad;
  const PlainExecutor plain;
  model.eval();
  auto [module, fixed_by] = record_network(model, info.size);
  const auto [mean, scale] = channels_of(info.preprocess);
  module.register_buffer("mean", mean);
  module.register_buffer("scale", scale);
  c10::List<std::string> class_names;
  for (const auto& each : info.classes.names) class_names.push_back(each);
  module.register_attribute("class_names", c10::ListType::ofStrings(), class_names);
  const bool pixels = info.task == Task::kPixels;
  module.register_attribute("task", c10::StringType::get(),
                            std::string(pixels ? "pixels" : "images"));
  module.register_attribute("any_size", c10::BoolType::get(), fixed_by.empty());
  module.define(fmt::format(fmt::runtime(kNormalise), info.size.height, info.size.width));
  module.define(pixels ? kForPixels : kForImages);
  module.define(kMethods);
  return {module, fixed_by};
}

void write_torch_script(const jit::Module& module, Model& model, const ExportInfo& info,
                        const std::string& path) {
  const torch::NoGradGuard no_grad;
  const PlainExecutor plain;
  std::stringstream bytes;
  module.save(bytes, {{"dnc.json", description(info, module.attr("any_size").toBool())},
                      {"config.yaml", info.config}});
  const auto images = example_bytes({2, info.size});
  const auto expected = model.forward(images);
  try {
    auto again = jit::load(bytes);
    const auto found = [&](const char* method) {
      return again.get_method(method)({images}).toTensor();
    };
    if (!is_close({found("embed"), found("forward")},
                  {expected.embeddings, resize_scores(expected.scores, info.size)})) {
      throw Error("it gives other scores");
    }
  } catch (const std::exception& error) {
    const std::string reason = error.what();
    throw Error(fmt::format("{}: the exported model cannot be used, so it is not written: {}", path,
                            reason.substr(0, reason.find('\n'))));
  }
  write_file(path, bytes.str());
}

}  // namespace dnc
