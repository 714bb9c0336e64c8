#pragma once

#include <torch/types.h>

namespace dnc {

/// How often each label met each prediction: int64 [classes, classes], labels down and predictions
/// across. Both are int64 of one shape; pairs with a number outside [0, classes) are left out.
torch::Tensor count_confusion(const torch::Tensor& predictions, const torch::Tensor& labels,
                              int64_t classes);

}  // namespace dnc
