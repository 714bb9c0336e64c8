#include "plugins/datasets/idx/idx_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "plugins/datasets/common/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kUnsignedByte = 0x08;
constexpr int64_t kMaxSide = 1 << 15;  // of an image; two sides and 2^32 images stay below 2^63
constexpr int64_t kMaxDeflateRatio = 1032;  // no stream of zlib's grows more than this
constexpr int64_t kReadBytes = int64_t{1} << 30;

// A file that zlib reads, decompressed if it is compressed.
class Stream {
 public:
  explicit Stream(const std::filesystem::path& path)
      : path_(path.string()), file_(gzopen(path_.c_str(), "rb"), gzclose) {
    if (!file_) fail(fmt::format("cannot be read: {}", std::strerror(errno)));
    gzbuffer(file_.get(), 1 << 18);
  }

  bool compressed() { return gzdirect(file_.get()) == 0; }

  // How many of `size` bytes there were.
  int64_t read(uint8_t* out, int64_t size) {
    int64_t done = 0;
    while (done < size) {
      const auto wanted = static_cast<unsigned>(std::min(size - done, kReadBytes));
      const int got = gzread(file_.get(), out + done, wanted);
      check();
      if (got <= 0) break;
      done += got;
    }
    return done;
  }

  [[noreturn]] void fail(const std::string& what) const { throw DataError(path_ + ": " + what); }

 private:
  // A file that ends too early is no error here (Z_BUF_ERROR): the caller says how much is missing.
  void check() const {
    int code = Z_OK;
    std::string text = gzerror(file_.get(), &code);
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return;
    if (code == Z_ERRNO) fail(fmt::format("cannot be read: {}", std::strerror(errno)));
    if (text.starts_with(path_ + ": ")) text.erase(0, path_.size() + 2);  // as zlib does it
    fail(fmt::format("damaged: {}; get it again", text));
  }

  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

int64_t big_endian(const uint8_t* bytes) {
  return int64_t{bytes[0]} << 24 | int64_t{bytes[1]} << 16 | int64_t{bytes[2]} << 8 | bytes[3];
}

// Two zero bytes, the type of the values, the number of dimensions; then the dimensions.
std::vector<int64_t> read_shape(Stream& stream, int64_t dimensions) {
  std::array<uint8_t, 4> word{};
  const auto next = [&] {
    if (stream.read(word.data(), 4) < 4) stream.fail("ends within the header of an IDX file");
    return big_endian(word.data());
  };
  const int64_t expected = kUnsignedByte << 8 | dimensions;
  if (const int64_t magic = next(); magic != expected) {
    stream.fail(
        fmt::format("begins with {:#010x}, but an IDX file of bytes with {} dimensions "
                    "begins with {:#010x}; is it the right file?",
                    magic, dimensions, expected));
  }
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < dimensions; ++i) shape.push_back(next());
  for (int64_t i = 0; i < dimensions; ++i) {
    const int64_t size = shape[static_cast<size_t>(i)];
    if (size == 0 || (i > 0 && size > kMaxSide)) {
      stream.fail(fmt::format("its header says {} values, expected 1 to {} in dimension {}",
                              fmt::join(shape, " x "), i > 0 ? kMaxSide : UINT32_MAX, i));
    }
  }
  return shape;
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, int64_t dimensions,
                  const std::string& advice) {
  const int64_t file_bytes = file_size(path, advice);
  Stream stream(path);
  IdxArray array;
  array.shape = read_shape(stream, dimensions);
  int64_t size = 1;
  for (const int64_t side : array.shape) size *= side;

  const int64_t possible = file_bytes * (stream.compressed() ? kMaxDeflateRatio : 1);
  const auto shape = fmt::format("{} values", fmt::join(array.shape, " x "));
  if (size > possible) {
    stream.fail(
        fmt::format("truncated or damaged: its header says {}, but a file of {} bytes "
                    "cannot hold them; get it again",
                    shape, file_bytes));
  }
  array.values.resize(static_cast<size_t>(size));
  const int64_t got = stream.read(array.values.data(), size);
  if (got < size) {
    stream.fail(
        fmt::format("truncated: its header says {}, but it ends after {} of {}; "
                    "get it again",
                    shape, got, size));
  }
  // Asking for one more byte also makes zlib compare the checksum.
  if (uint8_t more = 0; stream.read(&more, 1) == 1) {
    stream.fail(fmt::format("goes on after the {} that its header says; is it damaged?", shape));
  }
  return array;
}

}  // namespace dnc
