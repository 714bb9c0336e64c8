#include "host/explain/search_index.h"

#include <torch/types.h>

#include <algorithm>
#include <utility>

#include "host/explain/cached_tensors.h"
#include "host/files.h"
#include "host/frozen/embeddings.h"
#include "host/frozen/neighbours.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "search_index.safetensors";

torch::Tensor points_of(Model& model, const torch::Tensor& embeddings) {
  TORCH_CHECK(embeddings.dim() == 2, "embeddings of images are [N, D], got ", embeddings.sizes());
  if (auto* head = model.prototypes()) return head->project(embeddings).to(torch::kFloat32);
  auto points = embeddings.to(torch::kFloat32).clone();
  normalise_rows(points);
  return points;
}

/// Fills an index batch by batch; points go into one block of the final size.
class IndexBuilder {
 public:
  explicit IndexBuilder(const Dataset& dataset) : dataset_(dataset) {}

  void add(const torch::Tensor& points, const torch::Tensor& labels,
           const std::vector<int64_t>& samples) {
    if (!index_.points.defined()) {
      index_.points = torch::empty({dataset_.size(), points.size(1)});
      index_.labels = torch::empty({dataset_.size()}, torch::kLong);
      index_.samples = torch::empty({dataset_.size()}, torch::kLong);
    }
    const auto finite = points.isfinite().all(1).cpu();
    const auto rows = finite.nonzero().squeeze(1);
    const auto count = rows.size(0);
    if (count < finite.size(0)) refuse(finite, samples);
    index_.points.narrow(0, count_, count).copy_(points.cpu().index_select(0, rows));
    index_.labels.narrow(0, count_, count).copy_(labels.cpu().index_select(0, rows));
    const auto numbers = torch::tensor(samples, torch::kLong).index_select(0, rows);
    index_.samples.narrow(0, count_, count).copy_(numbers);
    count_ += count;
  }

  SearchIndex finish() {
    if (count_ == 0) {
      index_.points = torch::Tensor();
      return std::move(index_);
    }
    for (auto* part : {&index_.points, &index_.labels, &index_.samples}) {
      *part = part->narrow(0, 0, count_);
    }
    const auto* const samples = index_.samples.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < count_; ++i) index_.names.push_back(dataset_.name(samples[i]));
    return std::move(index_);
  }

 private:
  void refuse(const torch::Tensor& finite, const std::vector<int64_t>& samples) {
    for (size_t i = 0; i < samples.size(); ++i) {
      if (finite[static_cast<int64_t>(i)].item<bool>()) continue;
      index_.bad_samples.push_back(
          {samples[i], dataset_.name(samples[i]) + ": its embedding is not finite"});
    }
  }

  const Dataset& dataset_;
  SearchIndex index_;
  int64_t count_ = 0;
};

// Names one after the other, each ending with a zero: a file's header has no room for a million.
torch::Tensor packed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text.append(name).push_back('\0');
  auto bytes = torch::empty({static_cast<int64_t>(text.size())}, torch::kUInt8);
  std::copy(text.begin(), text.end(), bytes.data_ptr<uint8_t>());
  return bytes;
}

std::vector<std::string> unpacked(const torch::Tensor& bytes) {
  const auto* at = bytes.const_data_ptr<uint8_t>();
  const auto* const end = at + bytes.numel();
  std::vector<std::string> names;
  while (at < end) {
    const auto* const zero = std::find(at, end, 0);
    names.emplace_back(at, zero);
    if (zero == end) break;
    at = zero + 1;
  }
  return names;
}

