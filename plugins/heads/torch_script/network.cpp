#include "plugins/heads/torch_script/network.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "registry/error.h"

namespace dnc {
namespace {

void check_scores(const c10::IValue& returned, const torch::Tensor& embeddings, int64_t classes) {
  TORCH_CHECK(returned.isTensor(), "returns a ", returned.tagKind(), "; expected a tensor");
  const auto& scores = returned.toTensor();
  auto expected = embeddings.sizes().vec();
  expected[1] = classes;
  TORCH_CHECK(scores.is_floating_point() && scores.sizes() == expected, "returns a tensor ",
              scores.sizes(), " of ", scores.dtype(), "; expected floats ",
              at::IntArrayRef(expected), ", a score for each of ", classes, " classes");
}

}  // namespace

void TorchScriptHead::Options::fields(Fields& f) {
  f("file", file, "The module, as torch.jit.save wrote it. It is a program: trust its source.")
      .required();
  f("frozen", frozen, "Nothing in it learns or is updated, and it stays in evaluation mode.");
}

TorchScriptHead::TorchScriptHead(const Options& options, const Context& context)
    : module_(*this, options.file.value, options.frozen),
      updates_(module_.has("update") && !options.frozen) {
  const std::vector<std::string> two_tensors{"Tensor", "Tensor"};
  if (updates_ && module_.arguments("update") != two_tensors) {
    throw OptionError("file", fmt::format("is '{}', whose update() takes something else than "
                                          "(embeddings: Tensor, labels: Tensor)",
                                          options.file.value));
  }
  const auto embeddings = context.task == Task::kPixels ? torch::zeros({2, context.channels, 3, 4})
                                                        : torch::zeros({2, context.channels});
  try {
    check_scores(module_.try_out("forward", {embeddings}), embeddings, context.classes.size());
  } catch (const std::exception& error) {
    throw OptionError("file",
                      fmt::format("is '{}', whose module fails on embeddings of {} channels: {}",
                                  options.file.value, context.channels, reason_of(error)));
  }
  train();
}

torch::Tensor TorchScriptHead::forward(const torch::Tensor& embeddings) {
  return module_.call("forward", {embeddings}).toTensor();
}

void TorchScriptHead::update(const HeadStep& step, Communicator& communicator) {
  if (!updates_) return;
  const torch::NoGradGuard no_grad;
  module_.call("update", {communicator.gather(step.embeddings.contiguous()),
                          communicator.gather(step.labels.contiguous())});
}

void TorchScriptHead::train(bool on) {
  Head::train(on && !module_.frozen());
  module_.train(on);
}

}  // namespace dnc
