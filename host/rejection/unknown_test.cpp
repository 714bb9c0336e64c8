#include "host/rejection/unknown_test.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <cmath>

#include "host/frozen/embeddings.h"
#include "host/rejection/separation.h"
#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

constexpr double kKnownShare = 0.95;

}  // namespace

UnknownTest::UnknownTest(Model& model)
    : model_(model),
      scores_(confidence_scores(model)),
      known_(scores_.size()),
      unknown_(scores_.size()) {}

void UnknownTest::add_known(const Dataset& dataset, const Batch& batch,
                            const Model::Output& output) {
  add(known_, dataset, batch, output, true);
}

void UnknownTest::add_unknown(const Dataset& dataset, const Batch& batch,
                              const Model::Output& output) {
  add(unknown_, dataset, batch, output, false);
}

void UnknownTest::add(Values& values, const Dataset& dataset, const Batch& batch,
                      const Model::Output& output, bool labelled) {
  const auto found = confidences(model_, output).contiguous();  // [S, N]
  const auto labels = batch.labels.cpu();
  const auto* value = found.const_data_ptr<double>();
  for (size_t s = 0; s < scores_.size(); ++s) {
    for (int64_t i = 0; i < batch.size(); ++i, ++value) {
      if (labelled && labels.const_data_ptr<int64_t>()[i] == kIgnoredLabel) continue;
      if (!std::isfinite(*value)) {
        throw DataError(
            fmt::format("{}: its {} is not finite; check the weights, model.preprocess and, with "
                        "train.precision float16, the precision",
                        dataset.name(batch.indices[static_cast<size_t>(i)]), scores_[s].name));
      }
      values[s].push_back(*value);
    }
  }
}

std::vector<Separation> UnknownTest::result(const std::vector<double>& false_accept_rates,
                                            uint64_t seed) const {
  if (known_.front().empty()) throw DataError("the known images have no labels");
  if (unknown_.front().empty()) throw DataError("there are no unknown images");
  if (!false_accept_rates.empty() && unknown_.front().size() < 2) {
    throw DataError(
        "--far: needs two unknown images or more: a threshold is chosen on one half "
        "of them and measured on the other");
  }
  std::vector<Separation> results;
  for (size_t s = 0; s < scores_.size(); ++s) {
    auto& found = results.emplace_back();
    found.score = scores_[s];
    found.known = known_[s];
    found.unknown = unknown_[s];
    found.auroc = auroc(found.known, found.unknown);
    found.fpr_at_95 = false_accepts_at(found.known, found.unknown, kKnownShare);
    found.is_useful = !all_equal(found.known, found.unknown);
    if (!found.is_useful) continue;
    for (const double rate : false_accept_rates) {
      const auto [chosen_on, measured_on] = halves_of(found.unknown, seed);
      const double threshold = threshold_for(chosen_on, rate);
      found.thresholds.push_back({found.score.name, rate, threshold,
                                  accepted_share(measured_on, threshold),
                                  1 - accepted_share(found.known, threshold)});
    }
  }
  return results;
}

Halves halves_of(const std::vector<double>& values, uint64_t seed) {
  const auto size = static_cast<int64_t>(values.size());
  Halves halves;
  const auto drawn = draw_indices(size, (size + 1) / 2, seed);
  auto next = drawn.begin();
  for (int64_t i = 0; i < size; ++i) {
    const bool first = next != drawn.end() && *next == i;
    if (first) ++next;
    (first ? halves.first : halves.second).push_back(values[static_cast<size_t>(i)]);
  }
  return halves;
}

}  // namespace dnc
