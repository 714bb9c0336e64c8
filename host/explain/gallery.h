#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/explain/confusions.h"
#include "host/explain/members.h"
#include "host/report/gallery.h"
#include "host/run.h"

namespace dnc {

struct GalleryOptions {
  int64_t shown = 6;           // typical and atypical members of each prototype
  int64_t samples = 0;         // look at so many of the training data, drawn by the seed; 0: at all
  std::string split = "test";  // that confusions are counted on
  std::function<void(const std::string& pass, int64_t done, int64_t all)> progress;  // batches
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

/// What each prototype of a model stands for: its members among the training data, how many and
/// how far from it they are, and what test data it wins. For models of images and of pixels.
class GalleryBuilder {
 public:
  /// One pass over the training data and one over the test data, both with the transforms of a
  /// test. Without test data there are no confusions, and a note says so. The model's head has
  /// prototypes; the run stays the caller's. Throws ConfigError and DataError where the training
  /// data is not there.
  GalleryBuilder(OpenedRun& run, GalleryOptions options);

  int64_t classes() const { return prototypes_.size(0); }
  /// What the pages have in common; title and provenance are left to the caller.
  report::Gallery about() const;
  /// All of one class, with pictures.
  report::GalleryClass class_at(int64_t label) const;

 private:
  void search_training_data();
  void count_confusions();
  report::GallerySample shown(const Member& member) const;
  std::vector<report::GallerySample> shown(const std::vector<Member>& members) const;
  report::GalleryPrototype prototype_at(int64_t label, int64_t index) const;
  void add_confusions(report::GalleryClass& shown) const;
  void add_map(report::GalleryClass& shown) const;
  void add_map(report::Gallery& gallery) const;

  OpenedRun& run_;
  GalleryOptions options_;
  torch::Tensor prototypes_;  // [C, K, D], float32 on the device
  std::vector<std::shared_ptr<const Transform>> transforms_;
  std::shared_ptr<const Dataset> training_data_;  // what was looked at
  NearestSamples nearest_;                        // what stands for each prototype
  std::optional<MemberSearch> members_;
  std::optional<ConfusionSearch> confusions_;  // none without test data
  int64_t searched_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace dnc
