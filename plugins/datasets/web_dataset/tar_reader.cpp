#include "plugins/datasets/web_dataset/tar_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace dnc {
namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kMaxExtended = 1 << 20;  // bytes of a long name or of pax records

// A field of text, which ends at its first zero byte or where it is full.
std::string_view field(const char* begin, size_t size) { return {begin, ::strnlen(begin, size)}; }

// Octal digits in spaces, or since GNU a big-endian number behind the byte 0x80.
std::optional<int64_t> parse_number(const char* begin, size_t size) {
  if (static_cast<unsigned char>(begin[0]) == 0x80) {
    uint64_t number = 0;
    for (size_t i = 1; i < size; ++i) {
      if (number >> 55 != 0) return std::nullopt;
      number = number << 8 | static_cast<unsigned char>(begin[i]);
    }
    return static_cast<int64_t>(number);
  }
  auto text = field(begin, size);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  int64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, 8);
  if (error != std::errc() || stop != end || number < 0) return std::nullopt;
  return number;
}

}  // namespace

TarDamage::TarDamage(const std::string& file, int64_t offset, const std::string& what)
    : DataError(fmt::format("{}: at byte {}: {}", file, offset, what)),
      offset_(offset),
      reason_(what) {}

ShardFile::ShardFile(const std::filesystem::path& path) : path_(path.string()) {
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
    const int code = errno;
    if (fd_ >= 0) ::close(fd_);
    throw DataError(fmt::format("{}: cannot be opened: {}", path_, std::strerror(code)));
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd_);
    throw DataError(path_ + ": is not a file; expected a tar file");
  }
  size_ = status.st_size;
  // What is read next lies somewhere else: to read ahead would be in vain.
  ::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);
}

ShardFile::~ShardFile() { ::close(fd_); }

void ShardFile::read(int64_t offset, void* data, int64_t size) const {
  auto* out = static_cast<char*>(data);
  while (size > 0) {
    const auto count = ::pread(fd_, out, static_cast<size_t>(size), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      throw DataError(fmt::format("{}: cannot be read at byte {}: {}", path_, offset,
                                  count < 0 ? std::strerror(errno) : "it became shorter"));
    }
    out += count;
    offset += count;
    size -= count;
  }
}

// The block before a member, in the fields of POSIX (IEEE Std 1003.1, "pax").
struct TarReader::Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char device[16];
  char prefix[155];
  char unused[12];

  // The sum of all bytes, where those of the checksum count as spaces.
  int64_t sum() const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(this);
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof(Header); ++i) sum += bytes[i];
    for (const char c : checksum) sum += ' ' - static_cast<unsigned char>(c);
    return sum;
  }
  bool is_regular() const { return type == '0' || type == '\0' || type == '7'; }
  // Links, devices and folders; a size that they may have says nothing about what follows.
  bool has_no_bytes() const { return type >= '1' && type <= '6'; }
  std::string full_name() const {
    const std::string own(field(name, sizeof name));
    const auto before = field(prefix, sizeof prefix);
    // GNU's own format has other things in the place of the prefix.
    if (before.empty() || std::memcmp(magic, "ustar", sizeof magic) != 0) return own;
    return fmt::format("{}/{}", before, own);
  }
};

void TarReader::fail(const std::string& what) const { throw TarDamage(file_.path(), at_, what); }

std::optional<TarMember> TarReader::next() {
  Extended extended;
  while (const auto header = read_header()) {
    const auto member = locate(*header, extended);
    if (header->type == 'L') {  // GNU: the name of the next member
      extended.name = read_text(member);
      extended.name->resize(::strnlen(extended.name->c_str(), extended.name->size()));
    } else if (header->type == 'x') {
      read_pax(read_text(member), extended);
    } else if (header->is_regular()) {
      return member;
    } else if (header->type == 'S') {
      fail(
          fmt::format("'{}' is a sparse file, which is not read; write the tar file without "
                      "--sparse",
                      member.name));
    } else if (header->type != 'K' && header->type != 'g') {
      extended = {};  // a member that is passed over
    }
  }
  return std::nullopt;
}

// None at the empty block that ends the file.
std::optional<TarReader::Header> TarReader::read_header() {
  static_assert(sizeof(Header) == kBlock);
  at_ = next_;
  if (at_ > file_.size() - kBlock) {
    at_ = file_.size();
    fail(
        "the file ends without the empty block that ends a tar file; it is cut short: copy or "
        "download it again");
  }
  Header header;
  file_.read(at_, &header, kBlock);
  const auto* bytes = reinterpret_cast<const char*>(&header);
  if (std::all_of(bytes, bytes + kBlock, [](char c) { return c == 0; })) return std::nullopt;
  const auto checksum = parse_number(header.checksum, sizeof header.checksum);
  if (!checksum || *checksum != header.sum()) {
    const bool gzip = at_ == 0 && std::memcmp(bytes, "\x1f\x8b", 2) == 0;
    fail(gzip ? "is compressed, so nothing in it can be found without reading all of it; unpack it "
                "to a plain .tar"
              : "is no header of a tar file (its checksum is wrong); the file is damaged, or none");
  }
  return header;
}

TarMember TarReader::locate(const Header& header, const Extended& extended) {
  TarMember member;
  member.name = extended.name.value_or(header.full_name());
  member.offset = at_ + kBlock;
  if (!header.has_no_bytes()) {
    const auto size = parse_number(header.size, sizeof header.size);
    const bool is_extension = std::string_view("LKxg").find(header.type) != std::string_view::npos;
    member.size = extended.size && !is_extension ? *extended.size : size.value_or(-1);
  }
  if (member.size < 0) fail(fmt::format("the size of '{}' is no number", member.name));
  if (member.size > file_.size() - member.offset) {
    fail(
        fmt::format("'{}' has {} bytes, but the file ends after {} of them; it is cut short: copy "
                    "or download it again",
                    member.name, member.size, file_.size() - member.offset));
  }
  next_ = member.offset + (member.size + kBlock - 1) / kBlock * kBlock;
  return member;
}

std::string TarReader::read_text(const TarMember& member) const {
  if (member.size > kMaxExtended) {
    fail(fmt::format("a name or a list of attributes of {} bytes (limit {})", member.size,
                     kMaxExtended));
  }
  std::string text(static_cast<size_t>(member.size), '\0');
  file_.read(member.offset, text.data(), member.size);
  return text;
}

// Records "LENGTH KEY=VALUE\n"; the length counts all of the record.
void TarReader::read_pax(const std::string& records, Extended& extended) const {
  std::string_view rest = records;
  while (!rest.empty()) {
    size_t length = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<size_t>(stop - rest.data());
    if (error != std::errc() || length > rest.size() || length < digits + 3 ||
        rest[digits] != ' ' || rest[length - 1] != '\n') {
      fail("the pax attributes are damaged");
    }
    const auto record = rest.substr(digits + 1, length - digits - 2);
    const auto equals = record.find('=');
    if (equals == std::string_view::npos) fail("the pax attributes are damaged");
    const auto key = record.substr(0, equals);
    const auto value = record.substr(equals + 1);
    if (key == "path") extended.name = std::string(value);
    if (key == "size") {
      int64_t size = -1;
      const auto [end, wrong] = std::from_chars(value.data(), value.data() + value.size(), size);
      const bool whole = wrong == std::errc() && end == value.data() + value.size();
      extended.size = whole ? size : -1;
    }
    if (key.starts_with("GNU.sparse")) {
      fail("the member is a sparse file, which is not read; write the tar file without --sparse");
    }
    rest.remove_prefix(length);
  }
}

}  // namespace dnc
