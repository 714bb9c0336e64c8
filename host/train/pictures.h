#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/experiment.h"
#include "host/model.h"
#include "host/report/batch_picture.h"
#include "registry/hook.h"

namespace dnc {

/// What a hook also derives from that wants to see what the network sees.
class PictureWatcher {
 public:
  virtual ~PictureWatcher() = default;
  /// Images in a picture, those drawn beside them counted; 0 for no pictures at all.
  virtual int64_t images() const = 0;
  /// `name` is train/batch (the first batch after each start, as the network gets it) or, for
  /// models of pixels, val/predictions (of each evaluation). Empty pictures do not come.
  virtual void after_picture(const RunState& state, const std::string& name,
                             const Image& picture) = 0;
};

/// Draws what those hooks of a run want that are PictureWatchers, and nothing else. Draws no random
/// numbers and changes nothing: the run stays the same.
class Pictures {
 public:
  Pictures(const std::vector<std::shared_ptr<Hook>>& hooks, Experiment& experiment);

  bool wanted() const { return images_ > 0; }
  void show_batch(const RunState& state, const Batch& batch);
  /// For evaluate(), with what the model makes of each batch.
  void add_predictions(const Batch& batch, const Model::Output& output);
  void show_predictions(const RunState& state);

 private:
  void show(const RunState& state, const std::string& name, const Image& picture) const;

  std::vector<PictureWatcher*> watchers_;
  std::vector<std::shared_ptr<Hook>> hooks_;  // that own them
  int64_t images_ = 0;
  report::BatchLook look_;
  std::optional<report::PredictionPicture> predictions_;
};

}  // namespace dnc
