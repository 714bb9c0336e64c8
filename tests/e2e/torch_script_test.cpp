#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "host/weights/pth.h"
#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

/// Two steps of training with the module of a file as the backbone.
TensorMap weights_after_training(const fs::path& folder, const fs::path& file, bool frozen) {
  const auto run = folder / (frozen ? "frozen" : "trained");
  const std::string backbone = "{type: TorchScript, file: " + file.string() +
                               ", frozen: " + (frozen ? "true" : "false") + "}";
  const auto trained = run_program({"train", write_small_config(folder).string(), "-o",
                                    run.string(), "--set", "model.backbone=" + backbone, "--set",
                                    "data.batch_size=160", "--set", "train.epochs=1"});
  EXPECT_EQ(trained.code, 0) << trained.output;
  const auto tested = run_program({"test", run.string()});
  EXPECT_EQ(tested.code, 0) << tested.output;
  return read_safetensors(run / "checkpoints/best/model.safetensors").tensors;
}

TEST(TorchScriptBackbone, TrainsInTheProgramUnlessItIsFrozen) {
  const auto file = fs::path(DNC_SOURCE_DIR) / "tests/golden/torch_script/small.pt";
  const auto before = read_pth(file).tensors;
  ASSERT_FALSE(before.is_empty());
  const TemporaryFolder folder;
  const auto trained = weights_after_training(folder.path(), file, false);
  const auto frozen = weights_after_training(folder.path(), file, true);
  for (const auto& item : before) {
    const auto name = "backbone." + item.key();
    ASSERT_TRUE(trained.contains(name)) << name;
    EXPECT_EQ(torch::equal(trained[name], item.value()), item.key() == "scale") << name;
    EXPECT_TRUE(torch::equal(frozen[name], item.value())) << name;
  }
}

}  // namespace
}  // namespace dnc
