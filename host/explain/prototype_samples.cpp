#include "host/explain/prototype_samples.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "host/explain/cached_tensors.h"
#include "host/files.h"
#include "host/frozen/embeddings.h"
#include "host/train/evaluate.h"
#include "host/weights/state.h"
#include "registry/communicator.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "prototype_samples.safetensors";

void add(Checksum& sum, const std::string& text) { sum.add(text.data(), text.size()); }

void add(Checksum& sum, const torch::Tensor& tensor) {
  const auto values = tensor.cpu().contiguous();
  sum.add(values.const_data_ptr(), values.nbytes());
}

std::string text_of(const Checksum& sum) { return fmt::format("{:08x}-{}", sum.crc, sum.size); }

// The value of a dotted key, as JSON; empty where there is none.
std::string json_of(const Node& root, std::initializer_list<const char*> keys) {
  const auto* node = &root;
  for (const auto* key : keys) {
    node = node->find(key);
    if (!node) return "";
  }
  return to_json(*node);
}

TensorMap tensors_of(const NearestSamples& nearest) {
  TensorMap tensors;
  tensors.insert("samples", nearest.samples);
  tensors.insert("similarities", nearest.similarities);
  tensors.insert("places", nearest.places);
  tensors.insert("points", nearest.points);
  return tensors;
}

// Sample numbers of a part of the data to those of the whole, and their names.
void name_samples(PrototypeSamples& found, const Dataset& whole,
                  const std::vector<int64_t>& indices) {
  auto samples = found.nearest.samples.flatten();
  auto* numbers = samples.data_ptr<int64_t>();
  for (int64_t i = 0; i < samples.numel(); ++i) {
    if (numbers[i] >= 0 && !indices.empty()) numbers[i] = indices[static_cast<size_t>(numbers[i])];
    found.names.push_back(numbers[i] < 0 ? "" : whole.name(numbers[i]));
  }
  found.nearest.samples = samples.view_as(found.nearest.samples);
}

PrototypeSamples pass(OpenedRun& run, const SampleSearch& search) {
  auto& experiment = *run.experiment;
  const auto whole = experiment.split("train").dataset;
  const auto seed = static_cast<uint64_t>(experiment.options().seed);
  Split part{"train", whole, experiment.test_transforms()};
  std::vector<int64_t> indices;
  if (search.samples > 0 && search.samples < whole->size()) {
    indices = draw_indices(whole->size(), search.samples, seed);
    part.dataset = draw_samples(whole, search.samples, seed);
  }
  auto data = experiment.options().data;
  data.max_bad_samples = part.dataset->size();
  SingleProcess alone;
  const auto loader = evaluation_loader(part, data, seed, alone);
  PrototypeSamples found;
  found.nearest =
      find_nearest_samples(*run.model, *loader, experiment.device(),
                           experiment.options().train.precision, search.count, search.progress);
  const auto& bad = loader->bad_samples();
  found.searched = part.dataset->size() - static_cast<int64_t>(bad.size());
  if (found.searched == 0) throw DataError(bad.front().reason + "; and no other sample is good");
  if (!bad.empty()) search.warn(bad_samples_text("train", bad));
  name_samples(found, *whole, indices);
  return found;
}

}  // namespace

std::string search_digest(const OpenedRun& run, const SampleSearch& search) {
  Checksum sum;
  for (const auto& item : state_of(*run.model)) {
    add(sum, item.key());
    add(sum, item.value());
  }
  const auto& config = run.experiment->resolved();
  add(sum, json_of(config, {"model", "preprocess"}));
  add(sum, json_of(config, {"data", "train", "dataset"}));
  add(sum, json_of(config, {"data", "classes"}));
  add(sum, json_of(config, {"data", "added_classes"}));
  add(sum, json_of(config, {"data", "test", "transforms"}));
  add(sum, json_of(config, {"data", "val", "transforms"}));
  return fmt::format("{} samples {} count {}", text_of(sum), search.samples, search.count);
}

void write_prototype_samples(const fs::path& file, const std::string& digest,
                             const PrototypeSamples& samples) {
  const auto names =
      nlohmann::json(samples.names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  write_cached(file, digest, tensors_of(samples.nearest),
               {{"names", names}, {"searched", std::to_string(samples.searched)}});
}

PrototypeSamples read_prototype_samples(const fs::path& path, const std::string& digest,
                                        const std::vector<int64_t>& sizes) {
  auto cached = read_cached(path, digest);
  const std::vector<int64_t> each(sizes.begin(), sizes.begin() + 3);
  const auto tensor = [&](const std::string& name, torch::ScalarType type,
                          const std::vector<int64_t>& wanted) {
    return cached_tensor(cached, path, name, type, wanted);
  };
  PrototypeSamples samples;
  samples.nearest.samples = tensor("samples", torch::kLong, each);
  samples.nearest.similarities = tensor("similarities", torch::kFloat32, each);
  samples.nearest.places = tensor("places", torch::kFloat32, {each[0], each[1], each[2], 2});
  samples.nearest.points = tensor("points", torch::kFloat32, sizes);
  try {
    samples.names = nlohmann::json::parse(cached.metadata["names"]).get<std::vector<std::string>>();
    samples.searched = std::stoll(cached.metadata["searched"]);
  } catch (const std::exception&) {
    throw Error(path.string() + ": is damaged");
  }
  if (static_cast<int64_t>(samples.names.size()) != samples.nearest.samples.numel()) {
    throw Error(path.string() + ": is damaged");
  }
  return samples;
}

PrototypeSamples find_prototype_samples(OpenedRun& run, const SampleSearch& search) {
  if (run.folder.empty()) return pass(run, search);
  const auto file = run.folder / kFile;
  const auto digest = search_digest(run, search);
  if (fs::exists(file)) {
    const auto prototypes = run.model->prototypes()->prototypes();
    try {
      return read_prototype_samples(
          file, digest, {prototypes.size(0), prototypes.size(1), search.count, prototypes.size(2)});
    } catch (const Error& error) {
      search.warn(std::string(error.what()) + "; the training data is searched anew");
    }
  }
  auto found = pass(run, search);
  try {
    write_prototype_samples(file, digest, found);
  } catch (const FileError& error) {  // a folder that is only to be read
    search.warn(std::string(error.what()) + "; the next search begins anew");
  }
  return found;
}

}  // namespace dnc
