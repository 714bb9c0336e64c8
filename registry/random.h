#pragma once

#include <array>
#include <cstdint>

#include "registry/export.h"

namespace dnc {

/// What a stream of random numbers is for; streams of different purposes are independent.
enum class Purpose : uint32_t { kShuffle = 1, kAugment = 2, kInit = 3, kSample = 4 };

/// Random numbers as a pure function of (seed, purpose, epoch, index), by Philox4x32-10 (Salmon et
/// al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The same sample of the same epoch
/// looks the same whatever the number of workers, ranks or resumes. Costs nothing to construct.
class DNC_EXPORT Random {
 public:
  using result_type = uint32_t;

  Random(uint64_t seed, Purpose purpose, uint64_t epoch, uint64_t index);

  static constexpr uint32_t min() { return 0; }
  static constexpr uint32_t max() { return 0xffffffffu; }
  uint32_t operator()();

  /// In [0, 1), 53 bits.
  double uniform();
  /// In [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// In [low, high), without modulo bias; `high` > `low`.
  int64_t integer(int64_t low, int64_t high);
  bool chance(double probability) { return uniform() < probability; }
  /// Mean 0, deviation 1 (Box and Muller).
  double normal();

 private:
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace dnc
