#include "host/serve/batcher.h"

#include <gtest/gtest.h>

#include <future>

#include "host/serve/request_error.h"
#include "tests/host/serve/fake_model.h"

namespace dnc::serve {
namespace {

using std::chrono::milliseconds;

torch::Tensor image_of(int value, int64_t width = 4) {
  return torch::full({1, 3, 4, width}, value, torch::kUInt8);
}

class BatcherTest : public testing::Test {
 protected:
  static Batcher::Clock::time_point soon(milliseconds delay = milliseconds(20'000)) {
    return Batcher::Clock::now() + delay;
  }
  // In a thread of its own; the future has its score of class 0.
  std::future<double> ask(Batcher& batcher, const torch::Tensor& images) {
    return std::async(std::launch::async, [&batcher, images] {
      return batcher.infer(images, false, soon()).scores[0][0].item<double>();
    });
  }
  // Until the queue has so many images.
  void wait_for_queue(int64_t images) {
    const auto wanted = "dnc_queue_images " + std::to_string(images) + "\n";
    while (metrics_.prometheus().find(wanted) == std::string::npos) {
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  FakeModel model_;
  Metrics metrics_;
};

TEST_F(BatcherTest, RequestsThatWaitTogetherAreOneBatchAndEachGetsItsOwnAnswer) {
  Batcher batcher(model_, {}, metrics_);
  model_.hold();
  auto first = ask(batcher, image_of(1));
  model_.wait_for_batches(1);
  std::vector<std::future<double>> others;
  for (int i = 2; i < 8; ++i) others.push_back(ask(batcher, image_of(i)));
  wait_for_queue(6);
  model_.release();
  EXPECT_EQ(first.get(), 1);
  for (int i = 2; i < 8; ++i) EXPECT_EQ(others[static_cast<size_t>(i - 2)].get(), i);
  EXPECT_EQ(model_.batches(), (std::vector<int64_t>{1, 6}));
}

TEST_F(BatcherTest, ABatchHasOneSizeAndAtMostSoManyImages) {
  Batcher batcher(model_, {.max_batch = 3}, metrics_);
  model_.hold();
  auto first = ask(batcher, image_of(1));
  model_.wait_for_batches(1);
  std::vector<std::future<double>> others;
  for (int i = 0; i < 4; ++i) others.push_back(ask(batcher, image_of(10 + i)));
  wait_for_queue(4);
  others.push_back(ask(batcher, image_of(20, 8)));
  wait_for_queue(5);
  others.push_back(ask(batcher, image_of(0).to(torch::kFloat32)));
  wait_for_queue(6);
  model_.release();
  const std::vector<double> expected{10, 11, 12, 13, 20, 0};
  for (size_t i = 0; i < others.size(); ++i) EXPECT_EQ(others[i].get(), expected[i]);
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(model_.batches(), (std::vector<int64_t>{1, 3, 1, 1, 1}));
}

TEST_F(BatcherTest, WithADelayARequestWaitsForOthers) {
  Batcher batcher(model_, {.max_batch = 2, .max_delay = std::chrono::seconds(20)}, metrics_);
  auto first = ask(batcher, image_of(1));
  wait_for_queue(1);
  auto second = ask(batcher, image_of(2));
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(second.get(), 2);
  EXPECT_EQ(model_.batches(), std::vector<int64_t>{2}) << "a full batch waits no longer";
}

TEST_F(BatcherTest, AFullQueueIsRefused) {
  Batcher batcher(model_, {.max_batch = 1, .max_queue = 2}, metrics_);
  model_.hold();
  auto first = ask(batcher, image_of(1));
  model_.wait_for_batches(1);
  auto second = ask(batcher, image_of(2));
  auto third = ask(batcher, image_of(3));
  wait_for_queue(2);
  const auto [status, what] =
      refusal_of<RequestError>([&] { batcher.infer(image_of(4), false, soon()); });
  EXPECT_EQ(status, 503);
  EXPECT_EQ(what, "the queue is full (2 images wait); try again later");
  model_.release();
  EXPECT_EQ(third.get(), 3) << "what was accepted is answered";
}

TEST_F(BatcherTest, AfterItsDeadlineARequestIsGivenUpAndNeverReachesTheNetwork) {
  Batcher batcher(model_, {}, metrics_);
  model_.hold();
  auto first = ask(batcher, image_of(1));
  model_.wait_for_batches(1);
  const auto [status, what] =
      refusal_of<RequestError>([&] { batcher.infer(image_of(2), false, soon(milliseconds(20))); });
  EXPECT_EQ(status, 504);
  model_.release();
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(ask(batcher, image_of(3)).get(), 3);
  EXPECT_EQ(model_.batches(), (std::vector<int64_t>{1, 1})) << "the second is not among them";
}

TEST_F(BatcherTest, StopFinishesWhatWasAcceptedAndTakesNothingMore) {
  Batcher batcher(model_, {}, metrics_);
  model_.hold();
  auto first = ask(batcher, image_of(1));
  model_.wait_for_batches(1);
  auto second = ask(batcher, image_of(2));
  wait_for_queue(1);
  auto stopped = std::async(std::launch::async, [&] { batcher.stop(); });
  model_.release();
  stopped.get();
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(second.get(), 2);
  const auto [status, what] =
      refusal_of<RequestError>([&] { batcher.infer(image_of(3), false, soon()); });
  EXPECT_EQ(status, 503);
  EXPECT_EQ(what, "the server is stopping");
}

TEST_F(BatcherTest, AnErrorOfTheModelIsTheCallersAndTheBatcherGoesOn) {
  Batcher batcher(model_, {}, metrics_);
  const auto [status, what] = refusal_of<RequestError>(
      [&] { batcher.infer(image_of(1, FakeModel::kRefusedWidth), false, soon()); });
  EXPECT_EQ(status, 400);
  EXPECT_EQ(what, "the model does not take such images");
  EXPECT_THROW(batcher.infer(image_of(1, FakeModel::kBrokenWidth), false, soon()),
               std::logic_error);
  EXPECT_EQ(ask(batcher, image_of(5)).get(), 5);
}

TEST_F(BatcherTest, WhereTheMemoryEndsACallerMayComeAgain) {
  Batcher batcher(model_, {}, metrics_);
  const auto [status, what] = refusal_of<RequestError>(
      [&] { batcher.infer(image_of(1, FakeModel::kHugeWidth), false, soon()); });
  EXPECT_EQ(status, 503);
  EXPECT_EQ(what, "out of memory; send fewer or smaller images");
}

TEST_F(BatcherTest, AnAnswerWithTooFewRowsFailsAllOfItsBatchAndTheBatcherGoesOn) {
  Batcher batcher(model_, {}, metrics_);
  model_.hold();
  auto first = ask(batcher, image_of(1));
  model_.wait_for_batches(1);
  std::vector<std::future<double>> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(ask(batcher, image_of(i, FakeModel::kForgetfulWidth)));
  }
  wait_for_queue(3);
  model_.release();
  for (auto& other : others) EXPECT_THROW(other.get(), std::exception);
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(ask(batcher, image_of(5)).get(), 5);
}

TEST_F(BatcherTest, HoweverCloseTheDeadlineAnAnswerOrATimeOutComes) {
  Batcher batcher(model_, {}, metrics_);
  for (int i = 0; i < 3000; ++i) {
    try {
      batcher.infer(image_of(1), false, Batcher::Clock::now() + std::chrono::microseconds(i % 100));
    } catch (const RequestError& error) {
      EXPECT_EQ(error.status(), 504);
    }
  }
}

TEST_F(BatcherTest, SeveralThreadsServeManyCallers) {
  Batcher batcher(model_, {.max_batch = 4, .instances = 3}, metrics_);
  std::vector<std::future<bool>> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.push_back(std::async(std::launch::async, [&batcher, caller] {
      for (int i = 0; i < 50; ++i) {
        const int value = (caller * 50 + i) % 256;
        const auto answer = batcher.infer(image_of(value, 4 + i % 2), false, soon());
        if (answer.scores[0][0].item<double>() != value) return false;
      }
      return true;
    }));
  }
  for (auto& caller : callers) EXPECT_TRUE(caller.get());
}

}  // namespace
}  // namespace dnc::serve
