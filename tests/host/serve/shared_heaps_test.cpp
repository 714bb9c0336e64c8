#include "host/serve/shared_heaps.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host/environment.h"

namespace dnc::serve {
namespace {

constexpr size_t kMebibyte = 1 << 20;
constexpr size_t kBlock = 32 * kMebibyte;
constexpr int kThreads = 12;

// Memory that this process has now, in bytes.
size_t resident() {
  std::ifstream status("/proc/self/statm");
  size_t all = 0, pages = 0;
  status >> all >> pages;
  return pages * 4096;
}

// What is kept when each of several threads that live at once has needed a block, in turn.
size_t kept_by_threads() {
  const auto before = resident();
  std::barrier start(kThreads), end(kThreads);
  std::mutex turn;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      {
        const std::scoped_lock lock(turn);
        auto* const block = static_cast<volatile char*>(std::malloc(kBlock));
        for (size_t at = 0; at < kBlock; at += 4096) block[at] = 1;
        std::free(const_cast<char*>(block));
      }
      end.arrive_and_wait();
    });
  }
  for (auto& thread : threads) thread.join();
  return resident() - before;
}

// In a process of its own: heaps of threads that have ended would be used again.
TEST(SharedHeaps, DoNotGrowWithTheThreads) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        keep_freed_memory();
        share_heaps();
        std::_Exit(kept_by_threads() <= 2 * kBlock ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(SharedHeaps, AreNeededBecauseEachThreadKeepsItsOwn) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        keep_freed_memory();
        std::_Exit(kept_by_threads() >= 6 * kBlock ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace dnc::serve
