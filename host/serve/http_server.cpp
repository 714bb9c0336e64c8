#include "host/serve/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "host/serve/open_inference.h"
#include "registry/error.h"

namespace dnc::serve {
namespace {

constexpr const char* kHeaderLength = "Inference-Header-Content-Length";
constexpr const char* kNoSniff = "X-Content-Type-Options";  // on each answer of ours
constexpr int kKeepAliveSeconds = 5;
constexpr int kBacklog = 1024;
// Of a body that is too large so much more is read and dropped, as a multiple of the limit: a
// client that is still sending does not see the answer.
constexpr size_t kDrained = 4;
// Bytes of a body in a second. Below that, a client that is never quite silent would hold its
// thread for hours.
constexpr double kSlowest = 16 * 1024;

// The body of a request as it comes in, up to the limit.
class BodyReader {
 public:
  BodyReader(size_t limit, std::chrono::seconds grace) : limit_(limit), grace_(grace) {}

  // Whether to go on; what is not kept counts all the same.
  bool add(const char* data, size_t size, bool keep) {
    received_ += size;
    if (keep && received_ <= limit_) body_.append(data, size);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
    too_slow_ = took > grace_ + std::chrono::duration<double>(received_ / kSlowest);
    return !too_slow_ && received_ <= limit_ * kDrained;
  }
  bool too_large() const { return received_ > limit_; }
  bool too_slow() const { return too_slow_; }
  std::string take() { return std::move(body_); }

 private:
  size_t limit_;
  std::chrono::seconds grace_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  size_t received_ = 0;
  bool too_slow_ = false;
  std::string body_;
};

// Of multipart/form-data the first part is kept.
bool read_body(const httplib::Request& request, const httplib::ContentReader& read,
               BodyReader& body) {
  if (!request.is_multipart_form_data()) {
    return read([&](const char* data, size_t size) { return body.add(data, size, true); });
  }
  int part = 0;
  return read(
      [&](const auto&) {
        ++part;
        return true;
      },
      [&](const char* data, size_t size) { return body.add(data, size, part == 1); });
}

void send(Response answer, httplib::Response& out) {
  out.status = answer.status;
  for (const auto& [name, value] : answer.headers) out.set_header(name, value);
  out.set_header(kNoSniff, "nosniff");
  out.set_header("Content-Type", answer.type);
  out.body = std::move(answer.body);
}

// Sends an error and ends the connection: what is left of the request must not be read as the next
// one. A provider that returns false after its last byte does that.
void send_and_close(int status, const std::string& message, httplib::Response& out) {
  out.status = status;
  out.set_header(kNoSniff, "nosniff");
  const auto body = std::make_shared<std::string>(error_body(message));
  out.set_content_provider(body->size(), "application/json",
                           [body](size_t, size_t, httplib::DataSink& sink) {
                             sink.write(body->data(), body->size());
                             return false;
                           });
}

Request plain_request(const httplib::Request& request) {
  Request plain;
  plain.method = request.method == "HEAD" ? "GET" : request.method;
  plain.path = request.path;
  for (const auto& [name, value] : request.params) plain.query.emplace(name, value);
  if (request.has_header(kHeaderLength)) {
    plain.header_length = request.get_header_value(kHeaderLength);
  }
  return plain;
}

}  // namespace

struct HttpServer::Implementation {
  httplib::Server server;
  int socket = -1;
  std::atomic<bool> stopped = false;
};

HttpServer::HttpServer(const HttpOptions& options, Handler handler)
    : implementation_(std::make_unique<Implementation>()) {
  auto& server = implementation_->server;
  const auto limit = static_cast<size_t>(options.max_body);
  server.new_task_queue = [count = static_cast<size_t>(options.connections)] {
    return new httplib::ThreadPool(count);
  };
  server.set_keep_alive_max_count(1'000'000);
  server.set_keep_alive_timeout(kKeepAliveSeconds);
  server.set_read_timeout(options.io_timeout.count());
  server.set_write_timeout(options.io_timeout.count());
  server.set_tcp_nodelay(true);
  // Without SO_REUSEPORT, which the library sets by itself: two servers could share one port.
  server.set_socket_options([this](auto socket) {
    implementation_->socket = static_cast<int>(socket);
    const int yes = 1;
    setsockopt(implementation_->socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.Get(".*", [handler](const httplib::Request& request, httplib::Response& out) {
    send(handler(plain_request(request)), out);
  });
  // An answer is always whole. The library would make a copy of it for each range that is asked
  // for, and a line of a request has room for thousands.
  server.set_pre_routing_handler([](const httplib::Request& request, httplib::Response&) {
    const_cast<httplib::Request&>(request).ranges.clear();
    return httplib::Server::HandlerResponse::Unhandled;
  });
  server.Post(".*", [handler, limit, grace = options.io_timeout](
                        const httplib::Request& request, httplib::Response& out,
                        const httplib::ContentReader& read) {
    BodyReader body(limit, grace);
    const bool whole = read_body(request, read, body);
    if (body.too_slow()) {
      return send_and_close(408, "the body comes too slowly: less than 16 kB in a second", out);
    }
    if (body.too_large()) {
      return send_and_close(
          413, fmt::format("the body is larger than the limit of {} bytes", limit), out);
    }
    if (!whole) return send_and_close(400, "the body ends early or is damaged", out);
    auto plain = plain_request(request);
    plain.body = body.take();
    send(handler(plain), out);
  });
  server.set_error_handler([](const httplib::Request& request, httplib::Response& out) {
    if (out.has_header(kNoSniff)) return;  // it has its own words
    const auto message = out.status == 404
                             ? "the server takes GET and POST, not " + request.method.substr(0, 20)
                             : fmt::format("the request cannot be read (status {})", out.status);
    if (out.status == 404) out.status = 405;
    out.set_content(error_body(message), "application/json");
  });

  port_ = options.port;
  if (options.port == 0) {
    port_ = server.bind_to_any_port(options.host);
  } else if (!server.bind_to_port(options.host, options.port)) {
    port_ = -1;
  }
  if (port_ < 0) {
    throw Error(fmt::format("--port: cannot listen on {}:{}: {}", options.host, options.port,
                            errno != 0 ? std::strerror(errno) : "no such address"));
  }
  // The library's own backlog is 5 connections.
  listen(implementation_->socket, kBacklog);
}

HttpServer::~HttpServer() = default;

void HttpServer::run() {
  auto& server = implementation_->server;
  auto& stopped = implementation_->stopped;
  std::atomic<bool> over = false;
  std::thread watch([&server, &stopped, &over] {
    stopped.wait(false);
    // The library can only be stopped while it listens.
    while (!over && !server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    server.stop();
  });
  server.listen_after_bind();
  over = true;
  stop();
  watch.join();
}

void HttpServer::stop() {
  implementation_->stopped = true;
  implementation_->stopped.notify_all();
}

}  // namespace dnc::serve
