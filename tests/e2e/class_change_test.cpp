#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// A chess board of 16 x 16 pixels, whose fields are so many pixels wide and not always in the same
// place.
void write_board(const fs::path& path, int number, int width = 2) {
  std::ofstream file(path, std::ios::binary);
  file << "P6 16 16 255\n";
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 16; ++x) {
      const bool dark = ((x + number) / width + (y + number / 2) / width) % 2 == 0;
      for (int c = 0; c < 3; ++c) {
        file.put(static_cast<char>(dark ? 10 + number : 240 - 2 * number - 30 * c));
      }
    }
  }
}

std::string write_boards(const fs::path& folder, int count, int first = 0) {
  fs::create_directories(folder);
  for (int i = first; i < first + count; ++i) {
    write_board(folder / ("board_" + std::to_string(i) + ".ppm"), i);
  }
  return folder.string();
}

json json_in(const fs::path& file) { return json::parse(bytes_of(file)); }

// Of the only checkpoint of a run that was made without training, or the best one.
TensorMap weights_of(const fs::path& run) {
  const auto best = run / "checkpoints/best";
  const auto folder = fs::exists(best) ? best : fs::directory_iterator(run / "checkpoints")->path();
  return read_safetensors(folder / "model.safetensors").tensors;
}

json figures_of(const std::string& run) {
  const auto tested = run_program({"test", run, "--json"});
  EXPECT_EQ(tested.code, 0) << tested.output;
  return json::parse(tested.output);
}

class ClassChanges : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    // Everything of a head that belongs to a class, learned and not.
    const auto config =
        write_small_config(folder_->path(), "small.yaml",
                           "{type: DNC, memory: 8, start: data, score_norm: layer_norm}");
    const auto trained = run_program({"train", config.string(), "-o", run()});
    ASSERT_EQ(trained.code, 0) << trained.output;
    boards_ = write_boards(*folder_ / "boards", 20);
    added_ = run_program({"add-class", run(), "--name", "board", "--images", boards_});
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string in_folder(const std::string& name) { return (*folder_ / name).string(); }
  static std::string run() { return in_folder("run"); }
  static std::string with_board() { return in_folder("run_with_board"); }

  static TemporaryFolder* folder_;
  static std::string boards_;
  static Finished added_;
};
TemporaryFolder* ClassChanges::folder_ = nullptr;
std::string ClassChanges::boards_;
Finished ClassChanges::added_;

TEST_F(ClassChanges, AClassIsAddedFromItsImagesAndTheRestStaysAsItIs) {
  ASSERT_EQ(added_.code, 0) << added_.output;
  EXPECT_THAT(added_.output, HasSubstr("'board' is class 4: 4 sub-centroids from 16 images; "));
  EXPECT_THAT(added_.output, HasSubstr("note: head.mask_norm.weight is learned: for the new class "
                                       "it is the mean over the other classes"));
  const auto before = weights_of(run()), after = weights_of(with_board());
  ASSERT_EQ(before.size(), after.size());
  for (const auto& item : before) {
    const auto& now = after[item.key()];
    const bool grew = now.sizes() != item.value().sizes();
    EXPECT_EQ(grew, item.key().starts_with("head.") && item.value().dim() > 0) << item.key();
    EXPECT_TRUE(torch::equal(grew ? now.narrow(0, 0, 4) : now, item.value())) << item.key();
  }
  EXPECT_TRUE(torch::allclose(after["head.prototypes"][4].norm(2, 1), torch::ones({4})));
  EXPECT_GT(after["head.mass"][4].sum().item<double>(), 0);
  EXPECT_EQ(json_in(fs::path(with_board()) / "classes.json")["names"][4], "board");
}

TEST_F(ClassChanges, WhatIsReportedIsWhatATestFinds) {
  const auto report = json_in(fs::path(with_board()) / "added_class.json");
  EXPECT_EQ(report["images"], 16);
  EXPECT_EQ(report["test_images"], 4);
  EXPECT_EQ(report["old_classes"]["images"], 100);
  EXPECT_NEAR(report["old_classes"]["before"].get<double>(),
              figures_of(run())["figures"]["accuracy/top1"].get<double>(), 1e-9);
  // The test data has the old classes by name and the images that were held out.
  const auto tested = figures_of(with_board());
  const auto confusion = tested["tables"]["confusion"]["values"].get<std::vector<double>>();
  ASSERT_EQ(confusion.size(), 25u);
  double right = 0, lost = 0, boards = 0;
  for (size_t c = 0; c < 4; ++c) {
    right += confusion[6 * c];
    lost += confusion[5 * c + 4];
  }
  for (size_t c = 0; c < 5; ++c) boards += confusion[20 + c];
  EXPECT_EQ(boards, 4);
  EXPECT_NEAR(report["old_classes"]["after"].get<double>(), right / 100, 1e-9);
  EXPECT_EQ(report["old_classes"]["taken_for_the_new_class"], lost);
  EXPECT_NEAR(report["new_class"]["accuracy"].get<double>(), confusion[24] / 4, 1e-9);
  EXPECT_EQ(report["new_class"]["accuracy"], 1) << "boards look like nothing else";
  EXPECT_EQ(json_in(fs::path(with_board()) / "result.json")["figures"], tested["figures"]);
}

