#include "host/model.h"

#include <torch/torch.h>

#include <utility>

namespace dnc {

Model::Model(Preprocess preprocess, std::shared_ptr<Backbone> backbone,
             std::shared_ptr<DecodeHead> decode_head, std::shared_ptr<Head> head)
    : backbone_(register_module("backbone", std::move(backbone))),
      decode_head_(register_module("decode_head", std::move(decode_head))),
      head_(register_module("head", std::move(head))) {
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
  return decode_head_->forward(backbone_->forward(normalise(images)));
}

Model::Output Model::forward(const torch::Tensor& images) {
  auto embeddings = embed(images);
  auto scores = head_->forward(embeddings);
  return {std::move(embeddings), std::move(scores)};
}

Prototypes* Model::prototypes() { return dynamic_cast<Prototypes*>(head_.get()); }

ModelSize Model::size() const {
  ModelSize size;
  for (const auto& parameter : parameters()) {
    size.total += parameter.numel();
    if (parameter.requires_grad()) size.learnable += parameter.numel();
  }
  for (const auto& buffer : buffers()) size.buffers += buffer.numel();
  return size;
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
