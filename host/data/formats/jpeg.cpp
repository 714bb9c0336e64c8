// JPEG through libjpeg-turbo. No other file names that library.
//
// libjpeg reports an error by a call that must not return, so it has to jump. The jumps stay inside
// JpegDecompressor::run: what they pass over holds nothing that needs a destructor.

// jpeglib.h needs FILE.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
// clang-format on
#include <fmt/format.h>
#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <vector>

#include "host/data/formats/format.h"

namespace dnc {
namespace {

constexpr int kExifMarker = JPEG_APP0 + 1;

// Decodes one file after the other with the same libjpeg object, whose creation costs more than a
// header.
class JpegDecompressor {
 public:
  JpegDecompressor();
  ~JpegDecompressor() { jpeg_destroy_decompress(&info_); }
  JpegDecompressor(const JpegDecompressor&) = delete;
  JpegDecompressor& operator=(const JpegDecompressor&) = delete;

  ImageHeader read_header(const ImageFile& file);
  // `box` of the image at 1/factor of its size; the factor is 1, 2, 4 or 8.
  void decode(const ImageFile& file, int64_t factor, const Box& box, const DecodeOptions& options,
              uint8_t* out);

 private:
  // What the C callbacks see: libjpeg hands them the first member.
  struct Errors {
    jpeg_error_mgr base;
    std::jmp_buf jump;
    bool tolerate_damage;
    bool too_many_scans;
    char message[JMSG_LENGTH_MAX];
  };
  struct Progress {
    jpeg_progress_mgr base;
    int64_t max_scans;
  };

  [[noreturn]] static void on_error(j_common_ptr info);
  static void on_warning(j_common_ptr info, int level);
  static void on_progress(j_common_ptr info);

  template <typename Steps>
  bool run(Steps&& steps);
  void start(const ImageFile& file);
  void read_rows(const Box& box, uint8_t* out);
  [[noreturn]] void fail_header(const ImageFile& file);
  [[noreturn]] void fail_rows(const ImageFile& file, const DecodeOptions& options);
  void put_row(const JSAMPLE* row, int64_t width, uint8_t* out) const;

