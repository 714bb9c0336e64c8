#include "host/rejection/thresholds.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

class Thresholds : public testing::Test {
 protected:
  Thresholds() : file_(folder_ / "reject.json") {
    written_.model = "abc-12";
    written_.unknown = "other.yaml";
    written_.chosen_on = 6;
    written_.measured_on = 5;
    written_.thresholds = {{"similarity", 0.05, std::nextafter(0.75, 1), 0.04, 0.1},
                           {"similarity", 0.01, 0.8, 0.02, 0.3},
                           {"energy", 0.05, -3.5, 0, 1}};
    write_thresholds(file_, written_);
  }
  std::string message(const std::string& score, double rate, const std::string& model = "abc-12") {
    return message_of<Error>([&] { find_threshold(file_, model, score, rate); });
  }
  std::string how_to_make() const {
    return "`dnc-host test " + folder_.path().string() + " --unknown CONFIG --far 0.05`";
  }

  TemporaryFolder folder_;
  std::filesystem::path file_;
  RejectionThresholds written_;
};

TEST_F(Thresholds, AreReadAsTheyWereWritten) {
  const auto read = read_thresholds(file_);
  EXPECT_EQ(read.model, written_.model);
  EXPECT_EQ(read.unknown, written_.unknown);
  EXPECT_EQ(read.chosen_on, 6);
  EXPECT_EQ(read.measured_on, 5);
  ASSERT_EQ(read.thresholds.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.thresholds[i].score, written_.thresholds[i].score);
    EXPECT_EQ(read.thresholds[i].threshold, written_.thresholds[i].threshold) << "to the last bit";
    EXPECT_EQ(read.thresholds[i].measured, written_.thresholds[i].measured);
    EXPECT_EQ(read.thresholds[i].known_rejected, written_.thresholds[i].known_rejected);
  }
}

TEST_F(Thresholds, AreFoundByScoreAndRate) {
  EXPECT_EQ(find_threshold(file_, "abc-12", "", -1).false_accept_rate, 0.05) << "the first";
  EXPECT_EQ(find_threshold(file_, "abc-12", "", 0.01).threshold, 0.8);
  EXPECT_EQ(find_threshold(file_, "abc-12", "energy", -1).threshold, -3.5);
}

TEST_F(Thresholds, ThatAreNotThereAreNamed) {
  EXPECT_EQ(message("energy", 0.01),
            file_.string() +
                ": has no threshold of energy at a false-accept rate of 0.01; it has similarity at "
                "0.05, similarity at 0.01, energy at 0.05. reject.json is made anew by `dnc-host "
                "test " +
                folder_.path().string() + " --unknown other.yaml --far RATE,RATE`");
  EXPECT_NE(message("probability", -1).find("has no threshold of probability; it has"),
            std::string::npos);
}

TEST_F(Thresholds, OfAnotherModelAreRefused) {
  EXPECT_EQ(message("", -1, "other"), file_.string() +
                                          ": is of other weights, transforms or preprocessing "
                                          "than this model; make it with " +
                                          how_to_make());
}

TEST_F(Thresholds, AMissingOrDamagedFileSaysHowItIsMade) {
  const auto whole = bytes_of(file_);
  for (const auto& damaged :
       {whole.substr(0, whole.size() / 2), std::string("{}"), std::string("[1, 2]"),
        std::string("{\"model\": 3}"), std::string(),
        std::string(R"({"model": "abc-12", "unknown": "", "chosen_on": 1, "measured_on": 1,)"
                    R"( "thresholds": []})"),
        std::string(R"({"model": "abc-12", "unknown": "", "chosen_on": 1, "measured_on": 1,)"
                    R"( "thresholds": [{"score": "energy", "false_accept_rate": 0.1,)"
                    R"( "threshold": "high", "measured": 0, "known_rejected": 0}]})")}) {
    put_bytes(file_, damaged);
    EXPECT_EQ(message("", -1), file_.string() + ": is damaged; make it with " + how_to_make())
        << damaged;
  }
  std::filesystem::remove(file_);
  EXPECT_EQ(message("", -1),
            file_.string() + ": there is no such file; make it with " + how_to_make());
}

}  // namespace
}  // namespace dnc
