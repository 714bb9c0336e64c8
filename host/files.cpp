#include "host/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <vector>

namespace dnc {
namespace {

namespace fs = std::filesystem;

// Large enough that the calls do not count, small enough that a checksum finds its bytes in cache.
constexpr uint64_t kPart = 1 << 20;

/// Repeats a system call that a signal interrupted.
template <typename Call>
auto retry(Call call) {
  while (true) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

Descriptor open_file(const fs::path& path, int flags, const char* done) {
  Descriptor fd(retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); }));
  if (fd.get() < 0) throw FileError(path, done, errno);
  return fd;
}

/// Returns 0 or errno.
int write_all(int fd, const char* data, uint64_t size) {
  while (size > 0) {
    const auto written = retry([&] { return ::write(fd, data, std::min(size, kPart)); });
    if (written < 0) return errno;
    data += written;
    size -= static_cast<uint64_t>(written);
  }
  return 0;
}

void flush(int fd, const fs::path& path) {
  // Never tried again: after a failure the system may have dropped the bytes, and a second call
  // would report success.
  if (retry([&] { return ::fsync(fd); }) != 0) throw FileError(path, "flushed to the disk", errno);
}

/// Makes the names in a folder last.
void flush_folder(const fs::path& path) {
  const auto fd = open_file(path, O_RDONLY | O_DIRECTORY, "opened");
  if (retry([&] { return ::fsync(fd.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP) {
    // Some network file systems do not know how to flush a folder.
    throw FileError(path, "flushed to the disk", errno);
  }
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path without_trailing_slash(fs::path path) {
  return path.has_filename() ? path : path.parent_path();
}

fs::path temporary_beside(const fs::path& path) {
  return parent_of(path) / fmt::format(".{}.{}.tmp", path.filename().string(), ::getpid());
}

/// Gives `from` the name `to`. Where a folder of that name is in the way, the two change names in
/// one step, so that there is always one.
void rename_over(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  if (errno != ENOTEMPTY && errno != EEXIST) throw FileError(to, "given its name", errno);
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) throw FileError(to, "replaced", errno);
  // A file system that cannot exchange, such as NFS: for a moment there is neither.
  const fs::path old = temporary_beside(to.string() + ".old");
  if (::rename(to.c_str(), old.c_str()) != 0) throw FileError(to, "replaced", errno);
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const int code = errno;
    ::rename(old.c_str(), to.c_str());
    throw FileError(to, "given its name", code);
  }
  ::rename(old.c_str(), from.c_str());
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

}  // namespace

FileError::FileError(const fs::path& path, const std::string& done, int code)
    : Error(fmt::format("{}: cannot be {}: {}", path.string(), done,
                        std::generic_category().message(code))),
      code_(code) {}

bool FileError::disk_full() const { return code_ == ENOSPC || code_ == EDQUOT; }

std::string format_size(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
  constexpr std::array kUnits = {"kB", "MB", "GB", "TB"};
  double size = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  // 999.95 would be rounded to 1000.0.
  for (; size >= 999.95 && unit + 1 < kUnits.size(); ++unit) size /= 1000;
  return fmt::format("{:.1f} {}", size, kUnits[unit]);
}

uint64_t free_bytes(const fs::path& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) throw FileError(path, "examined", errno);
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

InputFile::InputFile(fs::path path) : path_(std::move(path)) {
  // O_NONBLOCK: a pipe would keep us waiting for somebody to write into it.
  fd_ = open_file(path_, O_RDONLY | O_NONBLOCK, "opened");
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) throw FileError(path_, "examined", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(fmt::format("{}: is {}, not a file", path_.string(),
                            S_ISDIR(status.st_mode) ? "a folder" : "a device or a pipe"));
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

void InputFile::read(uint64_t offset, void* data, uint64_t size) const {
  auto* out = static_cast<char*>(data);
  while (size > 0) {
    // One call never returns more than 2 GiB.
    const auto count = retry([&] {
      return ::pread(fd_.get(), out, std::min<uint64_t>(size, 1 << 30), static_cast<off_t>(offset));
    });
    if (count < 0) throw FileError(path_, "read", errno);
    if (count == 0) {
      throw Error(
          fmt::format("{}: ends at byte {}, {} more were expected", path_.string(), offset, size));
    }
    out += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<uint64_t>(count);
  }
}

std::string read_file(const fs::path& path, uint64_t limit) {
  const InputFile file(path);
  if (file.size() > limit) {
    throw Error(fmt::format("{}: has {}, at most {} are expected", path.string(),
                            format_size(file.size()), format_size(limit)));
  }
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

void Checksum::add(const void* data, uint64_t count) {
  crc = static_cast<uint32_t>(::crc32_z(crc, static_cast<const Bytef*>(data), count));
  size += count;
}

Checksum checksum(const InputFile& file) {
  Checksum sum;
  std::vector<char> part(std::min(file.size(), kPart));
  while (sum.size < file.size()) {
    const auto count = std::min<uint64_t>(part.size(), file.size() - sum.size);
    file.read(sum.size, part.data(), count);
    sum.add(part.data(), count);
  }
  return sum;
}

OutputFile::OutputFile(fs::path path)
    : path_(std::move(path)), fd_(open_file(path_, O_WRONLY | O_CREAT | O_TRUNC, "created")) {}

void OutputFile::write(const void* data, uint64_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto count = std::min(size, kPart);
    checksum_.add(bytes, count);
    if (const int code = write_all(fd_.get(), bytes, count)) {
      throw FileError(path_, "written", code);
    }
    bytes += count;
    size -= count;
  }
}

void OutputFile::finish() {
  flush(fd_.get(), path_);
  // Network file systems report some failures only here. The descriptor is gone in any case.
  if (::close(fd_.release()) != 0 && errno != EINTR) throw FileError(path_, "closed", errno);
}

AppendFile::AppendFile(fs::path path)
    : path_(std::move(path)), fd_(open_file(path_, O_WRONLY | O_CREAT | O_APPEND, "opened")) {
  const InputFile file(path_);
  size_ = file.size();
  std::string part;
  while (size_ > 0) {
    part.resize(std::min(size_, kPart));
    file.read(size_ - part.size(), part.data(), part.size());
    const auto line_break = part.rfind('\n');
    size_ -= part.size() - (line_break == std::string::npos ? 0 : line_break + 1);
    if (line_break != std::string::npos) break;
  }
  if (size_ < file.size() && ::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) {
    throw FileError(path_, "cut to whole lines", errno);
  }
}

void AppendFile::append(std::string_view line) {
  const auto text = fmt::format("{}\n", line);
  if (const int code = write_all(fd_.get(), text.data(), text.size())) {
    // The next line must not be glued to half of this one. Should this fail too, the next start
    // mends it.
    [[maybe_unused]] const int ignored = ::ftruncate(fd_.get(), static_cast<off_t>(size_));
    throw FileError(path_, "written", code);
  }
  size_ += text.size();
}

void AppendFile::sync() { flush(fd_.get(), path_); }

AtomicFile::AtomicFile(fs::path target)
    : target_(std::move(target)), file_(temporary_beside(target_)) {}

AtomicFile::~AtomicFile() { ::unlink(file_.path().c_str()); }

void AtomicFile::commit() {
  file_.finish();
  if (::rename(file_.path().c_str(), target_.c_str()) != 0) {
    throw FileError(target_, "replaced", errno);
  }
  flush_folder(parent_of(target_));
}

void write_file(const fs::path& target, std::string_view text) {
  AtomicFile file(target);
  file.file().write(text);
  file.commit();
}

AtomicFolder::AtomicFolder(fs::path target)
    : target_(without_trailing_slash(std::move(target))), path_(temporary_beside(target_)) {
  remove_quietly(path_);  // of a dead process that had our id
  if (::mkdir(path_.c_str(), 0777) != 0) throw FileError(path_, "created", errno);
}

AtomicFolder::~AtomicFolder() { remove_quietly(path_); }

void AtomicFolder::commit() {
  flush_folder(path_);
  rename_over(path_, target_);
  flush_folder(parent_of(target_));
  // What stands under the temporary name now, if anything, is the folder that was replaced; the
  // destructor removes it.
}

void create_folder(const fs::path& path) {
  const auto folder = without_trailing_slash(path);
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  if (folder.has_parent_path()) create_folder(folder.parent_path());
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    throw FileError(folder, "created", errno);
  }
  if (!fs::is_directory(folder, error)) throw FileError(folder, "created", ENOTDIR);
  flush_folder(parent_of(folder));
}

void remove_folder(const fs::path& path) {
  const auto folder = without_trailing_slash(path);
  const auto temporary = temporary_beside(folder);
  remove_quietly(temporary);
  if (::rename(folder.c_str(), temporary.c_str()) == 0) remove_quietly(temporary);
}

void remove_temporaries(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_temporary(entry->path())) found.push_back(entry->path());
  }
  for (const auto& path : found) remove_quietly(path);
}

bool is_temporary(const fs::path& path) {
  return path.filename().string().starts_with(".") && path.extension() == ".tmp";
}

FileLock::FileLock(const fs::path& path) : fd_(open_file(path, O_RDWR | O_CREAT, "opened")) {
  if (retry([&] { return ::flock(fd_.get(), LOCK_EX | LOCK_NB); }) == 0) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    const auto text = fmt::format("process {} on {}\n", ::getpid(), host.data());
    if (::ftruncate(fd_.get(), 0) != 0) throw FileError(path, "written", errno);
    if (const int code = write_all(fd_.get(), text.data(), text.size())) {
      throw FileError(path, "written", code);
    }
    return;
  }
  if (errno != EWOULDBLOCK) throw FileError(path, "locked", errno);
  holder_.resize(300);
  const auto count = ::pread(fd_.get(), holder_.data(), holder_.size(), 0);
  holder_.resize(count > 0 ? static_cast<size_t>(count) : 0);
  holder_.erase(std::min(holder_.find('\n'), holder_.size()));
  if (holder_.empty()) holder_ = "another process";
  fd_ = Descriptor();
}

}  // namespace dnc
