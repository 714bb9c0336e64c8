#include "plugins/datasets/common/files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

// What is wrong with a list of class names, if anything is.
std::optional<std::string> fault(const std::vector<std::string>& names) {
  std::unordered_map<std::string, size_t> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) return fmt::format("the name of class {} is empty", i);
    const auto [first, added] = seen.emplace(names[i], i);
    if (!added) {
      return fmt::format("classes {} and {} have the same name '{}'", first->second, i, names[i]);
    }
  }
  return std::nullopt;
}

}  // namespace

int64_t file_size(const std::filesystem::path& path, const std::string& advice) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw DataError(fmt::format("{}: no such file; {}", path.string(), advice));
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw DataError(fmt::format("{}: not a file; {}", path.string(), advice));
  }
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw DataError(fmt::format("{}: {}", path.string(), error.message()));
  return static_cast<int64_t>(size);
}

std::vector<uint8_t> read_bytes(const std::filesystem::path& path, const std::string& advice) {
  std::vector<uint8_t> bytes(static_cast<size_t>(file_size(path, advice)));
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()))) {
    throw DataError(fmt::format("{}: cannot be read: {}", path.string(),
                                errno ? std::strerror(errno) : "it became shorter meanwhile"));
  }
  return bytes;
}

std::string read_text(const std::filesystem::path& path, const std::string& advice) {
  const int64_t size = file_size(path, advice);
  if (size > kMaxTextBytes) {
    throw DataError(fmt::format("{}: {} bytes are too many for a text file of names (limit {})",
                                path.string(), size, kMaxTextBytes));
  }
  const auto bytes = read_bytes(path, advice);
  return {bytes.begin(), bytes.end()};
}

std::vector<std::string> read_lines(const std::filesystem::path& path, const std::string& advice) {
  std::istringstream text(read_text(path, advice));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> read_class_names(const std::filesystem::path& path) {
  auto names = read_lines(path, "expected a text file with one class name a line");
  while (!names.empty() && names.back().empty()) names.pop_back();
  if (names.empty()) {
    throw DataError(path.string() + ": empty, but one class name a line was expected");
  }
  if (const auto wrong = fault(names)) {
    throw DataError(fmt::format("{}: {}; expected one class name a line", path.string(), *wrong));
  }
  return names;
}

void check_class_names(const std::vector<std::string>& names, const std::string& option) {
  if (const auto wrong = fault(names)) throw OptionError(option, *wrong);
}

}  // namespace dnc
