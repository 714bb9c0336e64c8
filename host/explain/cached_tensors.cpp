#include "host/explain/cached_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "host/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

std::string checksum_of(const TensorMap& tensors, const Metadata& metadata) {
  Checksum sum;
  const auto add = [&](const std::string& text) { sum.add(text.data(), text.size() + 1); };
  auto names = tensors.keys();
  std::sort(names.begin(), names.end());  // a file has them in an order of its own
  for (const auto& name : names) {
    add(name);
    const auto values = tensors[name].cpu().contiguous();
    sum.add(values.const_data_ptr(), values.nbytes());
  }
  for (const auto& [name, text] : metadata) {
    add(name);
    add(text);
  }
  return fmt::format("{:08x}-{}", sum.crc, sum.size);
}

}  // namespace

void write_cached(const fs::path& file, const std::string& digest, const TensorMap& tensors,
                  Metadata metadata) {
  metadata["digest"] = digest;
  metadata["checksum"] = checksum_of(tensors, metadata);
  write_safetensors(file, tensors, metadata);
}

TensorFile read_cached(const fs::path& file, const std::string& digest) {
  auto cached = read_safetensors(file);
  auto& metadata = cached.metadata;
  if (metadata["digest"] != digest) {
    throw Error(file.string() + ": is of other weights, data or options");
  }
  const auto written = std::exchange(metadata["checksum"], "");
  metadata.erase("checksum");
  if (written != checksum_of(cached.tensors, metadata)) throw Error(file.string() + ": is damaged");
  return cached;
}

torch::Tensor cached_tensor(const TensorFile& cached, const fs::path& file, const std::string& name,
                            torch::ScalarType type, const std::vector<int64_t>& sizes) {
  const auto* const tensor = cached.tensors.find(name);
  bool fits = tensor && tensor->scalar_type() == type &&
              tensor->dim() == static_cast<int64_t>(sizes.size());
  for (size_t i = 0; fits && i < sizes.size(); ++i) {
    fits = sizes[i] < 0 || tensor->size(static_cast<int64_t>(i)) == sizes[i];
  }
  if (!fits) throw Error(file.string() + ": is damaged");
  return *tensor;
}

}  // namespace dnc
