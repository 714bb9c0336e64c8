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

// Cosines [n, K] of points of S samples, int64 [n], to those of the nearest of each sample, [S, K],
// with their numbers 0..n-1. Of equally near ones the first.
std::pair<torch::Tensor, torch::Tensor> nearest_of_samples(const torch::Tensor& cosines,
                                                           const torch::Tensor& samples) {
  const auto n = cosines.size(0), K = cosines.size(1);
  const auto [different, inverse, counts] = at::_unique2(samples, /*sorted=*/true, true);
  const auto S = different.size(0);
  const auto index = inverse.unsqueeze(1).expand_as(cosines);
  const auto best = torch::full({S, K}, -std::numeric_limits<double>::infinity(), cosines.options())
                        .scatter_reduce(0, index, cosines, "amax");
  const auto numbers = torch::arange(n, samples.options()).unsqueeze(1).expand_as(cosines);
  const auto others = numbers.masked_fill(cosines.ne(best.gather(0, index)), n);
  return {best, torch::full({S, K}, n, samples.options()).scatter_reduce(0, index, others, "amin")};
}

// [ranks * C, K, M, ...] to all that is known of each prototype, [C, K, ranks * M, ...].
torch::Tensor beside_each_other(const torch::Tensor& gathered, int64_t ranks) {
  return gathered.unflatten(0, {ranks, -1}).movedim(0, 2).flatten(2, 3);
}

}  // namespace

NearestSearch::Points points_of_batch(Prototypes& head, const torch::Tensor& embeddings,
                                      const Batch& batch) {
  const auto rows = embeddings.movedim(1, -1).flatten(0, -2);
  const auto samples = torch::tensor(batch.indices, torch::kLong).to(embeddings.device());
  NearestSearch::Points points;
  points.values = head.project(rows);
  points.labels = labels_of_rows(batch.labels, embeddings);
  points.samples = samples.repeat_interleave(rows.size(0) / batch.size());
  points.places = places_of_rows(embeddings);
  points.several = embeddings.dim() > 2;
  return points;
}

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
    auto cosines = values.index_select(0, rows).matmul(prototypes_[label].t());  // [n, K]
    auto candidates = rows.unsqueeze(1).expand_as(cosines);
    if (batch.several) {
      const auto [nearest, numbers] =
          nearest_of_samples(cosines, batch.samples.index_select(0, rows));
      cosines = nearest;
      candidates = candidates.gather(0, numbers);
    }
    const auto [best, places] = cosines.topk(std::min(cosines.size(0), count_), 0);
    if (!best[0].gt(found_.similarities[label].select(1, count_ - 1)).any().item<bool>()) continue;
    merge(label, batch, best.t(), candidates.gather(0, places).t());
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

NearestSamples gather_nearest(const NearestSamples& found, torch::Device device,
                              Communicator& communicator) {
  if (communicator.size() == 1) return found;
  const auto all = [&](const torch::Tensor& own) {
    return beside_each_other(communicator.gather(own.to(device)).cpu(), communicator.size());
  };
  const auto samples = all(found.samples), similarities = all(found.similarities);
  const auto by_sample = samples.argsort(/*stable=*/true, /*dim=*/2, /*descending=*/false);
  const auto by_both = similarities.gather(2, by_sample)
                           .argsort(/*stable=*/true, /*dim=*/2, /*descending=*/true)
                           .narrow(2, 0, found.samples.size(2));
  const auto order = by_sample.gather(2, by_both);
  const auto rows = [&](const torch::Tensor& values) {
    return values.gather(2, order.unsqueeze(3).expand({-1, -1, -1, values.size(3)}));
  };
  return {samples.gather(2, order), similarities.gather(2, order), rows(all(found.places)),
          rows(all(found.points))};
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
        search.add(points_of_batch(*head, output.embeddings, batch));
        if (progress) progress(++done, loader.batches());
      });
  return search.result();
}

}  // namespace dnc
