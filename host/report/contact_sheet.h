#pragma once

#include <string>
#include <vector>

#include "registry/image.h"

namespace dnc::report {

/// Samples on their way to a network: a row for each, a column for each step.
struct ContactSheet {
  struct Row {
    std::string name;  // of the sample
    std::string caption;
    std::vector<Image> images;  // uint8, one for each column
  };
  std::string title;
  std::string text;  // what the sheet shows, in a sentence
  std::vector<std::string> columns;
  std::vector<Row> rows;
};

/// One self-contained HTML page. Photos are shown at up to 224 pixels; where all images are small,
/// all are enlarged by the same whole number, with sharp pixels.
std::string to_html(const ContactSheet& sheet);

/// The same pictures on gray ground, without text; RGB. Throws Error where it would be larger than
/// 100 million pixels.
Image to_image(const ContactSheet& sheet);

}  // namespace dnc::report
