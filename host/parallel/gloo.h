#pragma once

#include <chrono>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace dnc {

/// Collectives over TCP, for tensors of the CPU. `loopback` for ranks of one machine, unless
/// GLOO_SOCKET_IFNAME names an interface; else the address is the one that the host name resolves
/// to. Every rank makes it at once.
c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                            int64_t rank, int64_t size,
                                            std::chrono::milliseconds timeout, bool loopback);

}  // namespace dnc
