#include "plugins/datasets/segmentation/file_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "plugins/datasets/common/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// The files in a folder and the folders below it. One listing tells of all of them; a look at each
// file would take minutes on some disks.
class Folder {
 public:
  /// Throws DataError where there is no such folder; `option` is the one that names it.
  Folder(const fs::path& path, const std::string& option) : path_(path) {
    if (!fs::is_directory(path)) {
      throw DataError(fmt::format("{}: no such folder; set `{}`", path.string(), option));
    }
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (!entry.is_directory()) files_.insert(entry.path().string());
    }
  }

  const fs::path& path() const { return path_; }
  const std::unordered_set<std::string>& files() const { return files_; }
  /// Also of a file beyond a linked folder, which the listing does not follow.
  bool has(const std::string& file) const { return files_.contains(file) || fs::exists(file); }

 private:
  fs::path path_;
  std::unordered_set<std::string> files_;
};

// What lies in a folder without images: "12 of its 15 files end in '.png': set `image_suffix`".
std::string describe_files(const Folder& folder) {
  std::map<std::string, int64_t> endings;
  for (const auto& file : folder.files()) ++endings[fs::path(file).extension().string()];
  if (endings.empty()) return "it has no files";
  const auto most =
      std::max_element(endings.begin(), endings.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return fmt::format("{} of its {} files end in '{}': set `image_suffix`", most->second,
                     folder.files().size(), most->first);
}

FilePair pair_of(const std::string& name, const PairPlaces& places) {
  return {(places.images / (name + places.image_suffix)).string(),
          (places.labels / (name + places.label_suffix)).string()};
}

// Without the suffix, if it is there.
std::string strip(const std::string& text, const std::string& suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

void check_labels(const std::vector<FilePair>& pairs, const Folder& labels,
                  const PairPlaces& places) {
  const FilePair* first = nullptr;
  int64_t missing = 0;
  for (const auto& pair : pairs) {
    if (labels.has(pair.labels)) continue;
    if (missing++ == 0) first = &pair;
  }
  if (missing == 0) return;
  throw DataError(fmt::format(
      "{}: no such file, but it should hold the labels of {} ({} of {} images have none); the name "
      "of a label file is that of its image with '{}' instead of '{}': set `label_suffix`",
      first->labels, first->image, missing, pairs.size(), places.label_suffix,
      places.image_suffix));
}

FilePair parse_line(const std::string& line, const fs::path& root, const PairPlaces& places) {
  const auto tab = line.find('\t');
  if (tab == std::string::npos) return pair_of(strip(line, places.image_suffix), places);
  return {(root / line.substr(0, tab)).string(), (root / line.substr(tab + 1)).string()};
}

std::string trim(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

[[noreturn]] void fail(const fs::filesystem_error& error) {
  throw DataError(
      fmt::format("{}: cannot be read: {}", error.path1().string(), error.code().message()));
}

}  // namespace

std::vector<FilePair> find_pairs(const PairPlaces& places) try {
  const Folder images(places.images, "images");
  const Folder labels(places.labels, "labels");
  std::vector<FilePair> pairs;
  for (const auto& file : images.files()) {
    if (!file.ends_with(places.image_suffix)) continue;
    const auto name = fs::path(file).lexically_relative(places.images).string();
    pairs.push_back(pair_of(strip(name, places.image_suffix), places));
  }
  if (pairs.empty()) {
    throw DataError(
        fmt::format("{}: no images whose names end in '{}', here or in folders below; {}",
                    places.images.string(), places.image_suffix, describe_files(images)));
  }
  std::sort(pairs.begin(), pairs.end(),
            [](const FilePair& a, const FilePair& b) { return a.image < b.image; });
  check_labels(pairs, labels, places);
  return pairs;
} catch (const fs::filesystem_error& error) {
  fail(error);
}

std::vector<FilePair> read_pairs(const fs::path& list, const fs::path& root,
                                 const PairPlaces& places) try {
  const auto lines = read_lines(list, "set `list` to a text file with one name a line");
  const Folder images(places.images, "images");
  const Folder labels(places.labels, "labels");
  std::vector<FilePair> pairs;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto line = trim(lines[i]);
    if (line.empty()) continue;
    pairs.push_back(parse_line(line, root, places));
    const auto& [image, label] = pairs.back();
    const auto refuse = [&](const std::string& file, const char* what) {
      throw DataError(
          fmt::format("{}:{}: {} does not exist, the {} of '{}'; a line is a name below the folder "
                      "of images, or "
                      "IMAGE<TAB>LABELS from `root`",
                      list.string(), i + 1, file, what, line));
    };
    if (!images.has(image)) refuse(image, "image");
    if (!labels.has(label)) refuse(label, "label file");
  }
  if (pairs.empty()) throw DataError(list.string() + ": empty; expected one name a line");
  return pairs;
} catch (const fs::filesystem_error& error) {
  fail(error);
}

void keep_first(std::vector<FilePair>& pairs, int64_t count) {
  if (count > 0 && count < static_cast<int64_t>(pairs.size())) {
    pairs.resize(static_cast<size_t>(count));
  }
}

}  // namespace dnc
