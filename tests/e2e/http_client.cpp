#include "tests/e2e/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <stdexcept>

namespace dnc {
namespace {

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    throw std::runtime_error("nobody listens at port " + std::to_string(port));
  }
  return fd;
}

HttpAnswer parse(const std::string& text) {
  HttpAnswer answer;
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  std::istringstream lines(text.substr(0, end));
  std::string line;
  std::getline(lines, line);
  answer.status = std::stoi(line.substr(line.find(' ') + 1));
  while (std::getline(lines, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const auto colon = line.find(": ");
    auto name = line.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    answer.headers[name] = line.substr(colon + 2);
  }
  answer.body = text.substr(end + 4);
  return answer;
}

}  // namespace

HttpAnswer send_raw(int port, const std::string& bytes, bool end) {
  const int fd = connect_to(port);
  for (size_t sent = 0; sent < bytes.size();) {
    const auto count = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) break;  // the other side has heard enough; it may have answered
    sent += static_cast<size_t>(count);
  }
  if (end) shutdown(fd, SHUT_WR);
  std::string text;
  std::array<char, 65536> buffer{};
  while (true) {
    const auto count = recv(fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  close(fd);
  return parse(text);
}

HttpAnswer send_request(int port, const std::string& method, const std::string& target,
                        const std::string& body, const std::string& headers) {
  return send_raw(port, method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" +
                            "Connection: close\r\n" + headers +
                            "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

}  // namespace dnc
