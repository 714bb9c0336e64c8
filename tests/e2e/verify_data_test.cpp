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
using testing::HasSubstr;

void write_shaded_picture(const fs::path& path, int shade) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << "P6 16 16 255\n";
  for (int i = 0; i < 16 * 16 * 3; ++i) file.put(static_cast<char>((i * 7 + shade) % 256));
}

// Class folders for training and for testing, and a config that names them.
fs::path write_folders(const fs::path& folder) {
  for (int i = 0; i < 4; ++i) {
    const auto name = std::to_string(i) + ".ppm";
    write_shaded_picture(folder / "train/cat" / name, i);
    write_shaded_picture(folder / "train/dog" / name, 100 + i);
    write_shaded_picture(folder / "test/cat" / name, 50 + i);
    write_shaded_picture(folder / "test/dog" / name, 150 + i);
  }
  std::ofstream(folder / "data.yaml") << R"(
model:
  backbone: {type: ResNetCifar, depth: 8}
  decode_head: GlobalAveragePooling
  head: Linear
data:
  train: {dataset: {type: ImageFolder, root: train}}
  test: {dataset: {type: ImageFolder, root: test}}
  batch_size: 4
optimizer: {type: SGD, lr: 0.1}
train: {steps: 1}
)";
  return folder / "data.yaml";
}

TEST(VerifyDataCommand, GoodDataPasses) {
  const TemporaryFolder folder;
  const auto result = run_program({"verify-data", write_folders(folder.path()).string()});
  EXPECT_EQ(result.code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("train: 8 samples, sides of 16 to 16 pixels"));
  EXPECT_THAT(result.output, HasSubstr("test: 8 samples"));
  EXPECT_THAT(result.output, HasSubstr("50.00 %"));
}

TEST(VerifyDataCommand, BrokenFilesAreListedAndEndWithOne) {
  const TemporaryFolder folder;
  const auto config = write_folders(folder.path());
  fs::resize_file(folder / "train/dog/1.ppm", 100);
  fs::copy_file(folder / "train/cat/2.ppm", folder / "test/dog/0.ppm",
                fs::copy_options::overwrite_existing);
  const auto text = run_program({"verify-data", config.string()});
  EXPECT_EQ(text.code, 1) << text.output;
  EXPECT_THAT(text.output, HasSubstr("1 broken:\n    " + (folder / "train/dog/1.ppm").string()));
  EXPECT_THAT(text.output, HasSubstr("1 in the training data, too:\n    " +
                                     (folder / "test/dog/0.ppm").string()));

  const auto json = run_program({"verify-data", config.string(), "--json", "--split", "train"});
  EXPECT_EQ(json.code, 1);
  const auto found = nlohmann::json::parse(json.output);
  EXPECT_EQ(found["train"]["broken"][0]["index"], 5);
  EXPECT_EQ(found["train"]["classes"]["dog"], 3);
  EXPECT_FALSE(found.contains("test"));
}

TEST(VerifyDataCommand, AnUnknownSplitIsRefused) {
  const TemporaryFolder folder;
  const auto result =
      run_program({"verify-data", write_folders(folder.path()).string(), "--split", "training"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.output, HasSubstr("training"));
}

}  // namespace
}  // namespace dnc