  jpeg_decompress_struct info_{};
  Errors errors_{};
  Progress progress_{};
  std::vector<JSAMPLE> row_;
};

JpegDecompressor::JpegDecompressor() {
  info_.err = jpeg_std_error(&errors_.base);
  errors_.base.error_exit = on_error;
  errors_.base.emit_message = on_warning;
  progress_.base.progress_monitor = on_progress;
  if (!run([&] { jpeg_create_decompress(&info_); })) throw std::bad_alloc();
  info_.progress = &progress_.base;
}

void JpegDecompressor::on_error(j_common_ptr info) {
  auto* const errors = reinterpret_cast<Errors*>(info->err);
  (*errors->base.format_message)(info, errors->message);
  std::longjmp(errors->jump, 1);
}

// Bytes that stand between two parts and the like do no harm. The warnings below mean that pixels
// are missing or wrong; without a stop here libjpeg would invent them.
void JpegDecompressor::on_warning(j_common_ptr info, int level) {
  const auto* const errors = reinterpret_cast<Errors*>(info->err);
  if (level >= 0 || errors->tolerate_damage) return;
  switch (errors->base.msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
      on_error(info);
    default:
      return;
  }
}

void JpegDecompressor::on_progress(j_common_ptr info) {
  const int64_t limit = reinterpret_cast<const Progress*>(info->progress)->max_scans;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= limit) return;
  auto* const errors = reinterpret_cast<Errors*>(info->err);
  errors->too_many_scans = true;
  std::longjmp(errors->jump, 1);
}

// False where libjpeg met an error: fail_header() or fail_rows() say which.
template <typename Steps>
bool JpegDecompressor::run(Steps&& steps) {
  if (setjmp(errors_.jump) != 0) return false;
  steps();
  return true;
}

void JpegDecompressor::start(const ImageFile& file) {
  jpeg_mem_src(&info_, file.bytes.data(), file.bytes.size());
  jpeg_save_markers(&info_, kExifMarker, 0xFFFF);
  jpeg_read_header(&info_, TRUE);
}

ImageHeader JpegDecompressor::read_header(const ImageFile& file) {
  errors_.tolerate_damage = false;
  if (!run([&] { start(file); })) fail_header(file);
  ImageHeader header{info_.image_height, info_.image_width};
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (auto* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
    const std::span data(marker->data, marker->data_length);
    if (marker->marker == kExifMarker && data.size() > kExif.size() &&
        std::memcmp(data.data(), kExif.data(), kExif.size()) == 0) {
      header.orientation = read_exif_orientation(data.subspan(kExif.size()));
    }
  }
  jpeg_abort_decompress(&info_);
  return header;
}

void JpegDecompressor::decode(const ImageFile& file, int64_t factor, const Box& box,
                              const DecodeOptions& options, uint8_t* out) {
  errors_.tolerate_damage = options.tolerate_damage;
  progress_.max_scans = options.max_scans;
  errors_.too_many_scans = false;
  const bool started = run([&] {
    start(file);
    const bool is_cmyk = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
    // Each block of 8 x 8 pixels is turned into one of 8 / factor, from its lowest frequencies.
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(factor);
  });
  if (!started) fail_header(file);
  row_.resize(static_cast<size_t>(info_.image_width) * 4);  // outside run: it may throw
  if (!run([&] { read_rows(box, out); })) fail_rows(file, options);
  jpeg_abort_decompress(&info_);  // the rows below the box are of no interest
}

void JpegDecompressor::read_rows(const Box& box, uint8_t* out) {
  jpeg_start_decompress(&info_);
  // Colour is often stored at half the size and smoothed when it is doubled. Two more pixels on
  // either side give each pixel of the box the neighbours that it has in the whole image.
  const int64_t left = std::max<int64_t>(box.left - 2, 0);
  const int64_t right = std::min<int64_t>(box.left + box.width + 2, info_.output_width);
  JDIMENSION offset = static_cast<JDIMENSION>(left);
  JDIMENSION width = static_cast<JDIMENSION>(right - left);
  if (width < info_.output_width) {
    jpeg_crop_scanline(&info_, &offset, &width);  // moves the offset left to a whole block
  } else {
    offset = 0;
  }
  if (box.top > 0) jpeg_skip_scanlines(&info_, static_cast<JDIMENSION>(box.top));
  JSAMPLE* row = row_.data();
  const JSAMPLE* const begin = row + (box.left - offset) * info_.output_components;
  for (int64_t y = 0; y < box.height; ++y) {
    jpeg_read_scanlines(&info_, &row, 1);
    put_row(begin, box.width, out + y * box.width * 3);
  }
}

// RGB as it is; CMYK the way Pillow converts it: stored inverted, as Adobe does, with the product
// of ink and light rounded to 8 bits.
void JpegDecompressor::put_row(const JSAMPLE* row, int64_t width, uint8_t* out) const {
  if (info_.out_color_space == JCS_RGB) {
    std::copy_n(row, width * 3, out);
    return;
  }
  for (int64_t x = 0; x < width; ++x) {
    const int light = row[4 * x + 3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - row[4 * x + c]) * light + 128;
      out[3 * x + c] = static_cast<uint8_t>(light - ((product + (product >> 8)) >> 8));
    }
  }
}

void JpegDecompressor::fail_header(const ImageFile& file) {
  jpeg_abort_decompress(&info_);
  if (errors_.base.msg_code == JWRN_JPEG_EOF) file.fail("the JPEG ends early (in its header)");
  file.fail(fmt::format("the JPEG is damaged ({})", errors_.message));
}

void JpegDecompressor::fail_rows(const ImageFile& file, const DecodeOptions& options) {
  const int64_t height = info_.image_height;
  const int64_t rows =
      static_cast<int64_t>(info_.input_iMCU_row) * info_.max_v_samp_factor * DCTSIZE;
  const auto place = fmt::format("after row {} of {}", std::min(rows, height), height);
  jpeg_abort_decompress(&info_);
  if (errors_.too_many_scans) {
    file.fail(
        fmt::format("the JPEG has more than {} scans, which no camera writes; each costs as "
                    "much time as an image",
                    options.max_scans));
  }
  if (errors_.base.msg_code == JWRN_JPEG_EOF) {
    file.fail(fmt::format("the JPEG ends early ({})", place));
  }
  file.fail(fmt::format("the JPEG is damaged {} ({})", place, errors_.message));
}

JpegDecompressor& decompressor() {
  thread_local JpegDecompressor object;
  return object;
}

bool matches(std::span<const uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

ImageHeader read_header(const ImageFile& file) { return decompressor().read_header(file); }

void decode(const ImageFile& file, const ImageHeader&, const Box& box, const DecodeOptions& options,
            uint8_t* out) {
  decompressor().decode(file, 1, box, options, out);
}

void decode_reduced(const ImageFile& file, int64_t factor, const Box& box,
                    const DecodeOptions& options, uint8_t* out) {
  decompressor().decode(file, factor, box, options, out);
}

}  // namespace

const ImageFormat kJpegFormat{"JPEG", matches, read_header, decode, decode_reduced};

}  // namespace dnc
