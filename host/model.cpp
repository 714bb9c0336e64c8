#include "host/model.h"

#include <torch/torch.h>

#include <utility>

namespace dnc {
namespace {

Model::Output run(const Branch& branch, const Features& features) {
  auto embeddings = branch.decode_head->forward(features);
  auto scores = branch.head->forward(embeddings);
  return {std::move(embeddings), std::move(scores)};
}

}  // namespace

Model::Model(Preprocess preprocess, std::shared_ptr<Backbone> backbone, Branch main,
             std::vector<Branch> auxiliary)
    : backbone_(register_module("backbone", std::move(backbone))),
      main_{register_module("decode_head", std::move(main.decode_head)),
            register_module("head", std::move(main.head))},
      auxiliary_(std::move(auxiliary)) {
  if (!auxiliary_.empty()) {
    auto list = register_module("auxiliary_heads", std::make_shared<torch::nn::Module>());
    for (size_t i = 0; i < auxiliary_.size(); ++i) {
      auto branch = list->register_module(std::to_string(i), std::make_shared<torch::nn::Module>());
      branch->register_module("decode_head", auxiliary_[i].decode_head);
      branch->register_module("head", auxiliary_[i].head);
    }
  }
  const auto options = torch::TensorOptions().dtype(torch::kFloat32);
  mean_ = torch::tensor(preprocess.mean, options).view({1, 3, 1, 1});
  scale_ = torch::tensor(preprocess.std, options).view({1, 3, 1, 1}).reciprocal();
}

torch::Tensor Model::normalise(const torch::Tensor& images) {
  if (images.scalar_type() != torch::kUInt8) return images;
  if (mean_.device() != images.device()) {
    mean_ = mean_.to(images.device());
    scale_ = scale_.to(images.device());
  }
  return images.to(torch::kFloat32).sub_(mean_).mul_(scale_);
}

torch::Tensor Model::embed(const torch::Tensor& images) {
  return main_.decode_head->forward(backbone_->forward(normalise(images)));
}

Model::Output Model::forward(const torch::Tensor& images) {
  return run(main_, backbone_->forward(normalise(images)));
}

std::vector<Model::Output> Model::forward_all(const torch::Tensor& images) {
  const auto features = backbone_->forward(normalise(images));
  std::vector<Output> outputs{run(main_, features)};
  for (const auto& branch : auxiliary_) outputs.push_back(run(branch, features));
  return outputs;
}

Prototypes* Model::prototypes() { return dynamic_cast<Prototypes*>(main_.head.get()); }

ModelSize Model::size() const {
  ModelSize size;
  for (const auto& parameter : parameters()) {
    size.total += parameter.numel();
    if (parameter.requires_grad()) size.learnable += parameter.numel();
  }
  for (const auto& buffer : buffers()) size.buffers += buffer.numel();
  return size;
}

std::vector<torch::Tensor> Model::batch_statistics() const {
  auto all = backbone_->buffers();
  const auto add = [&](const Branch& branch) {
    const auto more = branch.decode_head->buffers();
    all.insert(all.end(), more.begin(), more.end());
  };
  add(main_);
  for (const auto& branch : auxiliary_) add(branch);
  return all;
}

void Model::to_channels_last() {
  torch::NoGradGuard no_grad;
  for (auto& parameter : parameters()) {
    if (parameter.dim() == 4) {
      parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
}

}  // namespace dnc
