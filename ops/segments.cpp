#include "ops/segments.h"

#include "ops/groups.h"

namespace dnc {
namespace {

void check(const torch::Tensor& values, const torch::Tensor& segments) {
  TORCH_CHECK(values.dim() == 2 && segments.dim() == 1 && segments.size(0) == values.size(0),
              "dnc: expected values [R, D] and segments [R], got ", values.sizes(), " and ",
              segments.sizes());
  TORCH_CHECK(segments.scalar_type() == torch::kLong, "dnc: segments must be int64, not ",
              segments.scalar_type());
}

/// A wrong number would be a write beyond the table. A device is not asked: it would have to wait.
void check_range(const torch::Tensor& segments, int64_t size) {
  if (!segments.is_cpu() || segments.numel() == 0) return;
  const auto largest = segments.max().item<int64_t>();
  TORCH_CHECK_INDEX(largest < size, "dnc: segment ", largest, " of ", size);
}

}  // namespace

std::pair<torch::Tensor, torch::Tensor> segment_mean(const torch::Tensor& values,
                                                     const torch::Tensor& segments, int64_t size) {
  check(values, segments);
  check_range(segments, size);
  // Rows that count nowhere are a segment behind all others, which is cut off.
  const Groups groups(segments.masked_fill(segments.lt(0), size), size + 1);
  const auto counts = groups.sum(at::ones_like(segments, values.options()));
  auto means = at::zeros({size + 1, values.size(1)}, values.options());
  auto all_counts = at::zeros({size + 1}, values.options());
  groups.write(means, groups.sum(values.contiguous()).div_(counts.clamp_min(1).unsqueeze(1)));
  groups.write(all_counts, counts);
  return {means.narrow(0, 0, size).clone(), all_counts.narrow(0, 0, size).clone()};
}

torch::Tensor segment_mean_backward(const torch::Tensor& gradient, const torch::Tensor& segments,
                                    const torch::Tensor& counts) {
  const auto own = segments.clamp_min(0);
  const auto share = counts.clamp_min(1).reciprocal().masked_fill(counts.eq(0), 0);
  return (gradient * share.unsqueeze(1))
      .index_select(0, own)
      .masked_fill(segments.lt(0).unsqueeze(1), 0);
}

void momentum_update(torch::Tensor& table, const torch::Tensor& points, const torch::Tensor& rows,
                     const torch::Tensor& counts, double momentum) {
  const Groups given(rows, table.size(0));
  const auto samples = given.sum(counts.to(table.scalar_type())).unsqueeze(1);
  const auto old = given.read(table);
  auto moved = given.sum(points).div_(samples.clamp_min(1));
  moved.mul_(1 - momentum).add_(old, momentum);
  const auto length = at::linalg_vector_norm(moved, 2, 1, /*keepdim=*/true);
  const auto moves = samples.gt(0).logical_and(length.gt(0));  // opposites can cancel out
  given.write(table, at::where(moves, moved.div_(length), old));
}

}  // namespace dnc
