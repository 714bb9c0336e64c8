#include "registry/kind.h"

namespace dnc {

std::string kind_name(Kind kind) {
  switch (kind) {
    case Kind::kBackbone:
      return "backbone";
    case Kind::kDecodeHead:
      return "decode_head";
    case Kind::kHead:
      return "head";
    case Kind::kLoss:
      return "loss";
    case Kind::kDataset:
      return "dataset";
    case Kind::kTransform:
      return "transform";
    case Kind::kBatchTransform:
      return "batch_transform";
    case Kind::kMetric:
      return "metric";
    case Kind::kOptimizer:
      return "optimizer";
    case Kind::kSchedule:
      return "schedule";
    case Kind::kHook:
      return "hook";
  }
  return "";
}

}  // namespace dnc
