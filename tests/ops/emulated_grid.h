#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <vector>

/// The kernels of ops/cuda as functions of this processor: what they use of CUDA's language, and a
/// grid whose threads take turns. Include it after everything else and before the kernels' headers.
///
/// A thread runs until it waits for others, so a kernel that reads what another thread has not yet
/// written finds the wrong number each time; emulate() runs the threads of a block from first to
/// last, or from last to first, and a test does both.
namespace dnc::emulated {

struct Place {
  unsigned x = 0;
  unsigned y = 0;
};
inline Place thread_place, block_place, block_size, grid_size;

/// A block: its threads as coroutines.
class Block {
 public:
  static constexpr size_t kStack = 32 * 1024;
  static constexpr unsigned kWarp = 32;

  Block(unsigned threads, bool backwards, const std::function<void()>& body)
      : threads_(threads), backwards_(backwards), body_(body) {
    if (stacks_.size() < threads * kStack) stacks_.resize(threads * kStack);
    for (unsigned i = 0; i < threads; ++i) {
      getcontext(&threads_[i].context);
      threads_[i].context.uc_stack.ss_sp = stacks_.data() + i * kStack;
      threads_[i].context.uc_stack.ss_size = kStack;
      threads_[i].context.uc_link = &scheduler_;
      makecontext(&threads_[i].context, enter, 0);
    }
  }

  void run() {
    running_ = this;
    while (true) {
      bool ran = false, live = false;
      for (unsigned n = 0; n < threads_.size(); ++n) {
        const unsigned i = backwards_ ? static_cast<unsigned>(threads_.size()) - 1 - n : n;
        if (threads_[i].state == State::kReady) {
          ran = true;
          resume(i);
        }
        live = live || threads_[i].state != State::kDone;
      }
      if (!live) return;
      release_warps();
      release_block();
      if (!ran) throw std::logic_error("the threads of a block wait for different things");
    }
  }

  /// Gives way until all threads of the block, or of the own warp, that still run are here too.
  void wait(bool whole_block) {
    threads_[current_].state = whole_block ? State::kAtBarrier : State::kAtWarp;
    swapcontext(&threads_[current_].context, &scheduler_);
  }

  static Block& running() { return *running_; }
  float& slot(unsigned thread) { return threads_[thread].slot; }

 private:
  enum class State { kReady, kAtBarrier, kAtWarp, kDone };
  struct Thread {
    ucontext_t context{};
    State state = State::kReady;
    float slot = 0;  // what it hands to its warp
  };

  static void enter() {
    auto& block = *running_;
    block.body_();
    block.threads_[block.current_].state = State::kDone;
  }

  void resume(unsigned i) {
    current_ = i;
    thread_place = {i, 0};
    swapcontext(&scheduler_, &threads_[i].context);
  }

  void release(size_t begin, size_t end, State state) {
    for (size_t i = begin; i < end; ++i) {
      if (threads_[i].state != state && threads_[i].state != State::kDone) return;
    }
    for (size_t i = begin; i < end; ++i) {
      if (threads_[i].state == state) threads_[i].state = State::kReady;
    }
  }
  void release_warps() {
    for (size_t i = 0; i < threads_.size(); i += kWarp) {
      release(i, std::min<size_t>(i + kWarp, threads_.size()), State::kAtWarp);
    }
  }
  void release_block() { release(0, threads_.size(), State::kAtBarrier); }

  inline static Block* running_ = nullptr;
  inline static std::vector<char> stacks_;  // of one block after the other
  std::vector<Thread> threads_;
  bool backwards_;
  const std::function<void()>& body_;
  ucontext_t scheduler_{};
  unsigned current_ = 0;
};

/// What kernel<<<grid, threads>>>() does, where body() calls the kernel.
inline void emulate(Place grid, unsigned threads, bool backwards,
                    const std::function<void()>& body) {
  grid_size = grid;
  block_size = {threads, 1};
  for (unsigned y = 0; y < grid.y; ++y) {
    for (unsigned x = 0; x < grid.x; ++x) {
      block_place = {x, y};
      Block(threads, backwards, body).run();
    }
  }
}

inline float exchange(float value, unsigned other) {
  auto& block = Block::running();
  block.slot(thread_place.x) = value;
  block.wait(false);
  const float found = block.slot(thread_place.x ^ other);
  block.wait(false);
  return found;
}

template <typename T>
void add(T* to, T value) {
  *to += value;
}

}  // namespace dnc::emulated

namespace dnc::cuda {

template <typename T>
T* shared_memory() {
  alignas(16) static unsigned char memory[96 * 1024];
  return reinterpret_cast<T*>(memory);
}

}  // namespace dnc::cuda

// CUDA's own words, so that the kernels' sources compile as they are.
#define __global__
#define __device__
#define __shared__ static
#define threadIdx ::dnc::emulated::thread_place
#define blockIdx ::dnc::emulated::block_place
#define blockDim ::dnc::emulated::block_size
#define gridDim ::dnc::emulated::grid_size
#define atomicAdd ::dnc::emulated::add
#define __syncthreads() ::dnc::emulated::Block::running().wait(true)
#define __shfl_xor_sync(mask, value, other) ::dnc::emulated::exchange(value, other)
