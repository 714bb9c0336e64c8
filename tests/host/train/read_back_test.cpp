#include "host/train/read_back.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "host/cuda_library.h"

namespace dnc {
namespace {

using Values = std::vector<std::pair<std::string, double>>;

TEST(ReadBack, GivesNamesAndValuesInTheirOrder) {
  const ReadBack read({{"loss", torch::tensor(1.5)},
                       {"b", torch::tensor(-2.0, torch::kFloat64).requires_grad_()},
                       {"a", torch::tensor(3)}});
  EXPECT_EQ(read.values(), (Values{{"loss", 1.5}, {"b", -2}, {"a", 3}}));
  EXPECT_EQ(read.values().size(), 3u) << "a second time";
  EXPECT_TRUE(ReadBack({}).values().empty());
}

TEST(ReadBack, KeepsWhatTheScalarsWereThen) {
  auto loss = torch::tensor(1.0);
  const ReadBack read({{"loss", loss}});
  loss.fill_(2);
  EXPECT_EQ(read.values(), (Values{{"loss", 1}}));
}

TEST(ReadBack, OfAGpuIsWhatTheScalarsWereThen) {
  if (!gpu_problem(cuda_facts()).empty()) GTEST_SKIP() << gpu_problem(cuda_facts());
  auto loss = torch::tensor(1.0).to(torch::kCUDA);
  const ReadBack read({{"loss", loss}});
  loss.fill_(2);
  EXPECT_EQ(read.values(), (Values{{"loss", 1}}));
}

}  // namespace
}  // namespace dnc
