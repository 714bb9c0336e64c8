#pragma once

#include <torch/types.h>

#include "registry/export.h"

namespace dnc {

/// How often each label met each prediction: int64 [classes, classes], labels down and predictions
/// across. Both are int64 of one shape; pairs with a number outside [0, classes) are left out.
DNC_EXPORT torch::Tensor count_confusion(const torch::Tensor& predictions,
                                         const torch::Tensor& labels, int64_t classes);

/// What it throws for arguments that do not fit.
DNC_EXPORT void check_count_confusion(const torch::Tensor& predictions, const torch::Tensor& labels,
                                      int64_t classes);

}  // namespace dnc
