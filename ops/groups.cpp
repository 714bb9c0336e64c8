#include "ops/groups.h"

#include "ops/blocks.h"
#include "ops/cpu/kernels.h"

namespace dnc {
namespace {

/// sums [G, ...] of values [N, ...] by number: each thread has columns of its own, so that the
/// order in which it adds does not depend on how many there are.
void add_by_kernel(const torch::Tensor& values, const torch::Tensor& numbers, torch::Tensor& sums) {
  if constexpr (kernels::kAvailable) {
    const int64_t rows = values.size(0), stride = rows == 0 ? 0 : values.numel() / rows;
    parallel(parts(stride, kernels::kColumnBlock), rows * kernels::kColumnBlock, [&](int64_t i) {
      const auto [column, columns] = part(i, kernels::kColumnBlock, stride);
      kernels::add_rows(values.const_data_ptr<float>() + column, numbers.const_data_ptr<int64_t>(),
                        rows, columns, stride, sums.mutable_data_ptr<float>() + column);
    });
  }
}

}  // namespace

Groups::Groups(const torch::Tensor& keys, int64_t size)
    : count_(std::min(keys.size(0), size)), keys_(keys.contiguous()) {
  if (size <= keys.size(0)) return;
  // Of the samples with one key the last writer wins, and all of them read its number. What no
  // sample has written is never read, so the table is not filled first: that would cost its size.
  auto table = at::empty({size}, keys.options());
  table.index_copy_(0, keys, at::arange(keys.size(0), keys.options()));
  numbers_ = table.index_select(0, keys);
}

torch::Tensor Groups::keys() const {
  return by_key() ? at::arange(count_, keys_.options()) : keys_;
}

torch::Tensor Groups::in_use() const {
  if (by_key()) return at::ones({count_}, keys_.options().dtype(torch::kBool));
  return numbers_.eq(at::arange(count_, keys_.options()));
}

torch::Tensor Groups::sum(const torch::Tensor& values) const {
  auto sizes = values.sizes().vec();
  sizes[0] = count_;
  auto sums = at::zeros(sizes, values.options());
  const auto& numbers = by_key() ? keys_ : numbers_;
  if (has_kernels(values) && values.is_contiguous()) {
    add_by_kernel(values, numbers, sums);
    return sums;
  }
  // On a GPU index_add_ adds in the order in which threads arrive. This one sorts first: a resumed
  // run must repeat the same bits, and all ranks must agree.
  if (values.is_cuda()) return sums.index_put_({numbers}, values, /*accumulate=*/true);
  return sums.index_add_(0, numbers, values);
}

torch::Tensor Groups::max(const torch::Tensor& values) const {
  auto sizes = values.sizes().vec();
  sizes[0] = count_;
  auto largest = at::empty(sizes, values.options());
  if (values.is_floating_point()) {
    largest.fill_(-std::numeric_limits<double>::infinity());
  } else {
    largest.fill_(std::numeric_limits<int64_t>::min());
  }
  auto numbers = by_key() ? keys_ : numbers_;
  if (has_kernels(values) && values.is_contiguous() && values.numel() > 0) {
    if constexpr (kernels::kAvailable) {
      kernels::max_rows(values.const_data_ptr<float>(), numbers.const_data_ptr<int64_t>(),
                        values.size(0), values.numel() / values.size(0),
                        largest.mutable_data_ptr<float>());
    }
    return largest;
  }
  for (int64_t i = 1; i < values.dim(); ++i) numbers = numbers.unsqueeze(-1);
  return largest.scatter_reduce_(0, numbers.expand_as(values), values, "amax");
}

torch::Tensor Groups::to_samples(const torch::Tensor& values) const {
  return values.index_select(0, by_key() ? keys_ : numbers_);
}

torch::Tensor Groups::read(const torch::Tensor& table) const {
  return by_key() ? table : table.index_select(0, keys_);
}

void Groups::write(torch::Tensor& table, const torch::Tensor& values) const {
  if (by_key()) {
    table.copy_(values);
  } else {
    table.index_copy_(0, keys_, to_samples(values));  // samples of one key write the same values
  }
}

torch::Tensor rank_in_group(const torch::Tensor& keys, const torch::Tensor& counts) {
  const auto [sorted, order] = keys.sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  const auto counted = counts.index_select(0, order).to(torch::kLong);
  const auto before = counted.cumsum(0) - counted;
  const auto start = at::searchsorted(sorted, sorted);  // where the group begins
  auto rank = at::empty_like(keys);
  return rank.index_copy_(0, order, before - before.index_select(0, start));
}

void write_rows(torch::Tensor& table, const torch::Tensor& rows, const torch::Tensor& values,
                const torch::Tensor& keep) {
  // Who is not kept repeats the first who is. If nobody is, all write back what is there.
  const auto first = keep.to(torch::kInt).argmax(0, /*keepdim=*/true);
  const auto source = at::where(keep, at::arange(keep.size(0), rows.options()), first);
  const auto target = rows.index_select(0, source);
  table.index_copy_(
      0, target,
      at::where(keep.any(), values.index_select(0, source), table.index_select(0, target)));
}

}  // namespace dnc
