#include "host/explain/decision.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace dnc {
namespace {

// The slope of scores [C] on the similarities of the nearest prototypes [C], in float64.
double slope(const torch::Tensor& scores, const torch::Tensor& similarities) {
  const auto x = similarities - similarities.mean();
  const double square = x.square().sum().item<double>();
  const double a = (x * (scores - scores.mean())).sum().item<double>() / square;
  return std::isfinite(a) && a > 0 ? a : 1;  // one class, or scores that do not follow
}

// The prototypes of all classes, the nearest first.
std::vector<Evidence> ranking(const torch::Tensor& similarities, const torch::Tensor& shares) {
  const auto K = similarities.size(1);
  const auto order = similarities.flatten().argsort(/*stable=*/true, /*dim=*/0,
                                                    /*descending=*/true);
  std::vector<Evidence> all;
  for (int64_t i = 0; i < order.size(0); ++i) {
    const auto at = order.const_data_ptr<int64_t>()[i];
    all.push_back({at / K, at % K, similarities.const_data_ptr<double>()[at],
                   shares.const_data_ptr<double>()[at]});
  }
  return all;
}

template <typename Wanted>
std::optional<Evidence> first_of(const std::vector<Evidence>& all, const Wanted& wanted) {
  const auto found = std::ranges::find_if(all, wanted);
  return found == all.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

Decision decide(const torch::Tensor& scores, const torch::Tensor& point,
                const torch::Tensor& prototypes, int64_t most) {
  const auto logits = scores.to(torch::kCPU, torch::kFloat64);
  const auto [shares, labels] = logits.softmax(0).topk(std::min(most, logits.size(0)));
  Decision decision;
  for (int64_t i = 0; i < shares.size(0); ++i) {
    decision.classes.emplace_back(labels[i].item<int64_t>(), shares[i].item<double>());
  }
  if (!prototypes.defined()) return decision;

  const auto similarities = prototypes.to(torch::kCPU, torch::kFloat64)
                                .matmul(point.to(torch::kCPU, torch::kFloat64))
                                .contiguous();  // [C, K]
  const double scale = slope(logits, similarities.amax(1));
  auto all =
      ranking(similarities, (similarities.flatten() * scale).softmax(0).view_as(similarities));
  const auto label = decision.label();
  decision.support = first_of(all, [&](const Evidence& one) { return one.label == label; });
  decision.rival = first_of(all, [&](const Evidence& one) { return one.label != label; });
  if (logits.size(0) > 1) {
    const auto runner_up = std::get<1>(logits.topk(2))[1].item<int64_t>();
    decision.counter = first_of(all, [&](const Evidence& one) { return one.label == runner_up; });
  }
  all.resize(std::min(all.size(), static_cast<size_t>(most)));
  decision.nearest = std::move(all);
  return decision;
}

std::string rule_text(const RuleWords& words) {
  const auto support = words.support.empty()
                           ? words.prototype
                           : fmt::format("{} ({})", words.support, words.prototype);
  return fmt::format(
      "IF {} is more similar to {} than to every sub-centroid image of every other class THEN {}.",
      words.input, support, words.label);
}

}  // namespace dnc
