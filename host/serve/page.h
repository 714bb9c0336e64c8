#pragma once

#include <string>

#include "host/predict/inference_model.h"

namespace dnc::serve {

/// The page at /: drop an image on it and see its classes and, where the server explains, why. One
/// file in itself; it speaks to POST /predict of the server that it came from and to nobody else.
std::string page(const InferenceInfo& model, bool explains);

/// The Content-Security-Policy that it is sent with.
inline constexpr const char* kPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

}  // namespace dnc::serve
