#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/explain/decision.h"
#include "host/report/explanation_picture.h"
#include "host/report/picture.h"

namespace dnc::report {

/// The training sample that a sub-centroid stands for.
struct ShownSample {
  int64_t sample = -1;    // in the training data; -1 where none is known
  std::string name;       // of it
  double similarity = 0;  // cosine to the sub-centroid
  // Of pixels: where, as shares of the image's width and height.
  std::optional<std::array<double, 2>> place;
  Picture picture;  // of an image, or the crop around the pixel; may be empty

  /// "train/cat_7.png", of a pixel "train/cat_7.png at 53 % across, 20 % down"; empty where none
  /// is known.
  std::string text() const;
};

struct ShownEvidence {
  Evidence evidence;
  ShownSample stands_for;
};

/// An input, an image or some of its pixels, and why it got its class.
struct ShownDecision {
  std::string input;         // "pixel 120, 45"; empty for an image
  std::vector<int64_t> box;  // of pixels: x, y, width, height
  Decision decision;
  // Of a head with sub-centroids; one for each of Decision's, in its order.
  std::vector<ShownEvidence> nearest;
  std::optional<ShownEvidence> support;
  std::optional<ShownEvidence> rival;
  std::optional<ShownEvidence> counter;
  std::string rule;     // in words
  std::string verdict;  // whether it applies, with the numbers
  Picture picture;      // of the pixels; empty for an image, which has its own
  Picture map_picture;
  HeatMap map;           // empty for none
  std::string map_file;  // its PNG file
};

/// How many pixels chose a sub-centroid; of a head without, how many a class has.
struct ShownChoice {
  ShownEvidence evidence;
  int64_t pixels = 0;
  std::array<uint8_t, 3> colour{};
};

struct ShownImage {
  std::string file;
  int64_t width = 0;
  int64_t height = 0;
  Picture picture;  // as the network sees it, or of pixels the image itself
  std::vector<ShownDecision> decisions;
  // Of pixels:
  Picture choice_picture;            // which sub-centroid each of them chose
  std::vector<ShownChoice> choices;  // the most chosen first
  std::vector<std::string> files;    // PNG files written
};

/// Why a model decided as it did, with what a reader must know to repeat it.
struct Explanation {
  std::string title;
  bool pixels = false;
  int64_t sub_centroids = 0;         // of a class; 0 for a head without
  std::vector<std::string> classes;  // names
  int64_t searched = 0;              // training samples; 0 where the data is not there
  std::string map;                   // "occlusion", "gradient", "none"
  std::vector<std::string> notes;    // what could not be explained, and why
  std::vector<ShownImage> images;
  std::string command;  // as it could be typed again
  std::string checkpoint;
  std::string version;
  std::string date;  // ISO 8601, UTC

  const std::string& name_of(int64_t label) const { return classes.at(static_cast<size_t>(label)); }
};

/// One self-contained HTML page.
std::string to_html(const Explanation& explanation);

/// The same in numbers and words, without pictures: see docs/explain.md.
std::string to_json(const Explanation& explanation);

}  // namespace dnc::report
