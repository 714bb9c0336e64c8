#include "host/serve/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

namespace dnc::serve {
namespace {

using namespace std::chrono_literals;

/// What a client is answered that sends a byte now and then, for at most 20 seconds.
std::string answer_to_trickle(int port, const std::string& header) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  send(fd, header.data(), header.size(), MSG_NOSIGNAL);
  std::string answer;
  for (int i = 0; i < 100; ++i) {
    pollfd ready{fd, POLLIN, 0};
    if (poll(&ready, 1, 200) > 0) {
      std::array<char, 4096> bytes{};
      const auto size = recv(fd, bytes.data(), bytes.size(), 0);
      if (size <= 0) break;
      answer.append(bytes.data(), static_cast<size_t>(size));
    } else if (answer.empty()) {
      send(fd, "x", 1, MSG_NOSIGNAL);
    }
  }
  close(fd);
  return answer;
}

TEST(HttpServer, ABodyThatTricklesInDoesNotHoldAThreadForEver) {
  HttpServer server({.port = 0, .connections = 1, .io_timeout = 1s},
                    [](const Request&) { return Response{.body = "answered"}; });
  std::thread thread([&] { server.run(); });
  const auto answer =
      answer_to_trickle(server.port(), "POST /predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(answer, testing::HasSubstr("the body comes too slowly"));
  server.stop();
  thread.join();
}

}  // namespace
}  // namespace dnc::serve
