// TIFF through libtiff: the first page. No other file names that library.

#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>

#include "host/data/formats/format.h"

namespace dnc {
namespace {

// libtiff has one error handler for the whole process, which it calls in the thread of the error.
thread_local std::string last_error;

void keep_error(thandle_t, const char*, const char* format, va_list arguments) {
  char message[300];
  std::vsnprintf(message, sizeof(message), format, arguments);
  last_error = message;
}

// A file in memory, for libtiff's file functions.
struct Memory {
  std::span<const uint8_t> bytes;
  uint64_t position = 0;
};

tmsize_t read_memory(thandle_t handle, void* out, tmsize_t size) {
  auto* const memory = static_cast<Memory*>(handle);
  const uint64_t left =
      memory->bytes.size() - std::min<uint64_t>(memory->position, memory->bytes.size());
  const auto count = std::min(static_cast<uint64_t>(size), left);
  if (count > 0) std::memcpy(out, memory->bytes.data() + memory->position, count);
  memory->position += count;
  return static_cast<tmsize_t>(count);
}

toff_t seek_memory(thandle_t handle, toff_t offset, int whence) {
  auto* const memory = static_cast<Memory*>(handle);
  const uint64_t origin = whence == SEEK_SET   ? 0
                          : whence == SEEK_CUR ? memory->position
                                               : memory->bytes.size();
  memory->position = origin + offset;
  return memory->position;
}

toff_t memory_size(thandle_t handle) { return static_cast<Memory*>(handle)->bytes.size(); }

int map_memory(thandle_t handle, void** base, toff_t* size) {
  const auto* const memory = static_cast<Memory*>(handle);
  *base = const_cast<uint8_t*>(memory->bytes.data());  // libtiff only reads it
  *size = memory->bytes.size();
  return 1;
}

// An open file; its first page is current.
class TiffReader {
 public:
  explicit TiffReader(const ImageFile& file) : file_(file), memory_{file.bytes} {
    static std::once_flag once;
    std::call_once(once, [] {
      TIFFSetErrorHandler(nullptr);
      TIFFSetErrorHandlerExt(keep_error);
      TIFFSetWarningHandler(nullptr);
    });
    last_error.clear();
    const auto write = [](thandle_t, void*, tmsize_t) -> tmsize_t { return 0; };
    const auto close = [](thandle_t) { return 0; };
    const auto unmap = [](thandle_t, void*, toff_t) {};
    tiff_.reset(TIFFClientOpen(file.name.c_str(), "r", &memory_, read_memory, write, seek_memory,
                               close, memory_size, map_memory, unmap));
    if (!tiff_) fail();
  }

  ImageHeader header() {
    uint32_t width = 0;
    uint32_t height = 0;
    uint16_t orientation = 1;
    if (TIFFGetField(tiff_.get(), TIFFTAG_IMAGEWIDTH, &width) == 0 ||
        TIFFGetField(tiff_.get(), TIFFTAG_IMAGELENGTH, &height) == 0) {
      fail();
    }
    TIFFGetFieldDefaulted(tiff_.get(), TIFFTAG_ORIENTATION, &orientation);
    return {height, width, orientation >= 1 && orientation <= 8 ? orientation : 1};
  }

  /// One number a pixel, in the order in which they are stored.
  std::vector<uint32_t> read(const ImageHeader& header) {
    // libtiff would multiply the colours by the transparency; as "associated" they are that
    // already.
    uint16_t count = 0;
    uint16_t* kinds = nullptr;
    TIFFGetFieldDefaulted(tiff_.get(), TIFFTAG_EXTRASAMPLES, &count, &kinds);
    if (count > 0) {
      std::vector<uint16_t> associated(count, EXTRASAMPLE_ASSOCALPHA);
      TIFFSetField(tiff_.get(), TIFFTAG_EXTRASAMPLES, count, associated.data());
    }
    std::vector<uint32_t> pixels(static_cast<size_t>(header.height * header.width));
    TIFFRGBAImage image;
    char message[1024] = {};
    constexpr int kStopOnError = 1;
    if (TIFFRGBAImageBegin(&image, tiff_.get(), kStopOnError, message) == 0) {
      file_.fail(fmt::format("the TIFF cannot be decoded ({})", message));
    }
    image.req_orientation = image.orientation;  // turned by our caller, if at all
    const int done = TIFFRGBAImageGet(&image, pixels.data(), image.width, image.height);
    TIFFRGBAImageEnd(&image);
    if (done == 0) fail();
    return pixels;
  }

 private:
  struct Close {
    void operator()(TIFF* tiff) const { TIFFClose(tiff); }
  };

  [[noreturn]] void fail() {
    file_.fail(fmt::format("the TIFF is damaged or ends early ({})",
                           last_error.empty() ? "no details" : last_error));
  }

  const ImageFile& file_;
  Memory memory_;
  std::unique_ptr<TIFF, Close> tiff_;
};

bool matches(std::span<const uint8_t> bytes) {
  if (bytes.size() < 4) return false;
  const uint32_t magic = big32(bytes, 0);  // "II" or "MM", and 42 or, for BigTIFF, 43
  return magic == 0x49492A00 || magic == 0x4D4D002A || magic == 0x49492B00 || magic == 0x4D4D002B;
}

ImageHeader read_header(const ImageFile& file) { return TiffReader(file).header(); }

void decode(const ImageFile& file, const ImageHeader& header, const Box& box, const DecodeOptions&,
            uint8_t* out) {
  const auto pixels = TiffReader(file).read(header);
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    for (int64_t x = box.left; x < box.left + box.width; ++x) {
      const uint32_t pixel = pixels[static_cast<size_t>(y * header.width + x)];
      *out++ = TIFFGetR(pixel);
      *out++ = TIFFGetG(pixel);
      *out++ = TIFFGetB(pixel);
    }
  }
}

}  // namespace

const ImageFormat kTiffFormat{"TIFF", matches, read_header, decode};

}  // namespace dnc
