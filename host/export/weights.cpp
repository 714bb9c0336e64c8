#include "host/export/weights.h"

#include <torch/types.h>

#include "host/weights/pth.h"
#include "host/weights/state.h"

namespace dnc {

TensorMap exported_tensors(const Model& model) {
  TensorMap tensors;
  for (const auto& each : state_of(model)) {
    if (!each.key().starts_with("auxiliary_heads.")) tensors.insert(each.key(), each.value());
  }
  return tensors;
}

void write_exported_safetensors(const Model& model, const ExportInfo& info,
                                const std::filesystem::path& path) {
  write_safetensors(path, exported_tensors(model),
                    {{"format", "pt"},  // what Python's libraries ask for
                     {"dnc.json", description(info, std::nullopt)},
                     {"config.yaml", info.config}});
}

void write_state_dict(const Model& model, const ExportInfo& info,
                      const std::filesystem::path& path) {
  auto tensors = exported_tensors(model);
  const auto [mean, scale] = channels_of(info.preprocess);
  tensors.insert("mean", mean);
  tensors.insert("scale", scale);
  write_pth(path, tensors);
}

}  // namespace dnc
