#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "host/report/picture.h"
#include "host/report/scatter.h"

namespace dnc::report {

/// A training sample that is shown for a sub-centroid.
struct GallerySample {
  int64_t sample = -1;  // in the training data
  std::string name;
  double similarity = 0;  // cosine to the sub-centroid
  double x = 0.5;         // of pixels: where, as a share of the network's input
  double y = 0.5;
  Picture picture;
};

struct GalleryPrototype {
  int64_t index = 0;
  int64_t members = 0;                  // training samples of the class that are nearest to it
  double mass = 0;                      // their share of the class; NaN for a class without samples
  double spread = 0;                    // mean of 1 - cosine; NaN without members
  int64_t decided = 0;                  // test samples that it won
  int64_t right = 0;                    // of these are of its class
  GallerySample nearest;                // what stands for it; sample -1 for none
  std::vector<GallerySample> typical;   // the most central members
  std::vector<GallerySample> atypical;  // the most distant ones
};

/// Test samples of one class that were taken for another.
struct GalleryConfusion {
  int64_t label = 0;  // the other class
  int64_t count = 0;
  double share = 0;                             // of the test samples of the true class
  std::vector<std::pair<int64_t, int64_t>> by;  // sub-centroids that won them, with how many each
};

struct GalleryClass {
  int64_t label = 0;
  std::string name;
  int64_t samples = 0;  // of training
  int64_t tested = 0;
  int64_t right = 0;  // of these
  double spread = 0;  // over all sub-centroids; NaN without samples
  std::vector<GalleryPrototype> prototypes;
  std::vector<GalleryConfusion> taken_for;   // by falling count; `by` are the other's sub-centroids
  std::vector<GalleryConfusion> taken_from;  // others that were taken for it, `by` its own
  ScatterChart map;                          // of its members, by sub-centroid
  std::string map_shares;                    // what the axes of the map stand for
};

struct Gallery {
  std::string title;
  bool pixels = false;  // samples are locations of images
  std::vector<std::string> classes;
  int64_t searched = 0;    // training samples
  std::string test_split;  // empty where nothing was tested
  double accuracy = 0;     // of the test
  ScatterChart map;        // of all classes
  std::string map_shares;
  std::vector<std::string> notes;
  std::string command;
  std::string checkpoint;
  std::string version;
  std::string date;

  const std::string& name_of(int64_t label) const { return classes[static_cast<size_t>(label)]; }
};

/// "class_0007.html": the page of a class, beside index.html.
std::string gallery_file(int64_t label);

/// The page of a class, one HTML file in itself.
std::string class_page(const Gallery& gallery, const GalleryClass& shown);

/// The page that leads to them. `classes` are all, and need no pictures but those of `nearest`. Of
/// more than 100 classes each is shown by its heaviest sub-centroid only.
std::string index_page(const Gallery& gallery, const std::vector<GalleryClass>& classes);

/// Up to so many classes the index shows all sub-centroids.
inline constexpr size_t kMostFullClasses = 100;

/// The same in numbers, without pictures.
std::string to_json(const Gallery& gallery, const std::vector<GalleryClass>& classes);

}  // namespace dnc::report
