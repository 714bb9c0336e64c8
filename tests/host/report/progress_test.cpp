#include "host/report/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <sstream>
#include <thread>
#include <vector>

#include "host/report/format.h"

namespace dnc::report {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kClear = "\r\x1b[2K";

TaskProgress at(int64_t step, double epoch) {
  TaskProgress progress;
  progress.label = "train";
  progress.step = step;
  progress.steps = 1000;
  progress.epoch = epoch;
  progress.loss = 0.48213;
  progress.lr = 0.09312;
  progress.images_per_second = 24812;
  progress.seconds_left = 12;
  return progress;
}

/// What a terminal shows after the text: "\r" and "clear the line" are done, lines are kept.
std::vector<std::string> screen(const std::string& text) {
  std::vector<std::string> lines(1);
  size_t column = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 4, "\x1b[2K") == 0) {
      lines.back().clear();
      i += 3;
    } else if (text[i] == '\r') {
      column = 0;
    } else if (text[i] == '\n') {
      lines.emplace_back();
      column = 0;
    } else {
      lines.back().resize(std::max(lines.back().size(), column + 1), ' ');
      lines.back()[column++] = text[i];
    }
  }
  return lines;
}

class ProgressLines : public testing::Test {
 protected:
  ProgressOptions options(int64_t columns = 120) {
    return {.columns = columns, .plain_seconds = 30, .clock = [this] { return now_; }};
  }
  std::vector<std::string> lines() const { return screen(out_.str()); }
  std::ostringstream out_;
  double now_ = 100;
};

TEST(ProgressText, HasAllThatIsKnown) {
  EXPECT_EQ(progress_text(at(431, 2.13), true, 120),
            "train   43 %  ━━━━━━━━────────────  431/1000  epoch 2.1  loss 0.4821  lr 0.0931  "
            "24.8k images/s  12 s left");
  EXPECT_EQ(progress_text(at(431, 2.13), false, 120),
            "train  431/1000  epoch 2.1  loss 0.4821  lr 0.0931  24.8k images/s  12 s left");
}

TEST(ProgressText, LeavesOutWhatIsNotKnown) {
  TaskProgress progress;
  progress.label = "reading";
  progress.step = 7;
  EXPECT_EQ(progress_text(progress, true, 80), "reading  7");
  progress.steps = 8;
  EXPECT_EQ(progress_text(progress, true, 80), "reading   87 %  ━━━━━━━━━━━━━━━━━───  7/8");
}

TEST(ProgressText, InfiniteLossIsSeen) {
  auto progress = at(1, 0);
  progress.loss = std::numeric_limits<double>::infinity();
  EXPECT_THAT(progress_text(progress, false, 120), HasSubstr("loss inf"));
}

TEST(ProgressText, HundredPercentIsSaidAtTheEndOnly) {
  EXPECT_THAT(progress_text(at(999, 1), true, 120), HasSubstr(" 99 %"));
  EXPECT_THAT(progress_text(at(1000, 1), true, 120), HasSubstr("100 %"));
}

TEST(ProgressText, FitsEveryTerminalAndKeepsWhatMattersMost) {
  for (int64_t columns = 0; columns < 120; ++columns) {
    EXPECT_LE(display_width(progress_text(at(431, 2.1), true, columns)), columns);
  }
  EXPECT_EQ(progress_text(at(431, 2.1), true, 40), "train   43 %  loss 0.4821  12 s left");
  EXPECT_EQ(progress_text(at(431, 2.1), true, 5), "train");
  EXPECT_EQ(progress_text(at(431, 2.1), true, 3), "");
}

TEST_F(ProgressLines, TerminalLineIsDrawnOverItself) {
  ProgressLine line(out_, true, options());
  line.update(at(1, 0));
  now_ += 1;
  line.update(at(2, 0));
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_THAT(lines()[0], HasSubstr("2/1000"));
}

TEST_F(ProgressLines, TerminalLineIsDrawnAtMostTenTimesASecond) {
  ProgressLine line(out_, true, options());
  for (int64_t step = 1; step <= 500; ++step, now_ += 0.002) line.update(at(step, 0));
  size_t draws = 0;
  const auto text = out_.str();
  for (size_t i = text.find(kClear); i != std::string::npos; i = text.find(kClear, i + 1)) ++draws;
  EXPECT_GE(draws, 9u);
  EXPECT_LE(draws, 11u);
}

