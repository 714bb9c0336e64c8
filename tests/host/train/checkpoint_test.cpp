#include "host/train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "host/weights/state.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

Checkpoint make_checkpoint(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.model.insert("fc.weight", torch::full({2, 3}, static_cast<double>(step)));
  checkpoint.model.insert("norm.num_batches_tracked", torch::tensor(step));
  checkpoint.state.insert("optimizer.fc.weight.momentum", torch::randn({2, 3}, torch::kDouble));
  checkpoint.state.insert("random.cpu", torch::randint(0, 256, {64}, torch::kByte));
  checkpoint.progress.step = step;
  checkpoint.progress.epoch = step / 10;
  checkpoint.progress.batch = step % 10;
  checkpoint.progress.seed = std::numeric_limits<uint64_t>::max();
  checkpoint.progress.seconds = 0.1 * static_cast<double>(step);
  checkpoint.progress.batch_size = 128;
  checkpoint.progress.config_digest = "0a1b2c3d";
  return checkpoint;
}

Checkpoint with_best(Checkpoint checkpoint, int64_t step) {
  checkpoint.progress.best = Best{"top1", 1.0 / 3, step};
  return checkpoint;
}

bool same(const TensorMap& a, const TensorMap& b) {
  if (a.size() != b.size()) return false;
  for (const auto& item : a) {
    const auto* other = b.find(item.key());
    if (!other || other->scalar_type() != item.value().scalar_type() ||
        !torch::equal(*other, item.value())) {
      return false;
    }
  }
  return true;
}

