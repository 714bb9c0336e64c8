#include "host/parallel/ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "host/parallel/divergence.h"
#include "host/parallel/gather_text.h"

namespace dnc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// What `body` throws on its ranks, where all of them throw.
std::vector<std::string> errors_of(int64_t count, const std::function<void(Ranks&)>& body) {
  std::vector<std::string> errors;
  std::mutex mutex;
  run_as_ranks(count, [&](Ranks& ranks) {
    try {
      body(ranks);
    } catch (const Error& error) {
      const std::lock_guard lock(mutex);
      errors.emplace_back(error.what());
    }
  });
  return errors;
}

TEST(RanksTest, SumsAreInPlaceAlsoWhereMemoryIsNotContiguous) {
  run_as_ranks(3, [](Ranks& ranks) {
    const auto rank = static_cast<double>(ranks.rank());
    const auto whole = torch::full({2, 2}, rank + 1);
    auto wide = torch::full({2, 4}, rank, torch::kInt64);
    const auto part = wide.slice(1, 0, 4, 2);
    const auto empty = torch::empty({0});
    ranks.sum({whole, part, empty});
    EXPECT_TRUE(whole.eq(6).all().item<bool>());
    EXPECT_TRUE(part.eq(3).all().item<bool>());
    EXPECT_TRUE(wide.slice(1, 1, 4, 2).eq(ranks.rank()).all().item<bool>());
  });
}

TEST(RanksTest, GatherKeepsTheOrderOfTheRanksAndTheType) {
  run_as_ranks(3, [](Ranks& ranks) {
    const auto rows = torch::full({2, 3}, static_cast<double>(ranks.rank())).t().contiguous().t();
    const auto all = ranks.gather(rows);
    EXPECT_EQ(all.sizes(), at::IntArrayRef({6, 3}));
    EXPECT_TRUE(all.select(1, 2).equal(torch::tensor({0., 0., 1., 1., 2., 2.}).to(all.dtype())));
    EXPECT_TRUE(ranks.gather(torch::tensor({ranks.rank() == 1}))
                    .equal(torch::tensor({false, true, false})));
    EXPECT_EQ(ranks.gather(torch::empty({0, 5})).sizes(), at::IntArrayRef({0, 5}));
    EXPECT_TRUE(ranks.modules()
                    ->gather(torch::tensor({ranks.rank()}))
                    .equal(torch::tensor({int64_t{0}, int64_t{1}, int64_t{2}})));
  });
}

TEST(RanksTest, BroadcastGivesAllWhatRank0Has) {
  run_as_ranks(2, [](Ranks& ranks) {
    const auto value = static_cast<double>(ranks.rank());
    const auto weights =
        torch::full({2, 3, 4, 4}, value).contiguous(at::MemoryFormat::ChannelsLast);
    const auto count = torch::full({}, ranks.rank(), torch::kInt64);
    ranks.broadcast({weights, count, torch::empty({0})});
    EXPECT_EQ(weights.abs().sum().item<double>(), 0);
    EXPECT_EQ(count.item<int64_t>(), 0);
    EXPECT_TRUE(weights.is_contiguous(at::MemoryFormat::ChannelsLast));
  });
}

TEST(RanksTest, NumbersTravelBesideOtherCalls) {
  run_as_ranks(2, [](Ranks& ranks) {
    for (int64_t step = 0; step < 20; ++step) {
      ranks.begin_sum({step, ranks.rank()});
      const auto other = torch::ones({100});
      ranks.sum({other});
      EXPECT_THAT(ranks.end_sum(), ElementsAre(2 * step, 1));
    }
  });
}

