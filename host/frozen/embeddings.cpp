#include "host/frozen/embeddings.h"

#include <torch/torch.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "host/data/sampler.h"
#include "host/train/autocast.h"
#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

/// Some samples of a data set as one of its own.
class Part final : public Dataset {
 public:
  Part(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
      : whole_(std::move(whole)), indices_(std::move(indices)) {}

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample load(int64_t index) const override {
    auto sample = whole_->load(at(index));
    sample.index = index;
    return sample;
  }
  int64_t label(int64_t index) const override { return whole_->label(at(index)); }
  const ClassInfo& classes() const override { return whole_->classes(); }
  Task task() const override { return whole_->task(); }
  std::string name(int64_t index) const override { return whole_->name(at(index)); }

 private:
  int64_t at(int64_t index) const { return indices_[static_cast<size_t>(index)]; }

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

/// What the network made of a batch, with labels, as rows: a row a sample, or one a position of the
/// map of embeddings, which then has the label image's nearest pixel (as DNC's training does).
Embeddings rows_of(const torch::Tensor& embeddings, torch::Tensor labels) {
  if (embeddings.dim() == 2) return {embeddings, std::move(labels)};
  const auto size = embeddings.sizes().slice(2);
  labels = at::upsample_nearest2d(labels.unsqueeze(1).to(torch::kFloat32), size).squeeze(1);
  return {embeddings.permute({0, 2, 3, 1}).flatten(0, 2), labels.flatten().to(torch::kLong)};
}

void check_finite(const torch::Tensor& values, const Batch& batch, const Dataset& dataset) {
  const auto wrong = values.isfinite().flatten(1).all(1).logical_not();
  if (!wrong.any().item<bool>()) return;
  const auto row = wrong.to(torch::kInt).argmax().item<int64_t>();
  throw DataError(dataset.name(batch.indices[static_cast<size_t>(row)]) +
                  ": its embedding is not finite; check the weights, model.preprocess and, with "
                  "train.precision float16, the precision");
}

}  // namespace

void for_each_embedding(Model& model, Loader& loader, torch::Device device, Precision precision,
                        const std::function<void(const Embeddings&)>& use,
                        const Progressed& progressed) {
  const torch::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  loader.start(0);
  int64_t done = 0, samples = 0;
  while (auto batch = loader.next()) {
    if (batch->size() > 0) {
      const auto images = batch->images.to(device, /*non_blocking=*/true);
      torch::Tensor values;
      {
        const Autocast autocast(precision, device);
        values = model.embed(images);
      }
      values = values.to(torch::kFloat32);
      check_finite(values, *batch, loader.dataset());
      const auto all = rows_of(values, batch->labels.to(device));
      const auto rows = all.labels.ne(kIgnoredLabel).nonzero().squeeze(1);
      samples += rows.size(0);
      if (rows.size(0) > 0) {
        use({all.values.index_select(0, rows), all.labels.index_select(0, rows)});
      }
    }
    if (progressed) progressed(++done, loader.batches());
  }
  model.train(was_training);
  if (samples == 0) {
    throw DataError(loader.bad_samples().empty()
                        ? loader.dataset().name(0) + ": neither it nor another sample has a label"
                        : loader.bad_samples().front().reason + "; and no other sample is good");
  }
}

Embeddings collect_embeddings(Model& model, Loader& loader, torch::Device device,
                              Precision precision, const Progressed& progressed) {
  // Into one block of the final size, so that there never are two copies of all.
  const auto most = loader.dataset().size();
  Embeddings all;
  int64_t count = 0;
  for_each_embedding(
      model, loader, device, precision,
      [&](const Embeddings& batch) {
        TORCH_CHECK(batch.values.size(0) <= most - count, "collect_embeddings is for images");
        if (!all.values.defined()) {
          all.values = torch::empty({most, batch.values.size(1)});
          all.labels = torch::empty({most}, torch::kLong);
        }
        const auto size = batch.values.size(0);
        all.values.narrow(0, count, size).copy_(batch.values);
        all.labels.narrow(0, count, size).copy_(batch.labels);
        count += size;
      },
      progressed);
  return {all.values.narrow(0, 0, count), all.labels.narrow(0, 0, count)};
}

Embeddings sample_embeddings(Model& model, Loader& loader, torch::Device device,
                             Precision precision, int64_t per_batch, Random random,
                             const Progressed& progressed) {
  std::vector<torch::Tensor> values, labels;
  for_each_embedding(
      model, loader, device, precision,
      [&](const Embeddings& batch) {
        const auto size = batch.values.size(0);
        std::vector<int64_t> drawn(static_cast<size_t>(std::min(size, per_batch)));
        for (size_t i = 0; i < drawn.size(); ++i) {  // one of each of equal parts of the batch
          const auto first = static_cast<int64_t>(i) * size / static_cast<int64_t>(drawn.size());
          const auto end =
              (static_cast<int64_t>(i) + 1) * size / static_cast<int64_t>(drawn.size());
          drawn[i] = random.integer(first, end);
        }
        const auto rows = torch::tensor(drawn).to(device);
        values.push_back(batch.values.index_select(0, rows).cpu());
        labels.push_back(batch.labels.index_select(0, rows).cpu());
      },
      progressed);
  return {torch::cat(values), torch::cat(labels)};
}

std::vector<int64_t> draw_indices(int64_t size, int64_t count, uint64_t seed) {
  Sampler sampler;
  sampler.size = size;
  sampler.shuffle = true;
  sampler.seed = seed;
  auto indices = sampler.order(0);
  indices.resize(static_cast<size_t>(std::clamp<int64_t>(count, 1, size)));
  std::sort(indices.begin(), indices.end());
  return indices;
}

std::shared_ptr<const Dataset> part_of(std::shared_ptr<const Dataset> dataset,
                                       std::vector<int64_t> indices) {
  return std::make_shared<Part>(std::move(dataset), std::move(indices));
}

std::shared_ptr<const Dataset> draw_samples(std::shared_ptr<const Dataset> dataset, int64_t count,
                                            uint64_t seed) {
  if (dataset->size() <= count) return dataset;
  auto indices = draw_indices(dataset->size(), count, seed);
  return part_of(std::move(dataset), std::move(indices));
}

}  // namespace dnc