bool same(const Checkpoint& a, const Checkpoint& b) {
  return same(a.model, b.model) && same(a.state, b.state) && a.progress == b.progress;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

void damage(const fs::path& file) {
  auto bytes = bytes_of(file);
  bytes[bytes.size() / 2] ^= 4;
  put_bytes(file, bytes);
}

/// What load_newest_checkpoint() finds, and what it warned of.
struct Newest {
  std::optional<FoundCheckpoint> found;
  std::vector<std::string> warnings;
};
Newest load_newest(const fs::path& folder) {
  Newest newest;
  newest.found = load_newest_checkpoint(
      folder, [&](const std::string& text) { newest.warnings.push_back(text); });
  return newest;
}

TEST(Progress, GoesThroughJsonUnchanged) {
  auto progress = with_best(make_checkpoint(391), 90).progress;
  progress.stale = 3;
  progress.world_size = 4;
  EXPECT_EQ(progress_from_json(to_json(progress), "p"), progress);
  progress.best.reset();
  EXPECT_EQ(progress_from_json(to_json(progress), "p"), progress);
}

TEST(Progress, KeepsABestValueThatIsNotANumber) {
  auto progress = with_best(make_checkpoint(1), 1).progress;
  progress.best->value = std::nan("");
  EXPECT_TRUE(std::isnan(progress_from_json(to_json(progress), "p").best->value));
}

TEST(Progress, IsReadStrictly) {
  const auto json =
      nlohmann::ordered_json::parse(to_json(with_best(make_checkpoint(5), 5).progress));
  const auto rejection = [&](const std::string& change) {
    auto changed = json;
    changed.merge_patch(nlohmann::ordered_json::parse(change));
    return message_of<CheckpointError>([&] { progress_from_json(changed.dump(), "p.json"); });
  };
  EXPECT_EQ(rejection("{}"), "");
  EXPECT_EQ(rejection(R"({"step":null})"), "p.json: has no 'step'");
  EXPECT_EQ(rejection(R"({"step":-1})"), "p.json: 'step' is -1, not an integer from 0 on");
  EXPECT_EQ(rejection(R"({"step":1.5})"), "p.json: 'step' is 1.5, not an integer from 0 on");
  EXPECT_EQ(rejection(R"({"epoch":"1"})"), "p.json: 'epoch' is \"1\", not an integer from 0 on");
  EXPECT_EQ(rejection(R"({"batch":9223372036854775808})"),
            "p.json: 'batch' is 9223372036854775808, which is too large");
  EXPECT_EQ(rejection(R"({"seconds":"1"})"), "p.json: 'seconds' is \"1\", not a number");
  EXPECT_EQ(rejection(R"({"config_digest":1})"), "p.json: 'config_digest' is 1, not text");
  EXPECT_EQ(rejection(R"({"colour":1})"), "p.json: has an unknown key 'colour'");
  EXPECT_EQ(rejection(R"({"best":{"metric":null}})"), "p.json: 'best': has no 'metric'");
  EXPECT_EQ(rejection(R"({"best":7})"), "p.json: 'best': is damaged: it is not a JSON map");
  EXPECT_EQ(message_of<CheckpointError>([] { progress_from_json("{", "p.json"); }),
            "p.json: is damaged: it is not a JSON map");
}

TEST(Checkpoint, ComesBackBitForBit) {
  const TemporaryFolder folder;
  const auto saved = with_best(make_checkpoint(391), 391);
  const auto path = save_checkpoint(folder.path(), saved, 1);
  EXPECT_EQ(path, folder / "step_00000391");
  EXPECT_TRUE(same(load_checkpoint(path), saved));
  EXPECT_EQ(load_checkpoint_progress(path), saved.progress);
}

TEST(Checkpoint, IsMadeOfFourFilesAndAManifestThatDescribesThem) {
  const TemporaryFolder folder;
  const auto path = save_checkpoint(folder.path(), make_checkpoint(7), 1);
  EXPECT_THAT(names_in(path), UnorderedElementsAre("model.safetensors", "state.safetensors",
                                                   "progress.json", "manifest.json"));
  const auto manifest = nlohmann::json::parse(bytes_of(path / "manifest.json"));
  EXPECT_EQ(manifest["format"], "dnc-host checkpoint");
  EXPECT_EQ(manifest["version"], 1);
  EXPECT_EQ(manifest["files"].size(), 3u);
  for (const auto& [name, about] : manifest["files"].items()) {
    const auto bytes = bytes_of(path / name);
    EXPECT_EQ(about["bytes"], bytes.size());
    Checksum sum;
    sum.add(bytes.data(), bytes.size());
    EXPECT_EQ(std::stoul(about["crc32"].get<std::string>(), nullptr, 16), sum.crc);
  }
}

TEST(Checkpoint, IsReadByAnyReaderOfSafetensors) {
  const TemporaryFolder folder;
  const auto saved = make_checkpoint(7);
  const auto path = save_checkpoint(folder.path(), saved, 1);
  const auto file = read_safetensors(path / "model.safetensors");
  EXPECT_TRUE(same(file.tensors, saved.model));
  EXPECT_EQ(file.metadata.at("format"), "pt");
}

TEST(SaveCheckpoint, KeepsTheNewestAndTheBest) {
  const TemporaryFolder folder;
  for (int64_t step = 1; step <= 6; ++step) {
    save_checkpoint(folder.path(), with_best(make_checkpoint(step), std::min<int64_t>(step, 2)), 2);
  }
  EXPECT_THAT(
      find_checkpoints(folder.path()),
      ElementsAre(folder / "step_00000006", folder / "step_00000005", folder / "step_00000002"));
  EXPECT_EQ(fs::read_symlink(folder / "best"), "step_00000002");
  // A new best lets the old one go.
  save_checkpoint(folder.path(), with_best(make_checkpoint(7), 7), 2);
  EXPECT_THAT(names_in(folder.path()),
              UnorderedElementsAre("step_00000007", "step_00000006", "best"));
  EXPECT_EQ(fs::read_symlink(folder / "best"), "step_00000007");
}

TEST(SaveCheckpoint, HasNoLinkToABestThatWasNotSaved) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), with_best(make_checkpoint(10), 10), 1);
  save_checkpoint(folder.path(), with_best(make_checkpoint(20), 15), 1);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_00000020"));
  EXPECT_EQ(find_best_checkpoint(folder.path()), folder / "step_00000020");
}

TEST(SaveCheckpoint, RemovesWhatALaterTrainingLeftBehind) {
  const TemporaryFolder folder;
  for (const int64_t step : {10, 20, 30}) save_checkpoint(folder.path(), make_checkpoint(step), 9);
  // The run was taken up from step 10, the others being damaged. Were they kept, the next start
  // would find them again and, with keep = 1, they would have pushed out the new one.
  save_checkpoint(folder.path(), make_checkpoint(15), 1);
  EXPECT_THAT(find_checkpoints(folder.path()), ElementsAre(folder / "step_00000015"));
}

TEST(SaveCheckpoint, ReplacesOneOfTheSameStep) {
  const TemporaryFolder folder;
  const auto path = save_checkpoint(folder.path(), make_checkpoint(3), 1);
  damage(path / "model.safetensors");
  const auto again = make_checkpoint(3);
  save_checkpoint(folder.path(), again, 1);
  EXPECT_TRUE(same(load_checkpoint(path), again));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_00000003"));
}

