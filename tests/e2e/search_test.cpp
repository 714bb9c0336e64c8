#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A run on image files, so that a training image can be looked for.
class Search : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    for (int i = 0; i < 64; ++i) {
      const auto name = i % 2 == 0 ? "even" : "odd";
      fs::create_directories(*folder_ / "data" / name);
      std::ofstream file(picture(i), std::ios::binary);
      file << "P6 8 8 255\n";
      for (int p = 0; p < 192; ++p) {
        file.put(static_cast<char>((p * (7 + 3 * i) + (i % 2 == 0 ? 0 : 100) + i) % 251));
      }
    }
    const auto data = "{type: ImageFolder, root: " + (*folder_ / "data").string() + "}";
    const auto config = write_small_config(folder_->path());
    const auto trained =
        run_program({"train", config.string(), "-o", run(), "--set", "data.train.dataset=" + data,
                     "--set", "data.train.transforms=[]", "--set", "data.test.dataset=" + data,
                     "--set", "train.epochs=1"});
    ASSERT_EQ(trained.code, 0) << trained.output;
  }
  static void TearDownTestSuite() { delete folder_; }
  static fs::path picture(int i) {
    return *folder_ / "data" / (i % 2 == 0 ? "even" : "odd") / (std::to_string(i) + ".ppm");
  }
  static std::string run() { return (*folder_ / "run").string(); }
  static Finished search(std::vector<std::string> more) {
    more.insert(more.begin(), {"search", run()});
    return run_program(more);
  }
  static std::vector<json> lines_of(const Finished& finished) {
    std::vector<json> lines;
    std::istringstream text(finished.output);
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with('{')) lines.push_back(json::parse(line));
    }
    return lines;
  }

  static TemporaryFolder* folder_;
};
TemporaryFolder* Search::folder_ = nullptr;

TEST_F(Search, ATrainingImageFindsItselfFirst) {
  const auto found =
      search({picture(5).string(), picture(12).string(), "--format", "jsonl", "--top", "7"});
  ASSERT_EQ(found.code, 0) << found.output;
  const auto lines = lines_of(found);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["file"], picture(5).string());
  EXPECT_EQ(lines[0]["nearest"][0]["name"], picture(5).string());
  EXPECT_EQ(lines[0]["nearest"][0]["class"], "odd");
  EXPECT_NEAR(lines[0]["nearest"][0]["similarity"].get<double>(), 1, 1e-5);
  EXPECT_EQ(lines[1]["nearest"][0]["name"], picture(12).string());
  ASSERT_EQ(lines[0]["nearest"].size(), 7u);
  for (size_t k = 1; k < 7; ++k) {
    EXPECT_LE(lines[0]["nearest"][k]["similarity"].get<double>(),
              lines[0]["nearest"][k - 1]["similarity"].get<double>());
  }
  EXPECT_TRUE(fs::exists(fs::path(run()) / "search_index.safetensors"));
}

TEST_F(Search, AClassFilterLeavesTheOthersOut) {
  const auto found = search({picture(5).string(), "--class", "even", "--format", "jsonl"});
  ASSERT_EQ(found.code, 0) << found.output;
  for (const auto& one : lines_of(found)[0]["nearest"]) EXPECT_EQ(one["class"], "even");
  const auto unknown = search({picture(5).string(), "--class", "evn"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.output, HasSubstr("error: --class: 'evn' is no class of " + run() +
                                        "; did you mean 'even'?"));
}

TEST_F(Search, TheIndexIsKeptAndMadeAnewWhenItIsStaleOrDamaged) {
  const std::vector<std::string> query{picture(3).string(), "--format", "jsonl"};
  const auto first = search(query);
  const auto file = fs::path(run()) / "search_index.safetensors";
  const auto without_data = search({query[0], query[1], query[2]});
  EXPECT_THAT(without_data.output, Not(HasSubstr("training data")));
  auto bytes = bytes_of(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  put_bytes(file, bytes);
  const auto mended = search(query);
  EXPECT_THAT(mended.output, HasSubstr("warning: " + file.string() +
                                       ": is damaged; the training data is indexed anew"));
  EXPECT_EQ(lines_of(mended), lines_of(first));
  const auto fewer = search({query[0], query[1], query[2], "--samples", "10", "--top", "50"});
  EXPECT_THAT(fewer.output, HasSubstr("is of other weights, data or options"));
  EXPECT_EQ(lines_of(fewer)[0]["nearest"].size(), 10u);
  for (const auto& one : lines_of(fewer)[0]["nearest"]) {
    const auto name = fs::path(one["name"].get<std::string>()).stem().string();
    EXPECT_EQ(one["class"], std::stoi(name) % 2 == 0 ? "even" : "odd");
  }
}

TEST_F(Search, WritesATableAndAPage) {
  const auto page = *folder_ / "found.html";
  const auto found = search({picture(4).string(), "--page", page.string(), "--top", "2"});
  ASSERT_EQ(found.code, 0) << found.output;
  EXPECT_THAT(found.output, HasSubstr(picture(4).string() + "  "));
  EXPECT_THAT(found.output, HasSubstr("1.0000"));
  const auto html = bytes_of(page);
  EXPECT_THAT(html, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(html, HasSubstr("data:image/png;base64,"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

TEST_F(Search, AnImageThatCannotBeReadIsNamedAndTheOthersAreSearched) {
  const auto broken = *folder_ / "broken.png";
  put_bytes(broken, "not a picture");
  const auto found = search({broken.string(), picture(8).string(), "--format", "jsonl", "--page",
                             (*folder_ / "some.html").string()});
  EXPECT_EQ(found.code, 1);
  EXPECT_THAT(found.output, HasSubstr("error: " + broken.string() + ": "));
  ASSERT_EQ(lines_of(found).size(), 1u);
  EXPECT_EQ(lines_of(found)[0]["file"], picture(8).string());
  EXPECT_EQ(search({broken.string()}).code, 1);
  EXPECT_EQ(search({(*folder_ / "nowhere.png").string()}).code, 1);
}

TEST_F(Search, ALinearHeadIsSearchedByItsEmbeddings) {
  const auto config = write_small_config(folder_->path(), "linear.yaml", "{type: Linear}");
  const auto linear = (*folder_ / "linear").string();
  ASSERT_EQ(run_program({"train", config.string(), "-o", linear, "--set", "train.epochs=1"}).code,
            0);
  std::ofstream(*folder_ / "a.ppm", std::ios::binary) << "P6 16 16 255\n" << std::string(768, 'P');
  const auto found = run_program(
      {"search", linear, (*folder_ / "a.ppm").string(), "--format", "jsonl", "--top", "1"});
  ASSERT_EQ(found.code, 0) << found.output;
  const auto nearest = lines_of(found)[0]["nearest"][0];
  EXPECT_EQ("class " + std::to_string(nearest["index"].get<int64_t>() % 4), nearest["class"]);
}

}  // namespace
}  // namespace dnc
