#include "host/frozen/fit_prototypes.h"

#include <torch/torch.h>

#include <algorithm>

#include "host/frozen/clusters.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/prototypes.h"
#include "registry/random.h"

namespace dnc {
namespace {

constexpr int64_t kUpdateBatch = 4096;  // samples that the head's update() gets at once

/// Prototypes of some classes, as Prototypes::set_prototypes() takes them.
struct Placed {
  std::vector<int64_t> classes;
  std::vector<torch::Tensor> points;  // [K, D] for each of them
};

void place(Prototypes& head, const Placed& placed) {
  if (placed.classes.empty()) return;
  const auto points = torch::stack(placed.points);  // [M, K, D]
  const auto M = points.size(0), K = points.size(1);
  const auto classes = torch::tensor(placed.classes, torch::kLong).repeat_interleave(K);
  head.set_prototypes(classes, torch::arange(K).repeat({M}), points.flatten(0, 1));
}

void show_to_head(Head& head, const torch::Tensor& values, const torch::Tensor& labels) {
  SingleProcess alone;
  HeadStep step;
  step.embeddings = values;
  step.scores = head.forward(values);
  step.labels = labels;
  head.update(step, alone);
}

/// One pass; what is kept are the sums of each class.
FitResult fit_means(Model& model, Loader& loader, torch::Device device, Precision precision,
                    const Progressed& progressed) {
  auto& prototypes = *model.prototypes();
  const auto shape = prototypes.prototypes().sizes().vec();  // [C, 1, D]
  const auto doubles = torch::TensorOptions(device).dtype(torch::kFloat64);
  auto sums = torch::zeros({shape[0], shape[2]}, doubles);
  auto counts = torch::zeros({shape[0]}, doubles);
  for_each_embedding(
      model, loader, device, precision,
      [&](const Embeddings& batch) {
        const auto points = prototypes.project(batch.values).to(torch::kFloat64);
        sums.index_add_(0, batch.labels, points);
        counts.index_add_(0, batch.labels, torch::ones(batch.labels.sizes(), doubles));
        show_to_head(model.head(), batch.values, batch.labels);
      },
      progressed);
  FitResult result;
  Placed placed;
  const auto lengths = at::linalg_vector_norm(sums, 2, 1);
  const auto found = torch::stack({counts, lengths}).cpu();
  for (int64_t c = 0; c < shape[0]; ++c) {
    if (found[1][c].item<double>() > 0) {
      placed.classes.push_back(c);
      placed.points.push_back((sums[c] / lengths[c]).to(torch::kFloat32).unsqueeze(0));
    } else {
      result.empty_classes.push_back(c);
    }
  }
  place(prototypes, placed);
  // The sum of a class's cosines with the direction of their sum is that sum's length.
  result.samples = counts.sum().item<int64_t>();
  result.mean_cosine = lengths.sum().item<double>() / static_cast<double>(result.samples);
  return result;
}

/// Clusters the embeddings of each class.
FitResult fit_clusters(Model& model, const Embeddings& all, torch::Device device,
                       const FitOptions& fit, uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto& prototypes = *model.prototypes();
  const auto shape = prototypes.prototypes().sizes().vec();  // [C, K, D]
  const auto by_class = torch::argsort(all.labels, /*stable=*/true, /*dim=*/0, false);
  const auto counts = torch::bincount(all.labels, {}, shape[0]);
  FitResult result;
  result.samples = all.values.size(0);
  Placed placed;
  int64_t first = 0;
  for (int64_t c = 0; c < shape[0]; ++c) {
    const auto count = counts[c].item<int64_t>();
    if (count == 0) {
      result.empty_classes.push_back(c);
      continue;
    }
    const auto rows = by_class.narrow(0, first, count);
    first += count;
    const auto points = prototypes.project(all.values.index_select(0, rows).to(device));
    const auto clusters =
        cluster_directions(points, shape[1], fit.iterations,
                           Random(seed, Purpose::kInit, 0, static_cast<uint64_t>(c)));
    placed.classes.push_back(c);
    placed.points.push_back(clusters.centres);
    result.mean_cosine += clusters.mean_cosine * static_cast<double>(count);
  }
  result.mean_cosine /= static_cast<double>(result.samples);
  place(prototypes, placed);
  for (int64_t at = 0; at < result.samples; at += kUpdateBatch) {
    const auto size = std::min(kUpdateBatch, result.samples - at);
    show_to_head(model.head(), all.values.narrow(0, at, size).to(device),
                 all.labels.narrow(0, at, size).to(device));
  }
  place(prototypes, placed);  // what it has made of them is not wanted, only what it has counted
  return result;
}

}  // namespace

FitResult fit_prototypes(Model& model, const Split& data, const ExperimentOptions& options,
                         torch::Device device, const FitOptions& fit,
                         const Progressed& progressed) {
  TORCH_CHECK(model.prototypes(), "fit_prototypes: the head has no prototypes");
  const auto shape = model.prototypes()->prototypes().sizes().vec();  // [C, K, D]
  const auto seed = static_cast<uint64_t>(options.seed);
  const auto precision = options.train.precision;
  const bool one = shape[1] == 1;
  const bool pixels = data.dataset->task() == Task::kPixels;
  const auto room =
      static_cast<int64_t>(fit.memory * (int64_t{1} << 30) / static_cast<double>(shape[2] * 4));
  const auto size = data.dataset->size();
  auto part = data;
  if (!one && !pixels) part.dataset = draw_samples(data.dataset, room, seed);
  SingleProcess alone;
  const auto loader = evaluation_loader(part, options.data, seed, alone);
  FitResult result;
  if (one) {
    result = fit_means(model, *loader, device, precision, progressed);
  } else {
    const auto all = pixels ? sample_embeddings(model, *loader, device, precision,
                                                std::max<int64_t>(room / loader->batches(), 1),
                                                Random(seed, Purpose::kSample, 0, 0), progressed)
                            : collect_embeddings(model, *loader, device, precision, progressed);
    result = fit_clusters(model, all, device, fit, seed);
  }
  result.left_out = size - part.dataset->size();
  result.bad_samples = loader->bad_samples();
  return result;
}

}  // namespace dnc