TEST(SaveCheckpoint, TellsWhereItCannotWrite) {
  const TemporaryFolder folder;
  const auto message =
      message_of<CheckpointError>([&] { save_checkpoint(folder / "none", make_checkpoint(3), 1); });
  EXPECT_THAT(message,
              StartsWith((folder / "none/step_00000003").string() + ": cannot be saved: "));
  EXPECT_THAT(message, EndsWith(": cannot be created: No such file or directory. The checkpoints "
                                "before it are untouched."));
}

TEST(FindCheckpoints, PassesOverOtherNames) {
  const TemporaryFolder folder;
  for (const char* name : {"step_00000100", "step_123456789", "step_00000020", "step_1",
                           "step_0000000x", ".step_00000500.77.tmp", "other"}) {
    fs::create_directory(folder / name);
  }
  put_bytes(folder / "step_00000900", "a file");
  EXPECT_THAT(
      find_checkpoints(folder.path()),
      ElementsAre(folder / "step_123456789", folder / "step_00000100", folder / "step_00000020"));
  EXPECT_THAT(find_checkpoints(folder / "none"), IsEmpty());
}

class DamagedCheckpoint : public testing::Test {
 protected:
  DamagedCheckpoint() {
    save_checkpoint(folder_.path(), make_checkpoint(1), 9);
    path_ = save_checkpoint(folder_.path(), make_checkpoint(2), 9);
  }

  /// Why step 2 cannot be loaded, where the newest good one is then step 1 and the warning says so.
  std::string reason() const {
    const auto reason = message_of<CheckpointError>([&] { load_checkpoint(path_); });
    const auto newest = load_newest(folder_.path());
    EXPECT_EQ(newest.found->folder, folder_ / "step_00000001");
    EXPECT_EQ(newest.found->checkpoint.progress.step, 1);
    EXPECT_THAT(newest.warnings,
                ElementsAre("step_00000002 cannot be used, trying the one before it: " + reason));
    return reason;
  }

  TemporaryFolder folder_;
  fs::path path_;
};

TEST_F(DamagedCheckpoint, WithoutDamageIsTheNewest) {
  const auto newest = load_newest(folder_.path());
  EXPECT_EQ(newest.found->folder, path_);
  EXPECT_THAT(newest.warnings, IsEmpty());
}

TEST_F(DamagedCheckpoint, WithAChangedBitIsPassedOver) {
  damage(path_ / "state.safetensors");
  EXPECT_THAT(reason(), testing::MatchesRegex(
                            ".*/step_00000002/state.safetensors: is damaged: its checksum is "
                            "[0-9a-f]{8}, [0-9a-f]{8} was written"));
}

TEST_F(DamagedCheckpoint, ThatIsCutShortIsPassedOver) {
  const auto file = path_ / "model.safetensors";
  const auto size = fs::file_size(file);
  fs::resize_file(file, 40);
  EXPECT_EQ(reason(), file.string() + ": has 40 bytes, but " + std::to_string(size) +
                          " were written: it is cut short");
}

TEST_F(DamagedCheckpoint, ThatGrewIsPassedOver) {
  put_bytes(path_ / "progress.json", bytes_of(path_ / "progress.json") + "\n");
  EXPECT_THAT(reason(), EndsWith(" were written: it is too long"));
}

TEST_F(DamagedCheckpoint, ThatLacksAFileIsPassedOver) {
  fs::remove(path_ / "model.safetensors");
  EXPECT_EQ(reason(), (path_ / "model.safetensors").string() +
                          ": cannot be opened: No such file or directory");
}

TEST_F(DamagedCheckpoint, WithoutManifestIsPassedOver) {
  fs::remove(path_ / "manifest.json");
  EXPECT_EQ(reason(),
            path_.string() + ": is not a checkpoint of dnc-host: it has no manifest.json");
}

TEST_F(DamagedCheckpoint, WithAGarbledManifestIsPassedOver) {
  put_bytes(path_ / "manifest.json", "garbage");
  EXPECT_EQ(reason(), (path_ / "manifest.json").string() + ": is damaged: it is not a JSON map");
  put_bytes(path_ / "manifest.json", std::string(2'000'000, '['));
  EXPECT_EQ(reason(),
            (path_ / "manifest.json").string() + ": has 2.0 MB, at most 1.0 MB are expected");
}

