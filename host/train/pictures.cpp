#include "host/train/pictures.h"

#include <algorithm>

namespace dnc {
namespace {

constexpr int64_t kImagesInRow = 3;  // an image, its labels, and the predictions

}  // namespace

Pictures::Pictures(const std::vector<std::shared_ptr<Hook>>& hooks, Experiment& experiment)
    : hooks_(hooks) {
  for (const auto& hook : hooks_) {
    auto* watcher = dynamic_cast<PictureWatcher*>(hook.get());
    if (!watcher || watcher->images() == 0) continue;
    watchers_.push_back(watcher);
    images_ = std::max(images_, watcher->images());
  }
  if (!wanted()) return;
  look_ = {experiment.options().model.preprocess, report::palette_of(experiment.classes())};
  if (experiment.task() != Task::kPixels) return;
  predictions_.emplace((images_ + kImagesInRow - 1) / kImagesInRow, look_);
}

void Pictures::show_batch(const RunState& state, const Batch& batch) {
  if (wanted()) show(state, "train/batch", report::batch_picture(batch, images_, look_));
}

void Pictures::add_predictions(const Batch& batch, const Model::Output& output) {
  if (predictions_) predictions_->add(batch, output.scores);
}

void Pictures::show_predictions(const RunState& state) {
  if (predictions_) show(state, "val/predictions", predictions_->finish());
}

void Pictures::show(const RunState& state, const std::string& name, const Image& picture) const {
  if (picture.empty()) return;
  for (auto* watcher : watchers_) watcher->after_picture(state, name, picture);
}

}  // namespace dnc
