#pragma once

#include "registry/error.h"

namespace dnc {

/// The bytes of a file are not what its format says. The message begins with the file. Whoever
/// reads it knows what the file was for, and throws the error that fits: CheckpointError,
/// DataError.
class FormatError : public Error {
 public:
  using Error::Error;
};

/// The same of a pickle: "FILE: the pickle is wrong at byte N: WHAT".
class PickleError : public FormatError {
 public:
  using FormatError::FormatError;
};

}  // namespace dnc
