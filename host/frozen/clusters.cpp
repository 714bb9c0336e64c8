#include "host/frozen/clusters.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

namespace dnc {
namespace {

/// 1 - cosine with one of the points, float64 [N]. Of points of length 1 that is half their squared
/// distance.
torch::Tensor distances_to(const torch::Tensor& points, int64_t index) {
  auto distances = (1 - points.mv(points[index]).to(torch::kFloat64)).clamp_min(0);
  distances[index] = 0;
  return distances;
}

/// K of the points: the first by chance, each further one the best of some that are drawn with
/// chances in proportion to their distance from those before.
torch::Tensor draw_centres(const torch::Tensor& points, int64_t K, Random& random) {
  const auto N = points.size(0);
  const auto trials = 2 + static_cast<int64_t>(std::log(static_cast<double>(K)));
  std::vector<int64_t> chosen{random.integer(0, N)};
  auto distances = distances_to(points, chosen.front());
  while (static_cast<int64_t>(chosen.size()) < K) {
    const auto sums = distances.cumsum(0).cpu();
    const double total = sums[-1].item<double>();
    int64_t best = random.integer(0, N);  // where all points lie on centres
    torch::Tensor best_distances;
    double least = std::numeric_limits<double>::infinity();
    for (int64_t trial = 0; trial < trials && total > 0; ++trial) {
      const auto place = torch::searchsorted(sums, random.uniform() * total, false, /*right=*/true);
      const auto drawn = std::min(place.item<int64_t>(), N - 1);
      const auto left = torch::minimum(distances, distances_to(points, drawn));
      const double sum = left.sum().item<double>();
      if (sum < least) std::tie(best, best_distances, least) = std::tuple(drawn, left, sum);
    }
    if (best_distances.defined()) distances = best_distances;
    chosen.push_back(best);
  }
  return points.index_select(0, torch::tensor(chosen, torch::kLong).to(points.device()));
}

/// The direction of the sum of each centre's points; `cosines` are those with the nearest centre.
torch::Tensor moved_centres(const torch::Tensor& points, const torch::Tensor& nearest,
                            const torch::Tensor& cosines, const torch::Tensor& centres) {
  auto sums = torch::zeros(centres.sizes(), centres.options().dtype(torch::kFloat64));
  sums.index_add_(0, nearest, points.to(torch::kFloat64));
  const auto counts = torch::bincount(nearest, {}, centres.size(0)).cpu();
  auto alike = cosines.clone();
  for (int64_t k = 0; k < centres.size(0); ++k) {
    if (counts[k].item<int64_t>() > 0) continue;
    const auto least = alike.argmin();
    sums[k] = points[least.item<int64_t>()];
    alike.index_fill_(0, least, 2);  // no cosine is as large: the next one takes another point
  }
  const auto lengths = at::linalg_vector_norm(sums, 2, 1, /*keepdim=*/true);
  // Opposite points can cancel out.
  return torch::where(lengths > 0, sums / lengths.clamp_min(1e-12), centres).to(torch::kFloat32);
}

}  // namespace

Clusters cluster_directions(const torch::Tensor& points, int64_t K, int64_t iterations,
                            Random random) {
  TORCH_CHECK(points.dim() == 2 && points.size(0) > 0 && K > 0 && iterations > 0,
              "cluster_directions: ", points.sizes(), " to ", K, " in ", iterations);
  const torch::NoGradGuard no_grad;
  auto centres = draw_centres(points, K, random);
  torch::Tensor nearest;
  for (int64_t i = 0; i < iterations; ++i) {
    const auto [cosines, now] = points.matmul(centres.t()).max(1);
    if (nearest.defined() && torch::equal(now, nearest)) break;
    nearest = now;
    centres = moved_centres(points, nearest, cosines, centres);
  }
  const auto best = std::get<0>(points.matmul(centres.t()).max(1));
  return {centres, best.mean(torch::kFloat64).item<double>()};
}

}  // namespace dnc
