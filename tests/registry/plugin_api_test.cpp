#include "registry/plugin_api.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// FNV-1a, 64 bits.
class Hash {
 public:
  void add(const std::string& bytes) {
    for (const char c : bytes) {
      value_ ^= static_cast<unsigned char>(c);
      value_ *= 0x100000001b3;
    }
  }
  std::string text() const {
    char buffer[17];
    std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(value_));
    return buffer;
  }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

// Of all that a plugin sees of the host, but for the file that holds the hash itself.
std::string hash_of_headers() {
  std::vector<fs::path> headers;
  for (const auto& entry : fs::directory_iterator(fs::path(DNC_SOURCE_DIR) / "registry")) {
    const auto& path = entry.path();
    if (path.extension() == ".h" && path.filename() != "plugin_api.h") headers.push_back(path);
  }
  std::sort(headers.begin(), headers.end());
  Hash hash;
  for (const auto& header : headers) {
    hash.add(header.filename().string());
    hash.add(bytes_of(header));
  }
  return hash.text();
}

TEST(PluginApi, TheHashIsFnv1a) {
  Hash hash;
  EXPECT_EQ(hash.text(), "cbf29ce484222325");
  hash.add("foobar");  // of the table in the FNV reference
  EXPECT_EQ(hash.text(), "85944171f73967e8");
}

TEST(PluginApi, TheNumberIsRaisedWithEveryChangeOfAHeader) {
  const auto hash = hash_of_headers();
  EXPECT_EQ(hash, DNC_PLUGIN_API_HASH)
      << "A header in registry/ has changed: plugins that are built already may not fit any more.\n"
      << "Write into registry/plugin_api.h:\n"
      << "  #define DNC_PLUGIN_API " << DNC_PLUGIN_API + 1 << "\n"
      << "  #define DNC_PLUGIN_API_HASH \"" << hash << "\"\n"
      << "(The number may stay if only comments have changed.)";
}

}  // namespace
}  // namespace dnc
