#include "host/weights/weights_file.h"

#include <array>
#include <string_view>

#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

/// A safetensors header begins after 8 bytes, with a brace. No zip file has one there (it says how
/// the first record is compressed), and no file of torch.save (its magic number).
bool is_safetensors(const fs::path& path) {
  const InputFile file(path);
  std::array<char, 9> begin{};
  if (file.size() < begin.size()) return path.extension() == ".safetensors";
  file.read(0, begin.data(), begin.size());
  const bool is_pytorch = std::string_view(begin.data(), 4) == "PK\3\4" || begin[0] == '\x80';
  return begin.back() == '{' || (!is_pytorch && path.extension() == ".safetensors");
}

}  // namespace

ForeignWeights read_weights_file(const fs::path& path) {
  if (!is_safetensors(path)) return read_pth(path);
  ForeignWeights weights;
  weights.tensors = read_safetensors(path).tensors;
  weights.format = "safetensors";
  weights.origin = path.string();
  return weights;
}

void write_weights(const fs::path& path, const TensorMap& tensors) {
  const auto suffix = path.extension();
  if (suffix == ".safetensors") {
    write_safetensors(path, tensors, {{"format", "pt"}});  // what Python's libraries ask for
  } else if (suffix == ".pth" || suffix == ".pt") {
    write_pth(path, tensors);
  } else {
    throw CheckpointError(path.string() +
                          ": the name must end with .safetensors, .pth or .pt, which says what is "
                          "written");
  }
}

}  // namespace dnc
