#include "ops/confusion.h"

#include "ops/blocks.h"

namespace dnc {
namespace {

/// Pairs that one table counts. The tables are added up, so that threads need not wait.
constexpr int64_t kPairs = 1 << 18;

torch::Tensor by_operators(const torch::Tensor& predictions, const torch::Tensor& labels,
                           int64_t classes) {
  const auto known = [&](const torch::Tensor& x) { return x.ge(0).logical_and_(x.lt(classes)); };
  const auto pairs =
      (labels * classes + predictions)
          .masked_fill_(known(labels).logical_and_(known(predictions)).logical_not_(),
                        classes * classes)
          .flatten();
  auto counts = at::zeros({classes * classes + 1}, labels.options());
  counts.index_add_(0, pairs, at::ones_like(pairs));  // whole numbers: the order does not matter
  return counts.narrow(0, 0, classes * classes).view({classes, classes}).clone();
}

void count(const int64_t* predictions, const int64_t* labels, int64_t size, int64_t classes,
           int64_t* counts) {
  const auto known = [&](int64_t x) {
    return static_cast<uint64_t>(x) < static_cast<uint64_t>(classes);
  };
  for (int64_t i = 0; i < size; ++i) {
    if (known(labels[i]) && known(predictions[i])) ++counts[labels[i] * classes + predictions[i]];
  }
}

}  // namespace

void check_count_confusion(const torch::Tensor& predictions, const torch::Tensor& labels,
                           int64_t classes) {
  TORCH_CHECK(predictions.sym_sizes() == labels.sym_sizes(), "dnc: predictions ",
              predictions.sym_sizes(), " and labels ", labels.sym_sizes(), " must have one shape");
  TORCH_CHECK(predictions.device() == labels.device(), "dnc: predictions are on ",
              predictions.device(), ", labels on ", labels.device());
  TORCH_CHECK(predictions.scalar_type() == torch::kLong && labels.scalar_type() == torch::kLong,
              "dnc: predictions and labels must be int64, not ", predictions.scalar_type(), " and ",
              labels.scalar_type());
  TORCH_CHECK(classes >= 1 && classes <= 1 << 15, "dnc: expected 1 to 32768 classes, got ",
              classes);
}

torch::Tensor count_confusion(const torch::Tensor& predictions, const torch::Tensor& labels,
                              int64_t classes) {
  check_count_confusion(predictions, labels, classes);
  if (!labels.is_cpu()) return by_operators(predictions, labels, classes);
  const auto found = predictions.contiguous(), wanted = labels.contiguous();
  const int64_t size = wanted.numel(), tables = std::max<int64_t>(1, parts(size, kPairs));
  // As many tables as a few threads need, not more: each takes classes^2 numbers.
  const int64_t most =
      std::min<int64_t>(tables, std::max<int64_t>(1, kPairs / (classes * classes)));
  auto counts = at::zeros({most, classes, classes}, wanted.options());
  const int64_t step = std::max<int64_t>(1, parts(size, most));
  parallel(most, step, [&](int64_t i) {
    const auto [begin, some] = part(i, step, size);
    if (some <= 0) return;
    count(found.const_data_ptr<int64_t>() + begin, wanted.const_data_ptr<int64_t>() + begin, some,
          classes, counts.mutable_data_ptr<int64_t>() + i * classes * classes);
  });
  return counts.sum(0);
}

}  // namespace dnc
