#include "ops/segments.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "ops/groups.h"

namespace dnc {
namespace {

/// A wrong number would be a write beyond the table. A device is not asked: it would have to wait.
void check_range(const torch::Tensor& segments, int64_t size) {
  if (!segments.is_cpu() || segments.numel() == 0) return;
  const auto largest = segments.max().item<int64_t>();
  TORCH_CHECK_INDEX(largest < size, "dnc: segment ", largest, " of ", size);
}

/// Groups of the points, and their rows moved.
void move_groups(torch::Tensor& table, const torch::Tensor& points, const torch::Tensor& rows,
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

}  // namespace

void check_segments(const torch::Tensor& values, const torch::Tensor& segments) {
  TORCH_CHECK(
      values.dim() == 2 && segments.dim() == 1 && segments.sym_size(0) == values.sym_size(0),
      "dnc: expected values [R, D] and segments [R], got ", values.sym_sizes(), " and ",
      segments.sym_sizes());
  TORCH_CHECK(values.is_floating_point() && segments.scalar_type() == torch::kLong,
              "dnc: values must be floats and segments int64, not ", values.scalar_type(), " and ",
              segments.scalar_type());
  TORCH_CHECK(segments.device() == values.device(), "dnc: values are on ", values.device(),
              ", segments on ", segments.device());
}

std::pair<torch::Tensor, torch::Tensor> segment_mean(const torch::Tensor& values,
                                                     const torch::Tensor& segments, int64_t size) {
  check_segments(values, segments);
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

void check_momentum_update(const torch::Tensor& table, const torch::Tensor& points,
                           const torch::Tensor& rows) {
  TORCH_CHECK(table.dim() == 2 && points.dim() == 2 && rows.dim() == 1 &&
                  points.sym_size(1) == table.sym_size(1) &&
                  rows.sym_size(0) == points.sym_size(0) && rows.scalar_type() == torch::kLong,
              "dnc: expected a table [M, D], points [R, D] and rows int64 [R], got ",
              table.sym_sizes(), ", ", points.sym_sizes(), " and ", rows.sym_sizes(), " of ",
              rows.scalar_type());
  TORCH_CHECK(table.is_floating_point() && table.scalar_type() == points.scalar_type(),
              "dnc: table and points must be floats of one type, not ", table.scalar_type(),
              " and ", points.scalar_type());
  TORCH_CHECK(points.device() == table.device() && rows.device() == table.device(),
              "dnc: the table is on ", table.device(), ", points on ", points.device(),
              " and rows on ", rows.device());
}

void momentum_update_by_operators(torch::Tensor& table, const torch::Tensor& points,
                                  const torch::Tensor& rows, double momentum) {
  check_momentum_update(table, points, rows);
  if (rows.numel() == 0) return;
  if (rows.is_cpu()) {
    TORCH_CHECK_INDEX(rows.max().item<int64_t>() < table.size(0), "dnc: a row is not below ",
                      table.size(0));
  }
  const auto out = rows.lt(0);
  move_groups(table, points.masked_fill(out.unsqueeze(1), 0), rows.clamp_min(0), out.logical_not(),
              momentum);
}

void momentum_update(torch::Tensor& table, const torch::Tensor& points, const torch::Tensor& rows,
                     const torch::Tensor& counts, double momentum) {
  if (table.is_cpu()) return move_groups(table, points, rows, counts, momentum);
  using Operator = decltype(momentum_update_by_operators);
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("dnc::momentum_update_", "").typed<Operator>();
  op.call(table, points, rows.masked_fill(counts.logical_not(), -1), momentum);
}

}  // namespace dnc
