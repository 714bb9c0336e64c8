#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "host/serve/service.h"

namespace dnc::serve {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;           // 0: one that is free
  int64_t connections = 64;  // threads: each serves one connection, further ones wait
  int64_t max_body = 16 << 20;
  std::chrono::seconds io_timeout{10};  // that a client may be silent in the middle of a request
};

/// HTTP/1.1 around a handler of requests: reads them within the limits and sends the answers.
class HttpServer {
 public:
  using Handler = std::function<Response(const Request&)>;

  /// Binds the port. Throws Error where that is not possible.
  HttpServer(const HttpOptions& options, Handler handler);
  ~HttpServer();

  int port() const { return port_; }
  /// Serves until stop(); returns when the last accepted request is answered.
  void run();
  /// Accepts nothing more. May be called by any thread, also before run().
  void stop();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
  int port_ = 0;
};

}  // namespace dnc::serve
