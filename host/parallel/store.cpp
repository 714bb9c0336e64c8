#include "host/parallel/store.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "registry/error.h"

namespace dnc {
namespace {

/// A listening socket, for the store's server to take over: by itself it would listen on all
/// interfaces, also where the ranks are on one machine.
int listen_on(uint16_t port, bool loopback) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(loopback ? INADDR_LOOPBACK : INADDR_ANY);
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      listen(fd, 1024) == 0) {
    return fd;
  }
  const int reason = errno;
  if (fd >= 0) close(fd);
  if (reason == EADDRINUSE) {
    throw Error(fmt::format(
        "port {}: is in use by another program (or another job) on this machine; set MASTER_PORT "
        "to a free one, for all ranks",
        port));
  }
  throw Error(fmt::format("port {}: cannot be listened on: {}", port, std::strerror(reason)));
}

uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

c10::intrusive_ptr<c10d::Store> make_store(const std::string& host, uint16_t port, int listening,
                                           std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = listening >= 0;
  if (options.isServer) options.masterListenFd = listening;
  options.waitWorkers = false;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::TCPStore>(host, options);
}

}  // namespace

c10::intrusive_ptr<c10d::Store> open_store(const RankEnvironment& environment,
                                           std::chrono::milliseconds timeout) {
  const bool serves = environment.rank == 0 && !environment.agent_store;
  const int listening = serves ? listen_on(environment.port, environment.one_machine()) : -1;
  try {
    return store_of_restart(make_store(environment.address, environment.port, listening, timeout),
                            environment.restart);
  } catch (const c10::Error& error) {
    throw Error(fmt::format(
        "{}:{}: {} cannot be reached there ({} ranks by {}, MASTER_ADDR and MASTER_PORT): {}",
        environment.address, environment.port, environment.agent_store ? "the launcher" : "rank 0",
        environment.size, environment.launcher, error.what_without_backtrace()));
  }
}

std::pair<c10::intrusive_ptr<c10d::Store>, uint16_t> serve_store() {
  const int listening = listen_on(0, /*loopback=*/true);
  const auto port = port_of(listening);
  return {make_store("127.0.0.1", port, listening, std::chrono::seconds(60)), port};
}

c10::intrusive_ptr<c10d::Store> store_of_restart(const c10::intrusive_ptr<c10d::Store>& store,
                                                 int64_t restart) {
  return c10::make_intrusive<c10d::PrefixStore>(fmt::format("dnc-host/{}", restart), store);
}

}  // namespace dnc
