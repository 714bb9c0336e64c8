#pragma once

#include "registry/error.h"

namespace dnc::serve {

/// A request that is refused, with the HTTP status that says whose fault it is.
class RequestError : public Error {
 public:
  RequestError(int status, const std::string& what) : Error(what), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

}  // namespace dnc::serve
