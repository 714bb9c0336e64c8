#pragma once

#include <array>
#include <string>

#include "registry/export.h"

namespace dnc {

class Backbone;
class DecodeHead;
class Head;
class Loss;
class Dataset;
class Transform;
class BatchTransform;
class Metric;
class Optimizer;
class Schedule;
class Hook;

/// The kinds of components. A name is unique within its kind.
enum class Kind {
  kBackbone,
  kDecodeHead,
  kHead,
  kLoss,
  kDataset,
  kTransform,
  kBatchTransform,
  kMetric,
  kOptimizer,
  kSchedule,
  kHook,
};

inline constexpr std::array kAllKinds = {
    Kind::kBackbone,  Kind::kDecodeHead,     Kind::kHead,   Kind::kLoss,      Kind::kDataset,
    Kind::kTransform, Kind::kBatchTransform, Kind::kMetric, Kind::kOptimizer, Kind::kSchedule,
    Kind::kHook};

/// "backbone", "decode_head", ...: as in configs and on the command line.
DNC_EXPORT std::string kind_name(Kind kind);

/// The kind that an interface stands for: KindOf<Backbone>::value == Kind::kBackbone.
template <typename Interface>
struct KindOf;
template <> struct KindOf<Backbone> { static constexpr Kind value = Kind::kBackbone; };
template <> struct KindOf<DecodeHead> { static constexpr Kind value = Kind::kDecodeHead; };
template <> struct KindOf<Head> { static constexpr Kind value = Kind::kHead; };
template <> struct KindOf<Loss> { static constexpr Kind value = Kind::kLoss; };
template <> struct KindOf<Dataset> { static constexpr Kind value = Kind::kDataset; };
template <> struct KindOf<Transform> { static constexpr Kind value = Kind::kTransform; };
template <> struct KindOf<BatchTransform> { static constexpr Kind value = Kind::kBatchTransform; };
template <> struct KindOf<Metric> { static constexpr Kind value = Kind::kMetric; };
template <> struct KindOf<Optimizer> { static constexpr Kind value = Kind::kOptimizer; };
template <> struct KindOf<Schedule> { static constexpr Kind value = Kind::kSchedule; };
template <> struct KindOf<Hook> { static constexpr Kind value = Kind::kHook; };

}  // namespace dnc