TEST_F(ClassChanges, EveryCommandTakesTheNewRun) {
  const auto board = (fs::path(boards_) / "board_3.ppm").string();
  const auto predicted = run_program({"predict", with_board(), board, "--format", "jsonl"});
  ASSERT_EQ(predicted.code, 0) << predicted.output;
  EXPECT_EQ(json::parse(predicted.output)["predictions"][0]["class"], "board");
  const auto explained =
      run_program({"explain", with_board(), board, "--out", in_folder("why"), "--map", "none"});
  ASSERT_EQ(explained.code, 0) << explained.output;
  const auto why = json_in(fs::path(in_folder("why")) / "explanation.json");
  EXPECT_EQ(why["training_samples_searched"], 336);
  EXPECT_THAT(why["images"][0]["decisions"][0]["support"]["training_sample"]["name"],
              testing::StartsWith(boards_));
  const auto found = run_program({"search", with_board(), board, "--format", "jsonl", "-k", "3"});
  ASSERT_EQ(found.code, 0) << found.output;
  EXPECT_THAT(found.output, HasSubstr("\"class\":\"board\""));
  EXPECT_EQ(run_program({"export", with_board(), "--out", in_folder("model.pt")}).code, 0);
  const auto anchored = run_program({"anchor", with_board(), "-o", in_folder("anchored")});
  EXPECT_EQ(anchored.code, 0) << anchored.output;
  EXPECT_THAT(anchored.output, HasSubstr("20 of 20 sub-centroids are training images"));
  EXPECT_EQ(run_program({"add-class", run(), "--name", "board", "--images", boards_}).output,
            with_board() + ": done already\n");
}

TEST_F(ClassChanges, ASecondClassIsAddedAndTheFirstIsRemovedAgain) {
  const auto wide = *folder_ / "wide";
  fs::create_directories(wide);
  for (int i = 0; i < 8; ++i) write_board(wide / (std::to_string(i) + ".ppm"), i, 8);
  const auto both = in_folder("both");
  const auto second = run_program(
      {"add-class", with_board(), "--name", "wide board", "--images", wide.string(), "-o", both});
  ASSERT_EQ(second.code, 0) << second.output;
  EXPECT_THAT(second.output, HasSubstr("'wide board' is class 5"));
  EXPECT_EQ(figures_of(both)["tables"]["confusion"]["rows"].size(), 6u);

  const auto one = in_folder("one");
  const auto removed = run_program({"remove-class", both, "--name", "board", "-o", one});
  ASSERT_EQ(removed.code, 0) << removed.output;
  const auto rows = figures_of(one)["tables"]["confusion"]["rows"];
  EXPECT_EQ(rows[4], "wide board");
  EXPECT_EQ(rows.size(), 5u);
  const auto before = weights_of(both), after = weights_of(one);
  EXPECT_TRUE(torch::equal(after["head.prototypes"][4], before["head.prototypes"][5]));
  EXPECT_TRUE(torch::equal(after["head.mask_norm.bias"][4], before["head.mask_norm.bias"][5]));
}

TEST_F(ClassChanges, ARemovedClassNoLongerCounts) {
  const auto less = in_folder("less");
  const auto removed = run_program({"remove-class", run(), "--name", "class 1", "-o", less});
  ASSERT_EQ(removed.code, 0) << removed.output;
  const auto report = json_in(fs::path(less) / "removed_class.json");
  EXPECT_EQ(report["remaining_classes"]["images"], 75);
  EXPECT_EQ(report["images_that_no_longer_count"], 25);
  EXPECT_NEAR(figures_of(less)["figures"]["accuracy/top1"].get<double>(),
              report["remaining_classes"]["after"].get<double>(), 1e-9);
  const auto unknown = run_program({"remove-class", run(), "--name", "clas 1"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.output, HasSubstr("error: --name: 'clas 1' is no class of " + run() +
                                        "; did you mean 'class 1'?"));
  const auto two = in_folder("two");
  ASSERT_EQ(run_program({"remove-class", less, "--name", "class 0", "-o", two}).code, 0);
  const auto last = run_program({"remove-class", two, "--name", "class 2"});
  EXPECT_EQ(last.code, 1);
  EXPECT_THAT(last.output, HasSubstr("would have one class, and nothing to decide"));
}

TEST_F(ClassChanges, ALinearHeadLosesAClassButCannotGetOne) {
  const auto config = write_small_config(folder_->path(), "linear.yaml", "{type: Linear}");
  const auto linear = in_folder("linear");
  ASSERT_EQ(run_program({"train", config.string(), "-o", linear, "--set", "train.epochs=1"}).code,
            0);
  const auto refused = run_program({"add-class", linear, "--name", "board", "--images", boards_});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.output, HasSubstr("'model.head' has no prototypes: its weights for a class "
                                        "are learned together with all others"));
  EXPECT_FALSE(fs::exists(linear + "_with_board"));
  const auto removed =
      run_program({"remove-class", linear, "--name", "class 0", "-o", in_folder("linear_less")});
  ASSERT_EQ(removed.code, 0) << removed.output;
  const auto before = weights_of(linear), after = weights_of(in_folder("linear_less"));
  EXPECT_TRUE(torch::equal(after["head.fc.weight"], before["head.fc.weight"].narrow(0, 1, 3)));
}

