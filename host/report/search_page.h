#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/picture.h"

namespace dnc::report {

/// A training image that is near to one that was looked for.
struct FoundImage {
  std::string class_name;  // empty for none
  std::string name;
  int64_t sample = 0;     // in the training data
  double similarity = 0;  // cosine of the embeddings
  Picture picture;        // empty where the training data is not there
};

/// The nearest training images of each of some images.
struct SearchPage {
  struct Query {
    std::string file;
    Picture picture;
    std::vector<FoundImage> found;  // the nearest first
  };

  std::string title;
  std::vector<Query> queries;
  int64_t searched = 0;              // training images
  std::vector<std::string> classes;  // that were searched; empty for all
  std::vector<std::string> notes;
  std::string command;  // as it could be typed again
  std::string checkpoint;
  std::string version;
  std::string date;  // ISO 8601, UTC
};

/// One self-contained HTML page.
std::string to_html(const SearchPage& page);

}  // namespace dnc::report
