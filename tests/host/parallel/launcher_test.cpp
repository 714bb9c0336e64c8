#include "host/parallel/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

namespace dnc {
namespace {

using ::testing::HasSubstr;

struct Launched {
  int code = 0;
  std::string errors;  // what came on standard error
};

Launched launch_shell(const std::string& script) {
  testing::internal::CaptureStderr();
  const int code = launch({.ranks = 2}, {"/bin/sh", "-c", script});
  return {code, testing::internal::GetCapturedStderr()};
}

TEST(Launcher, PrintsAllThatARankWroteBeforeItEnded) {
  const auto done = launch_shell("[ $RANK = 0 ] || seq 1 8000");
  EXPECT_EQ(done.code, 0);
  std::istringstream lines(done.errors);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(line, "[rank 1] " + std::to_string(++number));
  }
  EXPECT_EQ(number, 8000);
}

TEST(Launcher, GivesTheCodeOfTheFirstThatFails) {
  EXPECT_EQ(launch_shell("[ $RANK = 0 ] || exit 3").code, 3);
}

TEST(Launcher, SaysWhatCannotBeStarted) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(launch({.ranks = 1}, {"/none/at/all"}), 127);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("error: /none/at/all: cannot be started"));
}

// As nohup sets it.
TEST(Launcher, LeavesASignalIgnoredThatWasIgnored) {
  struct sigaction ignored {
  }, before{}, after{};
  ignored.sa_handler = SIG_IGN;
  sigaction(SIGHUP, &ignored, &before);
  const auto done = launch_shell("kill -HUP $PPID; kill -HUP $$; sleep 0.3");
  sigaction(SIGHUP, &before, &after);
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(after.sa_handler, SIG_IGN);
}

}  // namespace
}  // namespace dnc
