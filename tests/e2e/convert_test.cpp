#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "host/weights/pth.h"
#include "host/weights/safetensors.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A finished run of a small network with a linear head of four classes.
class Convert : public testing::Test {
 protected:
  void SetUp() override {
    config_ = write_small_config(folder_.path(), "linear.yaml", "{type: Linear}").string();
    const auto trained = run_program({"train", config_, "-o", run_});
    ASSERT_EQ(trained.code, 0) << trained.output;
  }
  std::string in_folder(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
  std::string config_;
  std::string run_ = in_folder("run");
};

TEST_F(Convert, WritesARunUnderOtherNamesAndBack) {
  const auto pth = in_folder("net.pth");
  const auto there = run_program({"convert", run_, pth, "--names", "torchvision"});
  ASSERT_EQ(there.code, 0) << there.output;
  const auto weights = read_pth(pth);
  EXPECT_TRUE(weights.tensors.contains("fc.weight"));
  EXPECT_TRUE(weights.tensors.contains("conv1.weight"));

  const auto back = run_program({"convert", pth, in_folder("net.safetensors"), "--names", "dnc"});
  ASSERT_EQ(back.code, 0) << back.output;
  EXPECT_TRUE(has(back.output, pth + " (PyTorch, names of torchvision/timm) -> " +
                                   in_folder("net.safetensors") + ": "))
      << back.output;
  const auto ours = read_safetensors(in_folder("net.safetensors")).tensors;
  const auto original =
      read_safetensors(fs::path(run_) / "checkpoints/best/model.safetensors").tensors;
  ASSERT_EQ(ours.size(), original.size());
  for (const auto& item : original) {
    ASSERT_TRUE(ours.contains(item.key())) << item.key();
    EXPECT_TRUE(torch::equal(ours[item.key()], item.value())) << item.key();
  }
}

TEST_F(Convert, SaysWhatItCannotDo) {
  const auto name = run_program({"convert", run_, in_folder("x.pth"), "--names", "torchvsion"});
  EXPECT_EQ(name.code, 1);
  EXPECT_EQ(name.output,
            "error: --names: 'torchvsion' is not known; did you mean 'torchvision'? (known: dnc, "
            "facebook, huggingface, microsoft, mmcls, mmseg, nvidia, timm, torchvision)\n");
  const auto form = run_program({"convert", run_, in_folder("x.pth"), "--names", "microsoft"});
  EXPECT_EQ(form.code, 1);
  EXPECT_TRUE(has(form.output,
                  ": no table has the names of microsoft for these weights. Leave "
                  "--names out to keep the names that they have.\n"))
      << form.output;
  const auto suffix = run_program({"convert", run_, in_folder("x.onnx")});
  EXPECT_EQ(suffix.code, 1);
  EXPECT_EQ(suffix.output,
            "error: " + in_folder("x.onnx") +
                ": the name must end with .safetensors, .pth or .pt, which says what "
                "is written\n");
  const auto lost = run_program({"convert", run_, in_folder("x.pth"), "--names", "dnc"});
  EXPECT_EQ(lost.code, 0) << lost.output;
}

TEST_F(Convert, WritesTheAveragesOfARunThatKeepsThem) {
  const auto run = in_folder("averaged");
  ASSERT_EQ(run_program({"train", config_, "-o", run, "--set", "train.ema=true"}).code, 0);
  const auto file = in_folder("net.safetensors");
  const auto converted = run_program({"convert", run, file});
  ASSERT_EQ(converted.code, 0) << converted.output;
  EXPECT_TRUE(has(converted.output, " (checkpoint, averaged parameters) -> ")) << converted.output;

  const auto written = read_safetensors(file).tensors;
  const auto best = fs::path(run) / "checkpoints/best";
  const auto live = read_safetensors(best / "model.safetensors").tensors;
  const auto state = read_safetensors(best / "state.safetensors").tensors;
  ASSERT_EQ(written.size(), live.size());
  int64_t averages = 0;
  for (const auto& item : live) {
    const auto* average = state.find("ema.average." + item.key());
    averages += average != nullptr;
    EXPECT_TRUE(torch::equal(written[item.key()], average ? *average : item.value())) << item.key();
  }
  EXPECT_GT(averages, 0);
  EXPECT_FALSE(torch::equal(written["head.fc.weight"], live["head.fc.weight"]));

  // The file says the same as the run does.
  const auto of_run = run_program({"test", run});
  const auto of_file = run_program({"test", config_, "--weights", file});
  ASSERT_EQ(of_run.code, 0) << of_run.output;
  ASSERT_EQ(of_file.code, 0) << of_file.output;
  const auto figure = [](const std::string& output) {
    const auto at = output.find("accuracy/top1");
    return at == std::string::npos ? output : output.substr(at, output.find('\n', at) - at);
  };
  EXPECT_EQ(figure(of_file.output), figure(of_run.output));
}

TEST_F(Convert, LeavesOutOnlyWhatIsAllowed) {
  const auto config = write_small_config(folder_.path(), "dnc.yaml", "{type: DNC}").string();
  const auto run = in_folder("dnc_run");
  ASSERT_EQ(run_program({"train", config, "-o", run}).code, 0);
  const auto refused = run_program({"convert", run, in_folder("x.pth"), "--names", "torchvision"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(has(refused.output, "tensors have no name there: head.")) << refused.output;
  EXPECT_FALSE(fs::exists(in_folder("x.pth")));
  const auto allowed = run_program(
      {"convert", run, in_folder("x.pth"), "--names", "torchvision", "--allow", "head.*"});
  EXPECT_EQ(allowed.code, 0) << allowed.output;
  EXPECT_TRUE(has(allowed.output, "left out: head.prototypes\n")) << allowed.output;
}

TEST_F(Convert, MakesFilesThatARunStartsFrom) {
  const auto pth = in_folder("net.pth");
  ASSERT_EQ(run_program({"convert", run_, pth, "--names", "torchvision"}).code, 0);
  const auto same =
      run_program({"train", config_, "-o", in_folder("same"), "--set", "load_from=" + pth});
  EXPECT_EQ(same.code, 0) << same.output;
  EXPECT_TRUE(has(same.output, "starts from " + pth + " (PyTorch, names of torchvision/timm): "))
      << same.output;
  // Another head stays as it is in a training; to be tested it must be that of the file.
  const auto config = write_small_config(folder_.path(), "dnc.yaml", "{type: DNC}").string();
  const auto other =
      run_program({"train", config, "-o", in_folder("other"), "--set", "load_from=" + pth});
  EXPECT_EQ(other.code, 0) << other.output;
  EXPECT_TRUE(has(other.output, "head.prototypes")) << other.output;
  EXPECT_TRUE(has(other.output, "they start anew (model.head.start: noise)")) << other.output;
  const auto tested = run_program({"test", config, "--weights", pth});
  EXPECT_EQ(tested.code, 1);
  EXPECT_TRUE(has(tested.output, "load_allow: [\"head.*\"]")) << tested.output;
}

TEST(ConvertInPython, FilesLoadStrictlyInTorchvisionAndTimm) {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string python = given ? given : "python3";
  const auto packages = python + " -c 'import torch, torchvision, timm, safetensors' 2>/dev/null";
  if (std::system(packages.c_str()) != 0) {
    GTEST_SKIP() << python << " has no torch, torchvision, timm and safetensors; name one that has "
                 << "by DNC_PYTHON";
  }
  const TemporaryFolder folder;
  const auto command = python +
                       " -W ignore " DNC_SOURCE_DIR
                       "/tests/golden/convert_round_trip.py " DNC_PROGRAM " '" +
                       folder.path().string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace dnc
