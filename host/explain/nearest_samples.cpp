#include "host/explain/nearest_samples.h"

#include <torch/torch.h>

#include <algorithm>
#include <limits>

#include "host/train/evaluate.h"
#include "registry/head.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

// Labels [N, ...] at the size of embeddings [N, D, ...], as rows [R].
torch::Tensor labels_of_rows(const torch::Tensor& labels, const torch::Tensor& embeddings) {
  if (labels.dim() == 1) return labels;
  const auto floats = labels.unsqueeze(1).to(torch::kFloat32);
  return at::_upsample_nearest_exact2d(floats, {embeddings.size(2), embeddings.size(3)})
      .to(torch::kLong)
      .flatten();
}

// Where the R locations of embeddings [N, D] or [N, D, h, w] lie, [R, 2].
torch::Tensor places_of_rows(const torch::Tensor& embeddings) {
  const auto options = embeddings.options().dtype(torch::kFloat32);
  if (embeddings.dim() == 2) return torch::full({embeddings.size(0), 2}, 0.5, options);
  const auto middles = [&](int64_t size) {
    return (torch::arange(size, options) + 0.5) / static_cast<double>(size);
  };
  const auto grid =
      torch::meshgrid({middles(embeddings.size(2)), middles(embeddings.size(3))}, "ij");
  return torch::stack({grid[0], grid[1]}, -1).flatten(0, 1).repeat({embeddings.size(0), 1});
}

// What a batch's locations are to the search.
NearestSearch::Points points_of(Prototypes& head, const torch::Tensor& embeddings,
                                const Batch& batch) {
  const auto rows = embeddings.movedim(1, -1).flatten(0, -2);
  const auto samples = torch::tensor(batch.indices, torch::kLong).to(embeddings.device());
  NearestSearch::Points points;
  points.values = head.project(rows);
  points.labels = labels_of_rows(batch.labels, embeddings);
  points.samples = samples.repeat_interleave(rows.size(0) / batch.size());
  points.places = places_of_rows(embeddings);
  return points;
}

}  // namespace

bool NearestSamples::found(int64_t label, int64_t index) const {
  return samples.defined() && samples[label][index][0].item<int64_t>() >= 0;
}

NearestSearch::NearestSearch(const torch::Tensor& prototypes, int64_t count)
    : prototypes_(prototypes.to(torch::kFloat32)), count_(count) {
  const auto C = prototypes.size(0), K = prototypes.size(1), D = prototypes.size(2);
  const auto floats = prototypes_.options();
  found_.samples = torch::full({C, K, count}, -1, floats.dtype(torch::kLong));
  found_.similarities =
      torch::full({C, K, count}, -std::numeric_limits<double>::infinity(), floats);
  found_.places = torch::zeros({C, K, count, 2}, floats);
  found_.points = torch::zeros({C, K, count, D}, floats);
}

void NearestSearch::add(const Points& batch) {
  const auto values = batch.values.to(torch::kFloat32);
  const auto counts_at_all =
      values.isfinite().all(1).logical_and(batch.labels.ne(kIgnoredLabel)).nonzero().squeeze(1);
  const auto labels = batch.labels.index_select(0, counts_at_all);
  // The rows of each class together: one product for each class, of its rows alone.
  const auto by_class = counts_at_all.index_select(
      0, torch::argsort(labels, /*stable=*/true, /*dim=*/0, /*descending=*/false));
  const auto counts = torch::bincount(labels, {}, prototypes_.size(0)).cpu();
  int64_t first = 0;
  for (int64_t label = 0; label < prototypes_.size(0); ++label) {
    const auto count = counts.const_data_ptr<int64_t>()[label];
    if (count == 0) continue;
    const auto rows = by_class.narrow(0, first, count);
    first += count;
    const auto cosines = values.index_select(0, rows).matmul(prototypes_[label].t());  // [n, K]
    const auto [best, places] = cosines.topk(std::min(count, count_), 0);
    if (!best[0].gt(found_.similarities[label].select(1, count_ - 1)).any().item<bool>()) continue;
    merge(label, batch, best.t(), rows.index_select(0, places.flatten()).view_as(places).t());
  }
}

// `similarities` [K, m] of the rows [K, m] of a batch.
void NearestSearch::merge(int64_t label, const Points& batch, const torch::Tensor& similarities,
                          const torch::Tensor& rows) {
  const auto all = torch::cat({found_.similarities[label], similarities}, 1);
  // Of equal ones the earlier.
  const auto order =
      all.argsort(/*stable=*/true, /*dim=*/1, /*descending=*/true).narrow(1, 0, count_);
  const auto keep = [&](torch::Tensor kept, const torch::Tensor& of_rows) {
    auto index = order;
    auto sizes = rows.sizes().vec();
    if (of_rows.dim() == 2) {
      sizes.push_back(of_rows.size(1));
      index = order.unsqueeze(2).expand({-1, -1, of_rows.size(1)});
    }
    const auto of_batch = of_rows.index_select(0, rows.flatten()).reshape(sizes);
    kept.copy_(torch::cat({kept, of_batch.to(kept.scalar_type())}, 1).gather(1, index));
  };
  keep(found_.samples[label], batch.samples);
  keep(found_.places[label], batch.places);
  keep(found_.points[label], batch.values);
  found_.similarities[label].copy_(all.gather(1, order));
}

NearestSamples NearestSearch::result() const {
  return {found_.samples.cpu(), found_.similarities.cpu(), found_.places.cpu(),
          found_.points.cpu()};
}

NearestSamples find_nearest_samples(Model& model, Loader& loader, torch::Device device,
                                    Precision precision, int64_t count,
                                    const std::function<void(int64_t, int64_t)>& progress) {
  auto* head = model.prototypes();
  TORCH_CHECK(head != nullptr, "find_nearest_samples: the head has no prototypes");
  NearestSearch search(head->prototypes().to(device), count);
  int64_t done = 0;
  for_each_batch(
      model, loader, device, precision, [&](const Batch& batch, const Model::Output& output) {
        // Cosines in full precision, whatever the network runs in.
        const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
        search.add(points_of(*head, output.embeddings, batch));
        if (progress) progress(++done, loader.batches());
      });
  return search.result();
}

}  // namespace dnc