SearchIndex index_training_data(OpenedRun& run, const SampleSearch& search) {
  auto& experiment = *run.experiment;
  auto split = experiment.split("train");
  split.transforms = experiment.test_transforms();
  std::vector<int64_t> drawn;
  if (search.samples > 0 && search.samples < split.dataset->size()) {
    drawn = draw_indices(split.dataset->size(), search.samples,
                         static_cast<uint64_t>(experiment.options().seed));
    split.dataset = part_of(split.dataset, drawn);
  }
  auto index = embed_images(run, split, search.progress);
  if (!index.bad_samples.empty()) search.warn(bad_samples_text("train", index.bad_samples));
  if (!drawn.empty()) {
    auto* const samples = index.samples.data_ptr<int64_t>();
    std::transform(samples, samples + index.size(), samples,
                   [&](int64_t i) { return drawn[static_cast<size_t>(i)]; });
  }
  return index;
}

}  // namespace

SearchIndex SearchIndex::of_classes(const std::vector<int64_t>& wanted) const {
  const auto rows = torch::isin(labels, torch::tensor(wanted, torch::kLong)).nonzero().squeeze(1);
  SearchIndex part;
  part.points = points.index_select(0, rows);
  part.labels = labels.index_select(0, rows);
  part.samples = samples.index_select(0, rows);
  const auto* const row = rows.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows.size(0); ++i) {
    part.names.push_back(names[static_cast<size_t>(row[i])]);
  }
  return part;
}

SearchIndex embed_images(OpenedRun& run, const Split& split,
                         const std::function<void(int64_t done, int64_t all)>& progress) {
  auto& experiment = *run.experiment;
  auto data = experiment.options().data;
  data.max_bad_samples = split.dataset->size();
  SingleProcess alone;
  const auto loader = evaluation_loader(split, data, 0, alone);
  IndexBuilder builder(*split.dataset);
  int64_t done = 0;
  for_each_batch(
      *run.model, *loader, experiment.device(), experiment.options().train.precision,
      [&](const Batch& batch, const Model::Output& output) {
        const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
        builder.add(points_of(*run.model, output.embeddings), batch.labels, batch.indices);
        if (progress) progress(++done, loader->batches());
      });
  auto index = builder.finish();
  const auto& bad = loader->bad_samples();
  index.bad_samples.insert(index.bad_samples.begin(), bad.begin(), bad.end());
  if (!index.points.defined()) {
    throw DataError(index.bad_samples.front().reason + "; and no other image is good");
  }
  return index;
}

SearchIndex training_index(OpenedRun& run, const SampleSearch& search) {
  if (run.folder.empty()) return index_training_data(run, search);
  const auto file = run.folder / kFile;
  const auto digest = search_digest(run, search);
  if (fs::exists(file)) {
    try {
      auto index = read_index(file, digest);
      if (index.labels.ge(run.experiment->classes().size()).any().item<bool>()) {
        throw Error(file.string() + ": is damaged");
      }
      return index;
    } catch (const Error& error) {
      search.warn(std::string(error.what()) + "; the training data is indexed anew");
    }
  }
  auto index = index_training_data(run, search);
  try {
    write_index(file, digest, index);
  } catch (const FileError& error) {  // a folder that is only to be read
    search.warn(std::string(error.what()) + "; the next search begins anew");
  }
  return index;
}

void write_index(const fs::path& file, const std::string& digest, const SearchIndex& index) {
  TensorMap tensors;
  tensors.insert("points", index.points);
  tensors.insert("labels", index.labels);
  tensors.insert("samples", index.samples);
  tensors.insert("names", packed(index.names));
  write_cached(file, digest, tensors, {});
}

SearchIndex read_index(const fs::path& file, const std::string& digest) {
  const auto cached = read_cached(file, digest);
  SearchIndex index;
  index.points = cached_tensor(cached, file, "points", torch::kFloat32, {-1, -1});
  const auto size = index.points.size(0);
  index.labels = cached_tensor(cached, file, "labels", torch::kLong, {size});
  index.samples = cached_tensor(cached, file, "samples", torch::kLong, {size});
  index.names = unpacked(cached_tensor(cached, file, "names", torch::kUInt8, {-1}));
  const bool counts = index.samples.ge(0).all().item<bool>();
  if (static_cast<int64_t>(index.names.size()) != size || !counts) {
    throw Error(file.string() + ": is damaged");
  }
  return index;
}

}  // namespace dnc
