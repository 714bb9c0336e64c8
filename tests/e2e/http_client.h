#pragma once

#include <map>
#include <string>

namespace dnc {

/// What a server answered; `status` 0 where it closed the connection without an answer.
struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

/// Sends bytes as they are to a port of this machine, and reads until the other side closes. `end`
/// says that nothing follows; a server may then take the client for gone.
HttpAnswer send_raw(int port, const std::string& bytes, bool end = false);

/// A whole request; the connection ends with it. `headers` are lines that end with \r\n.
HttpAnswer send_request(int port, const std::string& method, const std::string& target,
                        const std::string& body = "", const std::string& headers = "");

}  // namespace dnc
