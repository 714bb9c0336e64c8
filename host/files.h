#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "registry/error.h"

namespace dnc {

/// The system refused an operation on a file or folder. Reads
/// "FILE: cannot be written: No space left on device".
class FileError : public Error {
 public:
  /// `done` is the participle of what failed ("written"), `code` the value of errno.
  FileError(const std::filesystem::path& path, const std::string& done, int code);
  int code() const { return code_; }
  /// The disk, or the user's share of it, has no room left.
  bool disk_full() const;

 private:
  int code_;
};

/// "817 bytes", "1.2 MB": sizes in messages, in powers of 1000 as disks are sold.
std::string format_size(uint64_t bytes);

/// What is left for this user on the file system of an existing file or folder.
uint64_t free_bytes(const std::filesystem::path& path);

/// A file descriptor, closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// A regular file that is read at any position.
class InputFile {
 public:
  /// Throws FileError, and Error for a folder or a device.
  explicit InputFile(std::filesystem::path path);
  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }
  /// Throws FileError, and Error where the file ends before `offset + size`.
  void read(uint64_t offset, void* data, uint64_t size) const;

 private:
  std::filesystem::path path_;
  Descriptor fd_;
  uint64_t size_ = 0;
};

/// The whole of a text file. Throws FileError, and Error for more than `limit` bytes.
std::string read_file(const std::filesystem::path& path, uint64_t limit);

/// How long a file is and the CRC-32 of its bytes, the one of zlib, gzip and PNG.
///
/// CRC-32 finds damage (each changed bit, each changed run of up to 32 bits, all else with odds of
/// 1 to 4 billion), which is what happens to checkpoints; it is no seal against a forger. zlib has
/// it at above 1 GB/s, and the program needs zlib anyway.
struct Checksum {
  uint64_t size = 0;
  uint32_t crc = 0;

  void add(const void* data, uint64_t size);
  bool operator==(const Checksum&) const = default;
};

Checksum checksum(const InputFile& file);

/// A new file, written from front to back.
class OutputFile {
 public:
  /// Creates the file, or empties the one that is there. Throws FileError, as all members do.
  explicit OutputFile(std::filesystem::path path);
  const std::filesystem::path& path() const { return path_; }
  void write(const void* data, uint64_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Flushes to the disk and closes. A file without it may be lost or cut short.
  void finish();
  /// Of what was written so far.
  const Checksum& checksum() const { return checksum_; }

 private:
  std::filesystem::path path_;
  Descriptor fd_;
  Checksum checksum_;
};

/// A file that grows line by line. What a crash left of a last line is cut off when it is opened.
class AppendFile {
 public:
  /// Throws FileError, as all members do.
  explicit AppendFile(std::filesystem::path path);
  const std::filesystem::path& path() const { return path_; }
  /// Adds the line and a line break: all of it or, where that fails, nothing.
  void append(std::string_view line);
  /// Flushes to the disk.
  void sync();

 private:
  std::filesystem::path path_;
  Descriptor fd_;
  uint64_t size_ = 0;
};

/// A file that replaces `target` as a whole: written beside it under a temporary name, flushed, and
/// renamed. Before commit(), and whatever happens, `target` is as it was.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  OutputFile& file() { return file_; }
  void commit();

 private:
  std::filesystem::path target_;
  OutputFile file_;
};

/// Writes `target` through an AtomicFile.
void write_file(const std::filesystem::path& target, std::string_view text);

/// A folder that appears whole or not at all: filled under a temporary name beside `target`, then
/// renamed by commit(). Removed again where it is not committed.
class AtomicFolder {
 public:
  /// Throws FileError, as commit() does.
  explicit AtomicFolder(std::filesystem::path target);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  /// Where its files are to be written; each must be finished before commit().
  const std::filesystem::path& path() const { return path_; }
  /// Replaces a folder of that name, if there is one.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;
};

/// Creates the folder and those above it, and flushes its name to the disk. Throws FileError.
void create_folder(const std::filesystem::path& path);

/// Removes a folder with all it holds, so that a crash leaves either all of it or a temporary.
/// What cannot be removed stays under its temporary name.
void remove_folder(const std::filesystem::path& path);

/// Removes what interrupted AtomicFile, AtomicFolder and remove_folder left in a folder. Only for
/// the one process that writes there.
void remove_temporaries(const std::filesystem::path& folder);
/// Whether a name in a folder is one of those.
bool is_temporary(const std::filesystem::path& path);

/// A file that one process at a time can hold; the system lets go of it when the process ends,
/// however it ends.
class FileLock {
 public:
  /// Creates the file if need be, and takes it if nobody has it. Throws FileError.
  explicit FileLock(const std::filesystem::path& path);
  bool held() const { return fd_.get() >= 0; }
  /// "process 4242 on node7": who has it, where it is not held.
  const std::string& holder() const { return holder_; }

 private:
  Descriptor fd_;
  std::string holder_;
};

}  // namespace dnc
