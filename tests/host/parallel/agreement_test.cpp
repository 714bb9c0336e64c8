#include "host/parallel/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "host/parallel/ranks.h"

namespace dnc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> errors_of(const std::vector<Facts>& facts) {
  std::vector<std::string> errors(facts.size());
  run_as_ranks(static_cast<int64_t>(facts.size()), [&](Ranks& ranks) {
    const auto rank = static_cast<size_t>(ranks.rank());
    try {
      check_agreement(ranks, facts[rank]);
    } catch (const Error& error) {
      errors[rank] = error.what();
    }
  });
  return errors;
}

const Facts kFacts{
    {"LibTorch", "2.11.0"}, {"config key optimizer.lr", "0.1"}, {"config key a", ""}};

TEST(AgreementTest, EqualFactsPass) {
  for (const auto& error : errors_of({kFacts, kFacts, kFacts})) EXPECT_EQ(error, "");
}

TEST(AgreementTest, AllRanksNameWhoDiffersInWhat) {
  auto other = kFacts;
  other[1].second = "0.2";
  auto older = kFacts;
  older[0].second = "2.10.0";
  older.pop_back();
  older.emplace_back("plugin dnc.so", "1");
  const auto errors = errors_of({kFacts, kFacts, other, older});
  for (const auto& error : errors) {
    EXPECT_EQ(error, errors.front());
    EXPECT_THAT(error, HasSubstr("rank 2: config key optimizer.lr is '0.2', on rank 0 '0.1'\n"));
    EXPECT_THAT(error,
                HasSubstr("rank 3: LibTorch is '2.10.0', on rank 0 '2.11.0'; config key a is "
                          "nothing, on rank 0 ''; plugin dnc.so is '1', on rank 0 nothing"));
    EXPECT_THAT(error, Not(HasSubstr("rank 1:")));
  }
}

TEST(AgreementTest, AValueMayHoldAnyCharacter) {
  const Facts plain{{"config key a", "1"}}, odd{{"config key a", "\x1e\x1f\n\"1"}};
  for (const auto& error : errors_of({plain, odd})) {
    EXPECT_THAT(error, HasSubstr("rank 1: config key a is '\x1e\x1f\n\"1', on rank 0 '1'\n"));
  }
}

}  // namespace
}  // namespace dnc