TEST_F(ClassChanges, BadImagesAndNamesAreRefused) {
  const auto add = [&](std::vector<std::string> more, const std::string& out) {
    more.insert(more.begin(), {"add-class", run(), "-o", in_folder(out)});
    return run_program(more);
  };
  const auto there = add({"--name", "class 2", "--images", boards_}, "a");
  EXPECT_EQ(there.code, 1);
  EXPECT_THAT(there.output, HasSubstr("--name: 'class 2' is a class of " + run() + " already"));
  fs::create_directories(*folder_ / "empty");
  const auto bytes = add({"--name", "no\xfftext", "--images", boards_}, "a");
  EXPECT_EQ(bytes.code, 1);
  EXPECT_THAT(bytes.output,
              HasSubstr("error: --name: 'no\xEF\xBF\xBDtext' has control characters"));
  const auto none = add({"--name", "x", "--images", in_folder("empty")}, "a");
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.output, HasSubstr("empty: there is no image in this folder"));
  EXPECT_EQ(add({"--name", "x", "--images", in_folder("nowhere")}, "a").code, 1);
  const auto broken = *folder_ / "broken";
  fs::create_directories(broken);
  put_bytes(broken / "a.png", "not a picture");
  const auto unreadable = add({"--name", "x", "--images", broken.string()}, "a");
  EXPECT_EQ(unreadable.code, 1);
  EXPECT_THAT(unreadable.output, HasSubstr("warning: is left out: " + (broken / "a.png").string()));
  EXPECT_THAT(unreadable.output, HasSubstr("none of its images can be read"));
  const auto large = *folder_ / "large";
  fs::create_directories(large);
  std::ofstream(large / "a.ppm", std::ios::binary) << "P6 40 30 255\n" << std::string(3600, 'a');
  const auto size = add({"--name", "x", "--images", large.string()}, "a");
  EXPECT_EQ(size.code, 1);
  EXPECT_THAT(size.output, HasSubstr("a.ppm: comes to the network with 40 x 30 pixels, the images "
                                     "of the run with 16 x 16; resize it"));
  EXPECT_FALSE(fs::exists(in_folder("a"))) << "nothing is left of what was refused";
}

TEST_F(ClassChanges, OneImageIsEnoughAndUnreadableOnesAreLeftOut) {
  const auto single = *folder_ / "single";
  write_boards(single, 1);
  put_bytes(single / "broken.png", "not a picture");
  const auto one = in_folder("one_image");
  const auto added =
      run_program({"add-class", run(), "--name", "board", "--images", single.string(), "-o", one});
  ASSERT_EQ(added.code, 0) << added.output;
  EXPECT_THAT(added.output, HasSubstr("warning: is left out: " + (single / "broken.png").string()));
  EXPECT_THAT(added.output, HasSubstr("the class has fewer images (1) than sub-centroids (4), so "
                                      "some of these are the same"));
  EXPECT_THAT(added.output, HasSubstr("no image of 'board' is held out, so its accuracy is not "
                                      "known; give some with --test-images"));
  const auto points = weights_of(one)["head.prototypes"][4];
  EXPECT_TRUE(torch::allclose(points, points[0].expand_as(points), 0, 1e-6));

  const auto tests = write_boards(*folder_ / "more_boards", 6, 30);
  const auto given =
      run_program({"add-class", run(), "--name", "board", "--images", single.string(),
                   "--test-images", tests, "-o", in_folder("one_tested")});
  ASSERT_EQ(given.code, 0) << given.output;
  EXPECT_EQ(json_in(fs::path(in_folder("one_tested")) / "added_class.json")["new_class"]["images"],
            6);
}

TEST_F(ClassChanges, WithoutTheTestDataTheNewRunIsMadeAllTheSame) {
  const auto added = run_program({"add-class", run(), "--name", "board", "--images", boards_, "-o",
                                  in_folder("no_data"), "--set",
                                  "data.test.dataset={type: ImageFolder, root: /nowhere}", "--set",
                                  "data.train.dataset={type: ImageFolder, root: /nowhere}"});
  ASSERT_EQ(added.code, 0) << added.output;
  EXPECT_THAT(added.output, HasSubstr("warning: the test data cannot be read, so the accuracy on "
                                      "its classes is not known: /nowhere"));
  const auto report = json_in(fs::path(in_folder("no_data")) / "added_class.json");
  EXPECT_FALSE(report.contains("old_classes"));
  EXPECT_EQ(report["new_class"]["images"], 4);
}

}  // namespace
}  // namespace dnc
