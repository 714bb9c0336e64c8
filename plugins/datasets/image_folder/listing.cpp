#include "plugins/datasets/image_folder/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "plugins/datasets/common/labels.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// In lower case, with the dot.
std::set<std::string> normalized(const std::vector<std::string>& extensions) {
  std::set<std::string> all;
  for (const auto& extension : extensions) {
    const auto text = lower(extension);
    all.insert(text.starts_with('.') ? text : fmt::format(".{}", text));
  }
  return all;
}

// Names of the folders in `root`, sorted; hidden ones are passed over.
std::vector<std::string> folders_in(const fs::path& root) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with('.') && entry.is_directory()) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

template <typename Iterator>
std::vector<std::string> images_in(const fs::path& folder,
                                   const std::set<std::string>& extensions) {
  std::vector<std::string> files;
  for (const auto& entry : Iterator(folder)) {
    if (!extensions.contains(lower(entry.path().extension().string()))) continue;
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void list_one_class(const fs::path& folder, int64_t label, const ImageFilter& filter,
                    const std::set<std::string>& extensions, Listing& listing) {
  if (!fs::is_directory(folder)) {
    throw DataError(fmt::format("{}: no such folder, but `classes` names it", folder.string()));
  }
  const auto files = filter.recursive
                         ? images_in<fs::recursive_directory_iterator>(folder, extensions)
                         : images_in<fs::directory_iterator>(folder, extensions);
  if (files.empty() && !filter.allow_empty) {
    throw DataError(
        fmt::format("{}: no images (looked for {}); remove the folder, set `extensions`, or set "
                    "`allow_empty: true`",
                    folder.string(), join({extensions.begin(), extensions.end()})));
  }
  listing.files.insert(listing.files.end(), files.begin(), files.end());
  listing.labels.resize(listing.files.size(), label);
}

// The classes of a list that come with it: its names, sorted, or all numbers up to the largest.
std::vector<std::string> classes_of(const fs::path& list, const std::vector<ListLine>& lines) {
  std::set<std::string> names;
  int64_t largest = -1;
  bool numbers = true;
  for (const auto& line : lines) {
    names.insert(line.label);
    const auto value = whole_number(line.label);
    numbers = numbers && value;
    if (!value) continue;
    if (*value < 0 || *value >= kMaxClasses) {
      throw DataError(fmt::format("{}:{}: label {} is not from 0 to {}", list.string(), line.number,
                                  *value, kMaxClasses - 1));
    }
    largest = std::max(largest, *value);
  }
  if (!numbers) return {names.begin(), names.end()};
  return numbered_classes(largest + 1);
}

}  // namespace

Listing list_class_folders(const fs::path& root, const std::vector<std::string>& classes,
                           const ImageFilter& filter) try {
  if (!fs::is_directory(root)) {
    throw DataError(fmt::format(
        "{}: no such folder; set `root` to a folder with one folder of images for each class",
        root.string()));
  }
  Listing listing;
  listing.classes = classes.empty() ? folders_in(root) : classes;
  if (listing.classes.empty()) {
    throw DataError(
        fmt::format("{}: has no folders; expected one folder of images for each class, "
                    "or set `list` to a file with lines PATH LABEL",
                    root.string()));
  }
  const auto extensions = normalized(filter.extensions);
  for (size_t i = 0; i < listing.classes.size(); ++i) {
    list_one_class(root / listing.classes[i], static_cast<int64_t>(i), filter, extensions, listing);
  }
  if (listing.files.empty()) {
    throw DataError(fmt::format("{}: no images in any of its {} class folders", root.string(),
                                listing.classes.size()));
  }
  return listing;
} catch (const fs::filesystem_error& error) {
  throw DataError(
      fmt::format("{}: cannot be read: {}", error.path1().string(), error.code().message()));
}

Listing read_list(const fs::path& list, const fs::path& root,
                  const std::vector<std::string>& classes, const ListColumns& columns) {
  const auto lines = read_list_lines(list, columns);
  Listing listing;
  listing.classes = classes.empty() ? classes_of(list, lines) : classes;
  const LabelParser labels(listing.classes);
  std::unordered_map<std::string_view, size_t> seen;  // the line of each path
  for (const auto& line : lines) {
    const auto where = fmt::format("{}:{}", list.string(), line.number);
    listing.labels.push_back(labels.parse(line.label, where));
    const auto [first, is_new] = seen.emplace(line.path, line.number);
    if (!is_new) {
      throw DataError(
          fmt::format("{}: {} is in line {} as well; the data sets ClassBalanced and "
                      "Repeat show samples more often",
                      where, line.path, first->second));
    }
    listing.files.push_back((root / line.path).string());
  }
  // One look tells whether `root` is right; a look at every file would take minutes on some disks.
  if (!fs::exists(listing.files.front())) {
    throw DataError(
        fmt::format("{}:{}: {} does not exist; set `root` to the folder that the paths "
                    "in the list start from",
                    list.string(), lines.front().number, listing.files.front()));
  }
  return listing;
}

}  // namespace dnc
