#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "host/explain/nearest_samples.h"
#include "host/explain/prototype_samples.h"
#include "host/report/run_record.h"

namespace dnc {

/// The training images that the prototypes of a head have become.
struct Anchors {
  /// One for each prototype (M = 1), with its similarity to the prototype that was there before;
  /// none (-1) for a prototype that stays, because its class has fewer images than prototypes.
  PrototypeSamples samples;
  std::vector<BadSample> bad_samples;

  int64_t count() const;  // of those that have one
  double mean_similarity() const;
  double least_similarity() const;
};

/// Of the M nearest samples of each prototype, [C, K, M], one for each, [C, K, 1], so that no
/// sample serves two prototypes of a class. As many prototypes as can be have one, and of all ways
/// to do so the sum of the similarities in a class is the highest. With M >= K that is the highest
/// among all samples of the class, not only among these: whichever others are taken, one of a
/// prototype's K nearest is free.
NearestSamples choose_distinct(const NearestSamples& nearest);

/// Replaces each prototype of the model's head by the point of a training image (of pixels: of a
/// location) of its class, the embedding that the network in evaluation mode has for it.
///
/// One pass over the data, which comes with the transforms of a test, and exact: see
/// choose_distinct(). No image serves two prototypes of a class, so with a model of images none
/// serves two at all. Samples of the same name are one image (data sets that repeat samples).
/// Damaged samples are left out. Every rank looks at its part and ends with the same prototypes.
/// Holds C x K x K points. The head has prototypes. Throws DataError where no sample is good.
Anchors anchor_prototypes(Model& model, const Split& data, const ExperimentOptions& options,
                          torch::Device device, Communicator& communicator,
                          const std::function<void(int64_t done, int64_t all)>& progress);

/// anchors.json: for each prototype its class, number, image, similarity and, of pixels, place; and
/// `figures` of the model ("before", "after") where there are any.
std::string to_json(const Anchors& anchors, const ClassInfo& classes, Task task,
                    const std::vector<std::pair<std::string, report::Figures>>& figures = {});
/// The same without figures as a table, anchors.csv.
std::string to_csv(const Anchors& anchors, const ClassInfo& classes);

}  // namespace dnc
