#include "host/report/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <boost/crc.hpp>
#include <cerrno>
#include <chrono>

#include "host/data/encode_png.h"
#include "host/files.h"

namespace dnc {
namespace {

// The few pieces of the protocol buffer encoding that an event needs.
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

template <typename T>
void put_fixed(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_key(std::string& out, int field, WireType type) {
  put_varint(out, static_cast<uint64_t>(field << 3 | type));
}

void put_bytes(std::string& out, int field, const std::string& bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// The fields of tensorflow/core/util/event.proto.
std::string event_head(int64_t step) {
  std::string event;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  put_key(event, 1, kFixed64);
  put_fixed(event, std::chrono::duration<double>(now).count());
  put_key(event, 2, kVarint);
  put_varint(event, static_cast<uint64_t>(step));
  return event;
}

// TFRecord's checksum: CRC-32C, rotated and shifted so that a CRC of CRCs stays meaningful.
uint32_t masked_crc(const std::string& bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return std::rotr(static_cast<uint32_t>(crc.checksum()), 15) + 0xA282EAD8u;
}

}  // namespace

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder) {
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const auto path =
      folder / fmt::format("events.out.tfevents.{}.{}.{}", seconds.count(), host, getpid());
  file_.open(path, std::ios::binary);
  if (!file_) throw FileError(path, "written", errno);
  std::string event = event_head(0);
  put_bytes(event, 3, "brain.Event:2");
  write_record(event);
}

void TensorBoardWriter::add_scalars(int64_t step,
                                    const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [name, number] : scalars) {
    std::string value;
    put_bytes(value, 1, name);
    put_key(value, 2, kFixed32);
    put_fixed(value, static_cast<float>(number));
    put_bytes(summary, 1, value);
  }
  write_summary(step, summary);
}

void TensorBoardWriter::add_image(int64_t step, const std::string& name, const Image& image) {
  const auto png = encode_png(image);
  std::string fields;  // of Summary.Image
  for (const auto& [field, value] :
       {std::pair{1, image.height()}, {2, image.width()}, {3, image.channels()}}) {
    put_key(fields, field, kVarint);
    put_varint(fields, static_cast<uint64_t>(value));  // 1 channel is gray, 3 are RGB
  }
  put_bytes(fields, 4, {png.begin(), png.end()});
  std::string value, summary;
  put_bytes(value, 1, name);
  put_bytes(value, 4, fields);
  put_bytes(summary, 1, value);
  write_summary(step, summary);
}

void TensorBoardWriter::write_summary(int64_t step, const std::string& summary) {
  std::string event = event_head(step);
  put_bytes(event, 5, summary);
  write_record(event);
}

void TensorBoardWriter::write_record(const std::string& event) {
  std::string length;
  put_fixed(length, static_cast<uint64_t>(event.size()));
  std::string record = length;
  put_fixed(record, masked_crc(length));
  record += event;
  put_fixed(record, masked_crc(event));
  file_.write(record.data(), static_cast<std::streamsize>(record.size()));
}

}  // namespace dnc
