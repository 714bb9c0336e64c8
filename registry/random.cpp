#include "registry/random.h"

#include <cmath>
#include <numbers>

namespace dnc {
namespace {

// One Philox4x32 block of ten rounds.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53} * counter[0];
    const uint64_t second = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(second),
               static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

}  // namespace

Random::Random(uint64_t seed, Purpose purpose, uint64_t epoch, uint64_t index) {
  // The words of the counter: position in the stream, epoch, index. The purpose takes the top bits
  // of the epoch's word, which leaves 2^24 epochs.
  counter_ = {0, static_cast<uint32_t>(epoch) ^ (static_cast<uint32_t>(purpose) << 24),
              static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)};
  key_ = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}

uint32_t Random::operator()() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

double Random::uniform() {
  const uint64_t high = (*this)() >> 5;
  const uint64_t low = (*this)() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1.0p-53;
}

int64_t Random::integer(int64_t low, int64_t high) {
  // Unsigned: the range of two int64 may not fit into one.
  const auto range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  const uint64_t limit = (UINT64_MAX / range) * range;
  uint64_t value = 0;
  do {
    const uint64_t first = (*this)();
    value = (first << 32) | (*this)();
  } while (value >= limit);
  return static_cast<int64_t>(static_cast<uint64_t>(low) + value % range);
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace dnc