TEST_F(ProgressLines, LastStepIsDrawnHoweverSoon) {
  ProgressLine line(out_, true, options());
  line.update(at(999, 1));
  line.update(at(1000, 1));
  EXPECT_THAT(lines()[0], HasSubstr("1000/1000"));
}

TEST_F(ProgressLines, AnotherTaskIsDrawnAtOnce) {
  ProgressLine line(out_, true, options());
  line.update(at(1, 0));
  auto evaluation = at(1, 0);
  evaluation.label = "val";
  line.update(evaluation);
  EXPECT_THAT(lines()[0], testing::StartsWith("val"));
}

TEST_F(ProgressLines, MessageStandsAboveTheLine) {
  ProgressLine line(out_, true, options());
  line.update(at(1, 0));
  line.message("saved");
  ASSERT_EQ(lines().size(), 2u);
  EXPECT_EQ(lines()[0], "saved");
  EXPECT_THAT(lines()[1], HasSubstr("1/1000"));
}

TEST_F(ProgressLines, FinishLeavesNothingBehind) {
  ProgressLine line(out_, true, options());
  line.update(at(1, 0));
  line.message("saved");
  line.finish();
  EXPECT_THAT(lines(), testing::ElementsAre("saved", ""));
  const auto size = out_.str().size();
  line.finish();
  EXPECT_EQ(out_.str().size(), size) << "a second time it writes nothing";
  line.update(at(2, 0));
  EXPECT_THAT(lines()[1], HasSubstr("2/1000")) << "an update after it begins anew, at once";
}

TEST_F(ProgressLines, DestructorClearsTheLine) {
  { ProgressLine(out_, true, options()).update(at(1, 0)); }
  EXPECT_THAT(lines(), testing::ElementsAre(""));
}

TEST_F(ProgressLines, NarrowTerminalIsNeverFilledToItsLastColumn) {
  ProgressLine line(out_, true, options(40));
  line.update(at(431, 2));
  EXPECT_LE(display_width(lines()[0]), 39);
}

TEST_F(ProgressLines, FileGetsPlainLines) {
  ProgressLine line(out_, false, options());
  line.update(at(1, 0));
  now_ += 29;
  line.update(at(2, 0));
  EXPECT_EQ(out_.str(), "") << "too early";
  now_ += 1;
  line.update(at(3, 0));
  line.message("saved");
  line.finish();
  EXPECT_EQ(out_.str(),
            "train  3/1000  epoch 0.0  loss 0.4821  lr 0.0931  24.8k images/s  12 s left\nsaved\n");
}

TEST_F(ProgressLines, FileGetsALineForEachEpochAndTheLastStep) {
  ProgressLine line(out_, false, options());
  for (int64_t step = 1; step <= 1000; ++step) {
    line.update(at(step, static_cast<double>(step) / 400));
  }
  line.update(at(1000, 2.5));
  EXPECT_EQ(lines().size(), 4u);  // steps 400, 800, 1000, and the empty line after them
  EXPECT_THAT(lines()[0], HasSubstr("400/1000  epoch 1.0"));
  EXPECT_THAT(lines()[1], HasSubstr("800/1000  epoch 2.0"));
  EXPECT_THAT(lines()[2], HasSubstr("1000/1000  epoch 2.5"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(ProgressLines, ThreadsDoNotTearMessagesApart) {
  ProgressLine line(out_, true, options());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) {
        line.update(at(j, 0));
        line.message("a warning");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  line.finish();
  const auto shown = lines();
  ASSERT_EQ(shown.size(), 801u);
  EXPECT_THAT(std::vector<std::string>(shown.begin(), shown.end() - 1), testing::Each("a warning"));
}

TEST(TerminalColumns, AreAskedOfTheTerminal) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  EXPECT_EQ(terminal_columns(pipe_ends[0]), 80) << "a pipe has none";
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  winsize size{};
  size.ws_col = 132;
  ASSERT_EQ(::ioctl(terminal, TIOCSWINSZ, &size), 0);
  EXPECT_EQ(terminal_columns(terminal), 132);
  ::close(terminal);
}

}  // namespace
}  // namespace dnc::report
