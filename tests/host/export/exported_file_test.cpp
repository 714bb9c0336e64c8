// Files of `dnc-host export` that say of themselves what is not so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "host/export/torch_script.h"
#include "host/predict/inference_model.h"
#include "registry/error.h"
#include "tests/host/export/exported_model.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ExportedFile : public testing::Test {
 protected:
  /// What is said of the file whose description is changed so.
  std::string refusal(const std::function<void(json&)>& change) {
    auto about = json::parse(description(one_.info, true));
    change(about);
    module_.save(file_, {{"dnc.json", about.dump()}, {"config.yaml", ""}});
    return message_of<Error>([&] {
      std::string note;
      open_exported_model(one_.program, file_, note);
    });
  }

  const TemporaryFolder folder_;
  const std::string file_ = (folder_ / "model.pt").string();
  Exported one_{std::string("backbone: {type: ResNetCifar, depth: 8}, ") + kImageHead + "DNC"};
  torch::jit::Module module_ = to_torch_script(*one_.network, one_.info).module;
};

TEST_F(ExportedFile, IsOpened) {
  EXPECT_EQ(refusal([](json&) {}), "");
}

TEST_F(ExportedFile, WithOtherClassesThanScoresIsRefused) {
  const auto classes = std::to_string(one_.info.classes.size());
  EXPECT_THAT(refusal([](json& about) { about["classes"].push_back("one more"); }),
              HasSubstr("the model gives scores [1, " + classes + "] of Float for 1 images and "));
  EXPECT_THAT(refusal([](json& about) { about["task"] = "pixels"; }), HasSubstr("gives scores"));
}

TEST_F(ExportedFile, WithASizeThatFillsTheMemoryIsRefused) {
  for (const auto& size : {json{4'000'000'000, 4'000'000'000}, json{-1, 3}, json{0, 0}}) {
    EXPECT_EQ(refusal([&](json& about) { about["size"] = size; }),
              file_ + ": its description (dnc.json) is damaged");
  }
}

}  // namespace
}  // namespace dnc