TEST(RanksTest, TextsOfAnyLengthReachAll) {
  run_as_ranks(3, [](Ranks& ranks) {
    const std::vector<std::string> texts{"", "one", std::string(100'000, 'x')};
    EXPECT_EQ(gather_text(ranks, texts[static_cast<size_t>(ranks.rank())]), texts);
  });
}

TEST(RanksTest, ARankThatDoesNotComeIsATimeout) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(run_as_ranks(
                   2,
                   [](Ranks& ranks) {
                     if (ranks.rank() == 0) {
                       ranks.sum({torch::ones({1})});
                     } else {
                       std::this_thread::sleep_for(std::chrono::seconds(4));
                     }
                   },
                   std::chrono::seconds(1)),
               RanksError);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

// ---- gradients ----

struct Net : torch::nn::Module {
  Net() {
    first = register_module("first", torch::nn::Linear(4, 8));
    second = register_module("second", torch::nn::Linear(8, 2));
    of_rank_0 = register_module("of_rank_0", torch::nn::Linear(8, 2));
    unused = register_module("unused", torch::nn::Linear(3, 3));
  }
  torch::Tensor forward(const torch::Tensor& x, bool more) {
    const auto hidden = first(x).relu();
    return more ? second(hidden) + of_rank_0(hidden) : second(hidden);
  }
  std::vector<std::pair<std::string, torch::Tensor>> named() {
    std::vector<std::pair<std::string, torch::Tensor>> named;
    for (const auto& item : named_parameters()) named.emplace_back(item.key(), item.value());
    return named;
  }
  torch::nn::Linear first{nullptr}, second{nullptr}, of_rank_0{nullptr}, unused{nullptr};
};

TEST(GradientReducerTest, SumsOverPartsAndRanksAndLeavesWhatNobodyUses) {
  constexpr int64_t kRanks = 3;
  torch::manual_seed(1);
  std::vector<std::shared_ptr<Net>> nets{std::make_shared<Net>()};
  const auto first = nets.front();
  while (nets.size() <= kRanks) {  // the last is for one process
    nets.push_back(std::make_shared<Net>());
    const torch::NoGradGuard no_grad;
    for (const auto& item : first->named_parameters()) {
      nets.back()->named_parameters()[item.key()].copy_(item.value());
    }
  }
  const auto inputs = torch::randn({3, kRanks, 2, 5, 4});  // steps, ranks, parts, samples
  const auto loss = [&](Net& net, int64_t step, int64_t rank, int64_t part) {
    return net.forward(inputs[step][rank][part], rank == 0).square().mean();
  };
  auto& alone = *nets.back();
  std::vector<std::vector<torch::Tensor>> expected;
  for (int64_t step = 0; step < 3; ++step) {
    for (auto& parameter : alone.parameters()) parameter.mutable_grad().reset();
    for (int64_t i = 0; i < 2 * kRanks; ++i) loss(alone, step, i / 2, i % 2).backward();
    expected.emplace_back();
    for (const auto& parameter : alone.parameters()) expected.back().push_back(parameter.grad());
  }
  run_as_ranks(kRanks, [&](Ranks& ranks) {
    auto& net = *nets[static_cast<size_t>(ranks.rank())];
    const auto reducer = ranks.reducer(net.named());
    for (int64_t step = 0; step < 3; ++step) {
      for (auto& parameter : net.parameters()) parameter.mutable_grad().reset();
      reducer->backward(loss(net, step, ranks.rank(), 0), /*last=*/false);
      reducer->backward(loss(net, step, ranks.rank(), 1), /*last=*/true);
      const auto parameters = net.parameters();
      for (size_t i = 0; i < parameters.size(); ++i) {
        const auto& wanted = expected[static_cast<size_t>(step)][i];
        ASSERT_EQ(parameters[i].grad().defined(), wanted.defined()) << i;
        if (wanted.defined()) {
          EXPECT_TRUE(parameters[i].grad().allclose(wanted, 1e-5, 1e-6)) << step << " " << i;
        }
      }
    }
  });
  EXPECT_FALSE(alone.unused->weight.grad().defined());
}

TEST(GradientReducerTest, ModelsOfOtherShapesAreRefused) {
  EXPECT_ANY_THROW(run_as_ranks(2, [](Ranks& ranks) {
    ranks.reducer({{"weight", torch::ones({2 + ranks.rank()}).requires_grad_()}});
  }));
}

// ---- the same on all ranks ----

TEST(DivergenceTest, EqualTensorsPass) {
  EXPECT_TRUE(errors_of(3, [](Ranks& ranks) {
                const auto nan = torch::full({3}, std::nan(""));
                check_same(ranks, {{"a", torch::ones({5})}, {"b", nan}, {"c", torch::empty({0})}},
                           "at step 1");
              }).empty());
}

TEST(DivergenceTest, TheRankThatDiffersIsNamedWithItsFirstTensor) {
  const auto errors = errors_of(3, [](Ranks& ranks) {
    auto weight = torch::arange(10, torch::kFloat32);
    auto flags = torch::tensor({true, false, true});
    if (ranks.rank() == 1) weight[3] = 3.0000002;
    if (ranks.rank() == 1) flags[0] = false;
    check_same(ranks, {{"bias", torch::ones({3})}, {"weight", weight}, {"flags", flags}},
               "at step 200");
  });
  ASSERT_EQ(errors.size(), 3u);
  for (const auto& error : errors) {
    EXPECT_THAT(error,
                HasSubstr("at step 200, rank 1 differs from all others: in weight and 1 other"));
  }
}

TEST(DivergenceTest, TwoRanksAccuseNobody) {
  const auto errors = errors_of(2, [](Ranks& ranks) {
    auto swapped = torch::tensor({1.0, 2.0});
    if (ranks.rank() == 1) swapped = swapped.flip(0);  // the same sum
    check_same(ranks, {{"weight", swapped}}, "at step 7");
  });
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_THAT(errors.front(), HasSubstr("rank 1 differs from rank 0: in weight and 0 other"));
}

}  // namespace
}  // namespace dnc
