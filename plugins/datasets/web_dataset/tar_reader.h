#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "registry/error.h"

namespace dnc {

/// A regular file that is read at any position. Thread-safe.
class ShardFile {
 public:
  /// Throws DataError, as read() does, beginning with the path.
  explicit ShardFile(const std::filesystem::path& path);
  ~ShardFile();
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  /// All of `size` bytes at `offset`.
  void read(int64_t offset, void* data, int64_t size) const;

 private:
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
};

/// A file inside a tar file.
struct TarMember {
  std::string name;
  int64_t offset = 0;  // of its bytes, in the tar file
  int64_t size = 0;
};

/// A tar file cannot be read on from a place in it: "FILE: at byte N: WHAT".
class TarDamage final : public DataError {
 public:
  TarDamage(const std::string& file, int64_t offset, const std::string& what);
  int64_t offset() const { return offset_; }
  const std::string& reason() const { return reason_; }  // WHAT

 private:
  int64_t offset_;
  std::string reason_;
};

/// Finds the members of a tar file (POSIX ustar and pax, GNU) by going from header to header,
/// without reading what lies between. Folders and links are passed over.
///
/// Trusts nothing that a header says. Throws TarDamage for a header that is none, a member that
/// reaches beyond the end, a file that ends without the empty block that ends a tar file, and for
/// sparse members.
class TarReader {
 public:
  explicit TarReader(const ShardFile& file) : file_(file) {}

  /// The next regular file; none at the end.
  std::optional<TarMember> next();

 private:
  struct Header;
  /// What the headers before a member say about it, instead of its own.
  struct Extended {
    std::optional<std::string> name;
    std::optional<int64_t> size;
  };

  [[noreturn]] void fail(const std::string& what) const;
  std::optional<Header> read_header();
  TarMember locate(const Header& header, const Extended& extended);
  std::string read_text(const TarMember& member) const;
  void read_pax(const std::string& records, Extended& extended) const;

  const ShardFile& file_;
  int64_t at_ = 0;    // of the header that is looked at
  int64_t next_ = 0;  // where the next one begins
};

}  // namespace dnc
