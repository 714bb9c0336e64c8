#include "host/commands/image_files.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "host/data/encode_png.h"
#include "host/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

bool looks_like_image(const fs::path& path) {
  static const std::vector<std::string> known{".jpg", ".jpeg", ".png", ".bmp", ".webp",
                                              ".tif", ".tiff", ".pgm", ".ppm"};
  auto suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(known.begin(), known.end(), suffix) != known.end();
}

}  // namespace

ImageFiles::ImageFiles(std::vector<std::string> files, const ImageReader& images, ClassInfo classes,
                       int64_t label)
    : files_(std::move(files)), images_(images), classes_(std::move(classes)), label_(label) {}

Sample ImageFiles::load(int64_t index) const {
  Sample sample;
  sample.index = index;
  sample.image = images_.open(name(index));
  sample.label = label_;
  return sample;
}

std::vector<std::string> find_images(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const auto& path : paths) {
    if (!fs::exists(path)) throw DataError(path + ": no such file or folder");
    if (!fs::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    std::error_code error;
    fs::recursive_directory_iterator entry(path, error);
    for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
      std::error_code gone;
      if (entry->is_regular_file(gone) && looks_like_image(entry->path())) {
        inside.push_back(entry->path().string());
      }
    }
    if (error) throw DataError(path + ": cannot be read: " + error.message());
    if (inside.empty()) throw DataError(path + ": there is no image in this folder");
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

void check_names_differ(const std::vector<std::string>& files, const std::string& what) {
  std::map<std::string, std::string> owners;
  for (const auto& file : files) {
    const auto [same, is_new] = owners.try_emplace(fs::path(file).stem().string(), file);
    if (!is_new) {
      throw DataError(file + ": has the name of " + same->second + ", and " + what +
                      " would overwrite each other; give them apart");
    }
  }
}

void write_png(const fs::path& path, const Image& image) {
  const auto bytes = encode_png(image);
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace dnc
