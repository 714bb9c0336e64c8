#include "host/train/mistakes.h"

#include <torch/torch.h>

#include <array>

#include "registry/dataset.h"

namespace dnc {
namespace {

constexpr int64_t kPictureSide = 256;  // pixels

// What of a mistake travels between ranks: index, label, prediction, score, score of the label.
constexpr int64_t kNumbers = 5;

}  // namespace

void add_mistakes(report::WorstMistakes& mistakes, const Batch& batch,
                  const Model::Output& output) {
  const auto shares = output.scores.to(torch::kFloat64).softmax(1);
  const auto own = shares.gather(1, batch.labels.clamp_min(0).unsqueeze(1)).squeeze(1);
  const auto [best_shares, best_labels] = shares.max(1);
  const auto scores = best_shares.cpu(), label_scores = own.cpu();
  const auto predictions = best_labels.cpu(), labels = batch.labels.cpu();
  for (int64_t i = 0; i < batch.size(); ++i) {
    const auto label = labels.const_data_ptr<int64_t>()[i];
    const auto prediction = predictions.const_data_ptr<int64_t>()[i];
    if (label == kIgnoredLabel || prediction == label) continue;
    mistakes.add({batch.indices[static_cast<size_t>(i)], label, prediction,
                  scores.const_data_ptr<double>()[i], label_scores.const_data_ptr<double>()[i]});
  }
}

report::WorstMistakes gather_mistakes(const report::WorstMistakes& mistakes,
                                      Communicator& communicator, torch::Device device) {
  const auto own = mistakes.sorted();
  // One row for each that could be kept, and one for the count: ranks have tensors of one shape.
  auto rows = torch::full({mistakes.most() + 1, kNumbers}, -1, torch::kFloat64);
  auto row = rows.accessor<double, 2>();
  row[0][0] = static_cast<double>(mistakes.count());
  for (size_t i = 0; i < own.size(); ++i) {
    const auto at = static_cast<int64_t>(i) + 1;
    const std::array numbers{static_cast<double>(own[i].index), static_cast<double>(own[i].label),
                             static_cast<double>(own[i].prediction), own[i].score,
                             own[i].label_score};
    for (int64_t k = 0; k < kNumbers; ++k) row[at][k] = numbers[static_cast<size_t>(k)];
  }
  const auto all =
      communicator.gather(rows.to(device)).cpu().view({-1, mistakes.most() + 1, kNumbers});
  const auto numbers = all.accessor<double, 3>();
  report::WorstMistakes gathered(mistakes.most());
  int64_t count = 0;
  for (int64_t rank = 0; rank < all.size(0); ++rank) {
    count += static_cast<int64_t>(numbers[rank][0][0]);
    for (int64_t i = 1; i <= mistakes.most() && numbers[rank][i][0] >= 0; ++i) {
      const auto number = numbers[rank][i];
      gathered.add({static_cast<int64_t>(number[0]), static_cast<int64_t>(number[1]),
                    static_cast<int64_t>(number[2]), number[3], number[4]});
    }
  }
  gathered.set_count(count);
  return gathered;
}

report::ShownMistakes show_mistakes(const report::WorstMistakes& mistakes, const Dataset& dataset,
                                    const ClassInfo& classes) {
  report::ShownMistakes shown{.in_all = mistakes.count(), .worst = {}};
  const auto name = [&](int64_t label) { return classes.names[static_cast<size_t>(label)]; };
  for (const auto& mistake : mistakes.sorted()) {
    shown.worst.push_back({dataset.name(mistake.index), name(mistake.label),
                           name(mistake.prediction), mistake.score, mistake.label_score,
                           report::make_picture(dataset.load(mistake.index).image, kPictureSide)});
  }
  return shown;
}

}  // namespace dnc
