#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/comparison.h"

namespace dnc::report {

/// A PNG of 2 x 3 pixels in base64.
inline constexpr const char* kTinyPng =
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAAAAACcgYFdAAAAEUlEQVR4nGNkZGRhYmRhYgQAAFgAEoLsaykAAAAASUVO"
    "RK5CYII=";

/// A finished run of two classes, with `accuracy` as its main figure: three evaluations, four
/// logged steps, per-class and confusion tables.
RunRecord fake_run(const std::string& name, int64_t seed, double accuracy);

/// The same with a head that has two prototypes a class.
RunRecord fake_prototype_run(const std::string& name, int64_t seed, double accuracy);

/// "linear" with accuracies 0.90, 0.92, 0.91 and "centroids" with 0.91, 0.94, 0.94, seeds 0 to 2;
/// "centroids" has prototypes.
Comparison fake_comparison();

}  // namespace dnc::report
