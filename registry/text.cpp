#include "registry/text.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace dnc {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::string join(const std::vector<std::string>& names, const std::string& separator) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : separator) + name;
  return text;
}

std::optional<std::string> nearest(const std::string& given, const std::vector<std::string>& known) {
  const auto wanted = lower(given);
  const std::string* best = nullptr;
  size_t distance = std::max<size_t>(2, given.size() / 3) + 1;
  for (const auto& name : known) {
    const auto d = edit_distance(wanted, lower(name));
    if (d < distance && d < std::max(wanted.size(), name.size())) {
      best = &name;
      distance = d;
    }
  }
  if (best) return *best;
  // 'resnet' for 'ResNetCifar': a part of the name.
  for (const auto& name : known) {
    if (wanted.size() >= 3 && lower(name).find(wanted) != std::string::npos) return name;
  }
  return std::nullopt;
}

std::string suggestion(const std::string& given, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const auto near = nearest(given, known);
  return (near ? "; did you mean '" + *near + "'?" : std::string()) + " (known: " + join(known) + ")";
}

}  // namespace dnc
