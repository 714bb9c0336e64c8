#include "host/frozen/neighbours.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace dnc {
namespace {

constexpr int64_t kQueryBlock = 1024;
constexpr int64_t kPointBlock = 16384;

struct Candidate {
  float cosine = -std::numeric_limits<float>::infinity();
  int64_t index = 0;
};

/// Puts points first, first + 1, ... into the k candidates of one query, which are in falling
/// order. An equal one goes behind those that are there.
void keep_nearest(const float* cosines, int64_t count, int64_t first, Candidate* best, int64_t k) {
  for (int64_t i = 0; i < count; ++i) {
    const float cosine = cosines[i];
    if (!(cosine > best[k - 1].cosine)) continue;
    int64_t place = k - 1;
    for (; place > 0 && best[place - 1].cosine < cosine; --place) best[place] = best[place - 1];
    best[place] = {cosine, first + i};
  }
}

Neighbours to_tensors(const std::vector<Candidate>& best, int64_t queries, int64_t k) {
  Neighbours found{torch::empty({queries, k}, torch::kLong), torch::empty({queries, k})};
  auto* indices = found.indices.data_ptr<int64_t>();
  auto* cosines = found.cosines.data_ptr<float>();
  for (const auto& candidate : best) {
    *indices++ = candidate.index;
    *cosines++ = candidate.cosine;
  }
  return found;
}

}  // namespace

Neighbours nearest_neighbours(const torch::Tensor& queries, const torch::Tensor& points, int64_t k,
                              torch::Device device) {
  const int64_t Q = queries.size(0), N = points.size(0);
  TORCH_CHECK(queries.dim() == 2 && points.dim() == 2 && queries.size(1) == points.size(1) &&
                  k > 0 && k <= N,
              "nearest_neighbours: ", k, " of points ", points.sizes(), " for ", queries.sizes());
  const torch::NoGradGuard no_grad;
  std::vector<Candidate> best(static_cast<size_t>(Q * k));
  for (int64_t p = 0; p < N; p += kPointBlock) {
    const auto count = std::min(kPointBlock, N - p);
    const auto block = points.narrow(0, p, count).to(device, torch::kFloat32).t();
    for (int64_t q = 0; q < Q; q += kQueryBlock) {
      const auto rows = std::min(kQueryBlock, Q - q);
      const auto some = queries.narrow(0, q, rows).to(device, torch::kFloat32);
      const auto cosines = some.matmul(block).cpu();
      const auto* values = cosines.const_data_ptr<float>();
      at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          keep_nearest(values + row * count, count, p, best.data() + (q + row) * k, k);
        }
      });
    }
  }
  return to_tensors(best, Q, k);
}

KnnAccuracy knn_accuracy(const Neighbours& neighbours, const torch::Tensor& labels,
                         const torch::Tensor& point_labels, int64_t k, double temperature,
                         int64_t classes) {
  const int64_t Q = labels.size(0);
  TORCH_CHECK(Q > 0 && neighbours.indices.size(0) == Q && k <= neighbours.indices.size(1),
              "knn_accuracy: ", k, " of neighbours ", neighbours.indices.sizes(), " for ", Q);
  const auto numbers = torch::arange(classes);
  int64_t top1 = 0, top5 = 0;
  for (int64_t q = 0; q < Q; q += kQueryBlock) {
    const auto rows = std::min(kQueryBlock, Q - q);
    const auto nearest = neighbours.indices.narrow(0, q, rows).narrow(1, 0, k);
    const auto cosines = neighbours.cosines.narrow(0, q, rows).narrow(1, 0, k);
    const auto answers = point_labels.index_select(0, nearest.flatten()).view({rows, k});
    const auto weights = (cosines.to(torch::kFloat64) / temperature).exp();
    const auto votes =
        torch::zeros({rows, classes}, torch::kFloat64).scatter_add_(1, answers, weights);
    const auto label = labels.narrow(0, q, rows).unsqueeze(1);
    const auto own = votes.gather(1, label);
    const auto ahead = votes.gt(own).logical_or(votes.eq(own).logical_and(numbers.lt(label)));
    const auto place = ahead.sum(1).masked_fill(own.squeeze(1).le(0), classes);
    top1 += place.lt(1).sum().item<int64_t>();
    top5 += place.lt(std::min<int64_t>(5, classes)).sum().item<int64_t>();
  }
  const auto count = static_cast<double>(Q);
  return {static_cast<double>(top1) / count, static_cast<double>(top5) / count};
}

void normalise_rows(torch::Tensor& values) {
  values.div_(at::linalg_vector_norm(values, 2, 1, /*keepdim=*/true).clamp_min(1e-12));
}

}  // namespace dnc