TEST_F(DamagedCheckpoint, OfAnotherProgramOrVersionSaysSo) {
  auto manifest = nlohmann::json::parse(bytes_of(path_ / "manifest.json"));
  manifest["version"] = 2;
  put_bytes(path_ / "manifest.json", manifest.dump());
  EXPECT_EQ(reason(), (path_ / "manifest.json").string() +
                          ": is of version 2, this program reads version 1: use the dnc-host that "
                          "wrote it");
  manifest["format"] = "another";
  put_bytes(path_ / "manifest.json", manifest.dump());
  EXPECT_EQ(reason(), (path_ / "manifest.json").string() +
                          ": is of format 'another', 'dnc-host checkpoint' was expected");
}

TEST_F(DamagedCheckpoint, WhenAllAreBadEndsWithEveryReason) {
  damage(path_ / "model.safetensors");
  fs::remove(folder_ / "step_00000001/manifest.json");
  const auto message = message_of<CheckpointError>([&] { load_newest(folder_.path()); });
  EXPECT_THAT(
      message,
      StartsWith(folder_.path().string() +
                 ": none of the 2 checkpoints can be used. Restore one from a copy, or "
                 "start again in a new folder.\n  " +
                 (path_ / "model.safetensors").string() + ": is damaged: its checksum is "));
  EXPECT_THAT(message, EndsWith("\n  " + (folder_ / "step_00000001").string() +
                                ": is not a checkpoint of dnc-host: it has no manifest.json"));
}

TEST_F(DamagedCheckpoint, IsNeverTakenForAGoodOneWhicheverBitChanged) {
  std::set<std::string> reasons;
  for (const auto& entry : fs::directory_iterator(path_)) {
    const auto file = entry.path();
    const auto good = bytes_of(file);
    for (size_t i = 0; i < good.size(); ++i) {
      auto bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
      put_bytes(file, bytes);
      EXPECT_NE(message_of<CheckpointError>([&] { load_checkpoint(path_); }), "")
          << file << ": bit " << i % 8 << " of byte " << i;
    }
    put_bytes(file, good);
  }
  EXPECT_EQ(load_checkpoint(path_).progress.step, 2);
}

TEST_F(DamagedCheckpoint, IsNeverTakenForAGoodOneWhereverItWasCut) {
  for (const auto& entry : fs::directory_iterator(path_)) {
    const auto file = entry.path();
    const auto good = bytes_of(file);
    // The line break at the end of a manifest is no loss.
    const size_t end = good.size() - (file.filename() == "manifest.json" ? 1 : 0);
    for (size_t length = 0; length < end; ++length) {
      put_bytes(file, good.substr(0, length));
      EXPECT_NE(message_of<CheckpointError>([&] { load_checkpoint(path_); }), "")
          << file << ": " << length << " bytes";
    }
    put_bytes(file, good);
  }
  EXPECT_EQ(load_checkpoint(path_).progress.step, 2);
}

TEST(LoadNewest, FindsNothingInANewRun) {
  const TemporaryFolder folder;
  EXPECT_FALSE(load_newest(folder.path()).found);
  EXPECT_FALSE(load_newest(folder / "none").found);
}

TEST(LoadCheckpoint, NamesAFolderThatIsNotThere) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of<CheckpointError>([&] { load_checkpoint(folder / "none"); }),
            (folder / "none").string() + ": no such checkpoint folder");
}

TEST(FindBestCheckpoint, FollowsTheNewestGoodOne) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of<CheckpointError>([&] { find_best_checkpoint(folder.path()); }),
            folder.path().string() + ": there is no checkpoint");
  save_checkpoint(folder.path(), make_checkpoint(1), 9);
  EXPECT_EQ(find_best_checkpoint(folder.path()), folder / "step_00000001");
  save_checkpoint(folder.path(), with_best(make_checkpoint(2), 2), 9);
  save_checkpoint(folder.path(), with_best(make_checkpoint(3), 2), 9);
  EXPECT_EQ(find_best_checkpoint(folder.path()), folder / "step_00000002");
  save_checkpoint(folder.path(), with_best(make_checkpoint(4), 4), 9);
  EXPECT_EQ(find_best_checkpoint(folder.path()), folder / "step_00000004");
  damage(folder / "step_00000004/progress.json");
  EXPECT_EQ(find_best_checkpoint(folder.path()), folder / "step_00000002");
}

}  // namespace
}  // namespace dnc
