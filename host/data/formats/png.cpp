// PNG through libpng. No other file names that library. As in jpeg.cpp, its errors jump, and the
// jumps stay inside PngReader::run.

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "host/data/encode_png.h"
#include "host/data/formats/format.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr uint8_t kSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

// Reads one file from memory, row by row.
class PngReader {
 public:
  /// Reads the header.
  explicit PngReader(const ImageFile& file);
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  int64_t height() const { return png_get_image_height(png_, info_); }
  int64_t width() const { return png_get_image_width(png_, info_); }
  int bit_depth() const { return png_get_bit_depth(png_, info_); }
  int color_type() const { return png_get_color_type(png_, info_); }

  /// Three bytes a pixel, whatever is in the file.
  void convert_to_rgb();
  /// One byte a pixel, of gray or palette pixels of at most 8 bits.
  void unpack();
  /// `box` of the image; only the rows down to its last one are read, unless the file is
  /// interlaced.
  void read(const Box& box, int64_t channels, uint8_t* out);

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message);
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, size_t size);

  template <typename Steps>
  void run(Steps&& steps);

  const ImageFile& file_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  size_t position_ = 0;  // in the file
  bool is_short_ = false;
  int64_t row_ = 0;
  std::jmp_buf jump_{};
  char message_[200] = {};
};

PngReader::PngReader(const ImageFile& file) : file_(file) {
  png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
  if (png_ != nullptr) info_ = png_create_info_struct(png_);
  if (info_ == nullptr) {
    png_destroy_read_struct(&png_, &info_, nullptr);
    throw std::bad_alloc();
  }
  png_set_read_fn(png_, this, on_read);
  // All chunks that do not make pixels are passed over. libpng would believe their lengths.
  png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  try {
    run([&] { png_read_info(png_, info_); });
  } catch (...) {  // the destructor of an object that was not finished does not run
    png_destroy_read_struct(&png_, &info_, nullptr);
    throw;
  }
}

void PngReader::on_error(png_structp png, png_const_charp message) {
  auto* const self = static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(self->message_, message, sizeof(self->message_) - 1);
  std::longjmp(self->jump_, 1);
}

void PngReader::on_read(png_structp png, png_bytep out, size_t size) {
  auto* const self = static_cast<PngReader*>(png_get_io_ptr(png));
  const auto& bytes = self->file_.bytes;
  if (size > bytes.size() - self->position_) {
    self->is_short_ = true;
    png_error(png, "end of file");
  }
  std::memcpy(out, bytes.data() + self->position_, size);
  self->position_ += size;
}

template <typename Steps>
void PngReader::run(Steps&& steps) {
  if (setjmp(jump_) == 0) {
    steps();
    return;
  }
  if (height() == 0) {
    file_.fail(is_short_ ? std::string("the PNG ends early (in its header)")
                         : fmt::format("the PNG is damaged ({})", message_));
  }
  const auto place = fmt::format("after row {} of {}", row_, height());
  file_.fail(is_short_ ? fmt::format("the PNG ends early ({})", place)
                       : fmt::format("the PNG is damaged {} ({})", place, message_));
}

void PngReader::convert_to_rgb() {
  run([&] {
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
  });
}

void PngReader::unpack() {
  run([&] { png_set_packing(png_); });
}

void PngReader::read(const Box& box, int64_t channels, uint8_t* out) {
  int passes = 1;
  run([&] {
    passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
  });
  const auto length = static_cast<size_t>(width() * channels);
  if (png_get_rowbytes(png_, info_) != length) file_.fail("the PNG has an unknown form of pixels");
  // An interlaced file fills all rows in seven passes; any other needs one row at a time.
  std::vector<uint8_t> rows(passes == 1 ? length : length * static_cast<size_t>(height()));
  const auto copy = [&](const uint8_t* row, int64_t y) {
    if (y < box.top) return;
    std::copy_n(row + box.left * channels, box.width * channels,
                out + (y - box.top) * box.width * channels);
  };
  if (passes == 1) {
    run([&] {
      for (row_ = 0; row_ < box.top + box.height; ++row_) {
        png_read_row(png_, rows.data(), nullptr);
        copy(rows.data(), row_);
      }
    });
    return;
  }
  run([&] {
    for (int pass = 0; pass < passes; ++pass) {
      for (row_ = 0; row_ < height(); ++row_) {
        png_read_row(png_, rows.data() + static_cast<size_t>(row_) * length, nullptr);
      }
    }
  });
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    copy(rows.data() + static_cast<size_t>(y) * length, y);
  }
}

bool matches(std::span<const uint8_t> bytes) {
  return bytes.size() >= sizeof(kSignature) &&
         std::memcmp(bytes.data(), kSignature, sizeof(kSignature)) == 0;
}

// Without libpng, which is slow to set up. A file is a row of chunks: length, type, data, checksum.
ImageHeader read_header(const ImageFile& file) {
  const std::span<const uint8_t> bytes(file.bytes);
  const auto type = [&](size_t at) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
  };
  size_t at = sizeof(kSignature);
  if (bytes.size() < at + 8 + 13) file.fail("the PNG ends early (in its header)");
  if (type(at) != "IHDR") file.fail("the PNG is damaged (it does not begin with its header)");
  ImageHeader header{big32(bytes, at + 12), big32(bytes, at + 8)};
  while (at + 8 <= bytes.size()) {
    const size_t length = big32(bytes, at);
    if (length > bytes.size() - at - 8) break;
    if (type(at) == "eXIf")
      header.orientation = read_exif_orientation(bytes.subspan(at + 8, length));
    at += 12 + length;
  }
  return header;
}

void decode(const ImageFile& file, const ImageHeader&, const Box& box, const DecodeOptions&,
            uint8_t* out) {
  PngReader reader(file);
  reader.convert_to_rgb();
  reader.read(box, 3, out);
}

const char* describe_color(int type) {
  switch (type) {
    case PNG_COLOR_TYPE_GRAY:
      return "gray";
    case PNG_COLOR_TYPE_PALETTE:
      return "palette";
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      return "gray with transparency";
    case PNG_COLOR_TYPE_RGB:
      return "RGB";
    default:
      return "RGB with transparency";
  }
}

}  // namespace

const ImageFormat kPngFormat{"PNG", matches, read_header, decode};

Image decode_png_labels(const ImageFile& file) {
  PngReader reader(file);
  const int type = reader.color_type();
  const bool is_index = type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_PALETTE;
  if (!is_index || reader.bit_depth() > 8) {
    file.fail(fmt::format(
        "label images are 8-bit gray or palette PNG files whose values are class ids; this one is "
        "{}, {} bits a channel",
        describe_color(type), reader.bit_depth()));
  }
  reader.unpack();
  Image labels(reader.height(), reader.width(), 1);
  reader.read({0, 0, reader.height(), reader.width()}, 1, labels.pixels());
  return labels;
}

std::vector<uint8_t> encode_png(const Image& image) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width());
  header.height = static_cast<png_uint_32>(image.height());
  header.format = image.channels() == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<uint8_t> bytes(size);
  if (!png_image_write_to_memory(&header, bytes.data(), &size, 0, image.pixels(), 0, nullptr)) {
    throw Error(std::string("a picture cannot be written as PNG: ") + header.message);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace dnc
