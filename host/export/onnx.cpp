#include "host/export/onnx.h"

#include <fmt/format.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/lower_graph.h>
#include <torch/types.h>

#include <unordered_map>
#include <utility>

#include "host/export/onnx_lowering.h"
#include "host/export/onnx_run.h"
#include "host/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace jit = torch::jit;

/// A recording as a graph without attributes: its inputs are the images and the parameters.
struct PlainGraph {
  std::shared_ptr<jit::Graph> graph;
  std::vector<OnnxLowering::Parameter> parameters;
};

PlainGraph plain_graph(const jit::Module& module) {
  std::unordered_map<const void*, std::string> names;
  for (const auto& p : module.named_parameters()) names[p.value.unsafeGetTensorImpl()] = p.name;
  for (const auto& b : module.named_buffers()) names[b.value.unsafeGetTensorImpl()] = b.name;
  auto graph = module.get_method(Recording::kNetwork).graph()->copy();
  jit::Inline(*graph);
  PlainGraph plain;
  auto [lowered, values] = jit::LowerGraph(*graph, module._ivalue());
  for (const auto& value : values) {
    const auto& tensor = value.toTensor();
    plain.parameters.push_back({names[tensor.unsafeGetTensorImpl()], tensor.detach()});
  }
  plain.graph = lowered;
  jit::ConstantPropagation(plain.graph);
  jit::EliminateDeadCode(plain.graph);
  return plain;
}

/// Images of bytes to what the network takes.
std::string normalise(OnnxBuilder& onnx, const Preprocess& preprocess) {
  const auto [mean, scale] = channels_of(preprocess);
  onnx.set_scope("preprocess/");
  const auto numbers = onnx.add("Cast", {"images"}, {{"to", int64_t{1}}});
  const auto centred = onnx.add("Sub", {numbers, onnx.constant(mean, "mean")});
  return onnx.add("Mul", {centred, onnx.constant(scale, "scale")});
}

/// Scores of pixels, at the size of the images.
std::string at_image_size(OnnxBuilder& onnx, const std::string& scores) {
  const auto sizes_of = [&](const std::string& name, int64_t begin, int64_t end) {
    return onnx.add("Shape", {name}, {{"start", begin}, {"end", end}});
  };
  const auto size = onnx.add("Concat", {sizes_of(scores, 0, 2), sizes_of("images", 2, 4)},
                             {{"axis", int64_t{0}}});
  return onnx.add("Resize", {scores, "", "", size},
                  {{"mode", std::string("linear")},
                   {"coordinate_transformation_mode", std::string("half_pixel")}});
}

void name_output(OnnxModel& model, const std::string& value, OnnxValue output) {
  model.nodes.push_back({"Identity", "output/" + output.name, {value}, {output.name}, {}});
  model.outputs.push_back(std::move(output));
}

/// The outputs: what the network gives, and the decision.
void decide(OnnxBuilder& onnx, OnnxModel& model, const std::string& embeddings, std::string scores,
            const OnnxValue& images, bool pixels) {
  onnx.set_scope("decision/");
  if (pixels) scores = at_image_size(onnx, scores);
  const auto shares = onnx.add("Softmax", {scores}, {{"axis", int64_t{1}}});
  const OnnxAttributes over_classes{{"axis", int64_t{1}}, {"keepdims", int64_t{0}}};
  const auto classes = onnx.add("ArgMax", {scores}, over_classes);
  const auto probabilities = onnx.add(
      "ReduceMax", {shares}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}});
  auto each = images.sizes;  // [N] or [N, H, W]
  each.erase(each.begin() + 1, pixels ? each.begin() + 2 : each.end());
  auto of_scores = each, of_embeddings = std::vector{images.sizes[0]};
  of_scores.insert(of_scores.begin() + 1, std::string("C"));
  of_embeddings.emplace_back(std::string("D"));
  if (pixels) {
    of_embeddings.emplace_back(std::string("h"));
    of_embeddings.emplace_back(std::string("w"));
  }
  name_output(model, scores, {"scores", at::kFloat, of_scores});
  name_output(model, classes, {"classes", at::kLong, each});
  name_output(model, probabilities, {"probabilities", at::kFloat, each});
  name_output(model, embeddings, {"embeddings", at::kFloat, of_embeddings});
}

/// What the file gives.
Tensors run_again(const OnnxModel& model, const torch::Tensor& images, const std::string& path) {
  try {
    return run_onnx(model, {images});
  } catch (const Error& error) {
    throw Error(fmt::format(
        "{}: the exported model cannot be used, so it is not written: {}. Export it with --format "
        "torchscript",
        path, error.what()));
  }
}

/// What the file must give.
Tensors expected_of(Model& model, const torch::Tensor& images, PixelSize size) {
  const auto output = model.forward(images);
  const auto scores = resize_scores(output.scores, size);
  return {scores, scores.softmax(1).amax(1), output.embeddings};
}

}  // namespace

OnnxExport to_onnx(Model& model, const ExportInfo& info) {
  const torch::NoGradGuard no_grad;
  const PlainExecutor plain;
  model.eval();
  const auto recording = record_network(model, info.size);
  const auto [graph, parameters] = plain_graph(recording.module);

  OnnxExport exported;
  OnnxBuilder onnx(exported.model);
  const auto input = normalise(onnx, info.preprocess);
  OnnxLowering lowering(onnx, *graph, parameters);
  const auto outputs = lowering.run(input);
  exported.fixed_by = recording.fixed_by.empty() ? lowering.fixed_by() : recording.fixed_by;

  const bool any_size = exported.fixed_by.empty();
  OnnxValue images{"images", at::kByte, {std::string("N"), int64_t{3}}};
  if (any_size) {
    images.sizes.insert(images.sizes.end(), {std::string("H"), std::string("W")});
  } else {
    images.sizes.insert(images.sizes.end(), {info.size.height, info.size.width});
  }
  exported.model.inputs = {images};
  decide(onnx, exported.model, outputs.at(0), outputs.at(1), images, info.task == Task::kPixels);
  exported.model.metadata = {{"dnc.json", description(info, any_size)},
                             {"config.yaml", info.config}};
  return exported;
}

void write_onnx_file(const OnnxExport& exported, Model& model, const ExportInfo& info,
                     const std::string& path) {
  const torch::NoGradGuard no_grad;
  const auto bytes = write_onnx(exported.model);
  const auto again = read_onnx(path, bytes);
  for (const auto& trial : trial_images(info.size, exported.fixed_by.empty())) {
    const auto images = example_bytes(trial);
    const auto found = run_again(again, images, path);
    if (!is_close({found.at(0), found.at(2), found.at(3)},
                  expected_of(model, images, trial.size))) {
      throw Error(fmt::format(
          "{}: the exported model gives other scores for {} images of {} x {}, so it is not "
          "written: an operator of a component means something else in ONNX. Export it with "
          "--format torchscript",
          path, trial.count, trial.size.height, trial.size.width));
    }
  }
  write_file(path, bytes);
}

}  // namespace dnc
