#include "host/weights/initial_weights.h"

#include <ATen/ops/upsample_bicubic2d.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

TensorMap tensors_of(const Shapes& shapes, double value, torch::ScalarType type = torch::kFloat) {
  TensorMap tensors;
  for (const auto& [name, shape] : shapes) tensors.insert(name, torch::full(shape, value, type));
  return tensors;
}

ForeignWeights file_of(TensorMap tensors) {
  ForeignWeights weights;
  weights.origin = "w.pth";
  weights.format = "PyTorch";
  weights.tensors = std::move(tensors);
  return weights;
}

// The names by which a residual network is known, and a head of three classes.
const Shapes kModel = {{"backbone.conv1.weight", {4, 3, 3, 3}},
                       {"backbone.bn1.num_batches_tracked", {}},
                       {"backbone.layer1.0.conv1.weight", {4, 4}},
                       {"head.fc.weight", {3, 4}},
                       {"head.fc.bias", {3}}};
const Shapes kTorchvision = {{"conv1.weight", {4, 3, 3, 3}},
                             {"bn1.num_batches_tracked", {}},
                             {"layer1.0.conv1.weight", {4, 4}},
                             {"fc.weight", {3, 4}},
                             {"fc.bias", {3}}};

/// Starts from the file and gives what is said; what it throws where it does.
std::string start(const TensorMap& model, const TensorMap& file,
                  const std::vector<std::string>& allow = {}, LoadPart part = LoadPart::kAll) {
  try {
    return start_from_weights(model, file_of(file), allow, part);
  } catch (const CheckpointError& error) {
    return error.what();
  }
}

bool all_are(const TensorMap& tensors, double value) {
  for (const auto& item : tensors) {
    if (!item.value().eq(value).all().item<bool>()) return false;
  }
  return true;
}

TEST(StartFromWeights, TakesOurNamesAsTheyAre) {
  const auto model = tensors_of(kModel, 0);
  EXPECT_EQ(start(model, tensors_of(kModel, 1)), "starts from w.pth (PyTorch): 5 of 5 tensors");
  EXPECT_TRUE(all_are(model, 1));
}

TEST(StartFromWeights, KnowsNamesOfOtherPrograms) {
  const auto model = tensors_of(kModel, 0);
  EXPECT_EQ(start(model, tensors_of(kTorchvision, 1)),
            "starts from w.pth (PyTorch, names of torchvision/timm): 5 of 5 tensors");
  EXPECT_TRUE(all_are(model, 1));
}

TEST(StartFromWeights, KeepsTheHeadWhereTheClassesAreOthers) {
  const auto model = tensors_of(kModel, 0);
  auto shapes = kTorchvision;
  shapes[3].second = {1000, 4};
  shapes[4].second = {1000};
  EXPECT_EQ(start(model, tensors_of(shapes, 1)),
            "starts from w.pth (PyTorch, names of torchvision/timm): 3 of 5 tensors; 2 of "
            "other classes\n"
            "tensor                     it is  in the file  in the model\n"
            "──────────────  ────────────────  ───────────  ────────────\n"
            "head.fc.weight  of other classes    [1000, 4]        [3, 4]\n"
            "head.fc.bias    of other classes       [1000]           [3]");
  EXPECT_TRUE(model["backbone.conv1.weight"].eq(1).all().item<bool>());
  EXPECT_TRUE(model["head.fc.weight"].eq(0).all().item<bool>());
}

TEST(StartFromWeights, LeavesOutAuxiliaryHeadsThatTheModelDoesNotHave) {
  for (const auto part : {LoadPart::kAll, LoadPart::kModel}) {
    const auto model = tensors_of(kModel, 0);
    auto shapes = kModel;
    shapes.emplace_back("auxiliary_heads.0.head.fc.weight", std::vector<int64_t>{3, 2});
    EXPECT_EQ(start(model, tensors_of(shapes, 1), {}, part),
              "starts from w.pth (PyTorch): 5 of 5 tensors; 1 left out\n"
              "tensor                  it is  in the file  in the model\n"
              "───────────────────  ────────  ───────────  ────────────\n"
              "auxiliary_heads.0.*  left out     1 tensor             -");
    EXPECT_TRUE(all_are(model, 1));
  }
}

TEST(StartFromWeights, LeavesOutAuxiliaryHeadsOfAnotherNumberUnlessTheWholeModelIsAsked) {
  auto shapes = kModel;
  shapes.emplace_back("auxiliary_heads.0.head.fc.weight", std::vector<int64_t>{3, 2});
  const auto model = tensors_of(shapes, 0);
  shapes.emplace_back("auxiliary_heads.1.head.fc.weight", std::vector<int64_t>{3, 2});
  const auto file = tensors_of(shapes, 1);
  EXPECT_THAT(start(model, file, {}, LoadPart::kModel), testing::HasSubstr("1 unexpected"));
  EXPECT_TRUE(all_are(model, 0));
  EXPECT_THAT(start(model, file), testing::HasSubstr("6 of 6 tensors; 1 left out"));
  EXPECT_TRUE(all_are(model, 1));
}

TEST(StartFromWeights, KeepsTheAuxiliaryHeadsWhereTheClassesAreOthers) {
  auto shapes = kModel;
  shapes.emplace_back("auxiliary_heads.0.head.fc.weight", std::vector<int64_t>{3, 2});
  const auto model = tensors_of(shapes, 0);
  shapes.back().second = {150, 2};
  EXPECT_THAT(start(model, tensors_of(shapes, 1)), testing::HasSubstr("1 of other classes"));
  EXPECT_FALSE(all_are(model, 1));
}

const Shapes kDifferent = {{"backbone.conv1.weight", {8, 3, 3, 3}},
                           {"backbone.layer1.0.conv1.weight", {4, 4}},
                           {"head.prototypes", {3, 4, 4}},
                           {"head.fc.weight", {3, 5}}};

TEST(StartFromWeights, RefusesAnyDifferenceInAModelThatIsUsedAsItIs) {
  const auto model = tensors_of(kModel, 0);
  auto file = tensors_of(kDifferent, 1);
  file["backbone.layer1.0.conv1.weight"] = torch::ones({4, 4}, torch::kLong);
  EXPECT_EQ(
      start(model, file, {}, LoadPart::kModel),
      "w.pth: does not fit the model: 1 missing, 1 unexpected, 2 of another shape, 1 of another "
      "type\n"
      "tensor                                     it is   in the file  in the model\n"
      "──────────────────────────────  ────────────────  ────────────  ────────────\n"
      "backbone.conv1.weight           of another shape  [8, 3, 3, 3]  [4, 3, 3, 3]\n"
      "backbone.layer1.0.conv1.weight   of another type          Long         Float\n"
      "head.fc.weight                  of another shape        [3, 5]        [3, 4]\n"
      "head.fc.bias                             missing             -           [3]\n"
      "head.prototypes                       unexpected     [3, 4, 4]             -\n"
      "Use weights of this model, or say what may differ and stay as it is: load_allow: "
      "[\"backbone.*\", \"head.*\"]");
  EXPECT_TRUE(all_are(model, 0));
}

TEST(StartFromWeights, RefusesAnotherBackboneAndChangesNothing) {
  for (const auto part : {LoadPart::kAll, LoadPart::kBackbone}) {
    const auto model = tensors_of(kModel, 0);
    EXPECT_EQ(start(model, tensors_of(kDifferent, 1), {}, part),
              "w.pth: does not fit the model: 1 of another shape\n"
              "tensor                            it is   in the file  in the model\n"
              "─────────────────────  ────────────────  ────────────  ────────────\n"
              "backbone.conv1.weight  of another shape  [8, 3, 3, 3]  [4, 3, 3, 3]\n"
              "Give `model.backbone` the options that the weights were trained with, or say what "
              "may differ and stay as it is: load_allow: [\"backbone.*\"]");
    EXPECT_TRUE(all_are(model, 0));
  }
}

TEST(StartFromWeights, TakesTheBackboneAloneWhereThatIsAsked) {
  const auto model = tensors_of(kModel, 0);
  auto shapes = kModel;
  shapes.emplace_back("decode_head.conv.weight", std::vector<int64_t>{1});
  shapes.emplace_back("something.else", std::vector<int64_t>{1});
  EXPECT_EQ(start(model, tensors_of(shapes, 1), {}, LoadPart::kBackbone),
            "starts from w.pth (PyTorch): 3 of 5 tensors; 2 new, 4 left out\n"
            "tensor            it is  in the file  in the model\n"
            "─────────────  ────────  ───────────  ────────────\n"
            "head.*         left out    2 tensors     2 tensors\n"
            "decode_head.*  left out     1 tensor             -\n"
            "something.*    left out     1 tensor             -");
  EXPECT_TRUE(model["backbone.conv1.weight"].eq(1).all().item<bool>());
  EXPECT_TRUE(model["head.fc.weight"].eq(0).all().item<bool>());
}

TEST(StartFromWeights, TakesTheNetworkOfImagesForPixelsButForWhatIsNew) {
  const auto model = tensors_of({{"backbone.conv1.weight", {4, 3}},
                                 {"decode_head.conv.weight", {2, 4}},
                                 {"decode_head.conv.bias", {2}},
                                 {"head.projection.weight", {2, 4}},
                                 {"head.prototypes", {11, 10, 2}},
                                 {"head.refused", {}},
                                 {"auxiliary_heads.0.head.fc.weight", {11, 4}}},
                                0);
  const auto file = tensors_of({{"backbone.conv1.weight", {4, 3}},
                                {"head.projection.weight", {2, 4}},
                                {"head.prototypes", {5, 10, 2}},
                                {"head.refused", {}}},
                               1);
  EXPECT_EQ(start(model, file),
            "starts from w.pth (PyTorch): 2 of 7 tensors; 3 new, 1 left out, 1 of other classes\n"
            "tensor                          it is  in the file  in the model\n"
            "───────────────────  ────────────────  ───────────  ────────────\n"
            "decode_head.*                     new            -     2 tensors\n"
            "head.prototypes      of other classes   [5, 10, 2]   [11, 10, 2]\n"
            "auxiliary_heads.0.*               new            -      1 tensor\n"
            "head.refused                 left out           []            []");
  EXPECT_TRUE(model["backbone.conv1.weight"].eq(1).all().item<bool>());
  EXPECT_TRUE(model["head.projection.weight"].eq(1).all().item<bool>());
  EXPECT_TRUE(model["head.refused"].eq(0).all().item<bool>()) << "counts for the prototypes";
}

TEST(StartFromWeights, RefusesAnotherDecodeHeadUnlessOnlyTheBackboneIsAsked) {
  const Shapes here = {{"backbone.conv1.weight", {4}}, {"decode_head.conv.weight", {2, 4}}};
  const Shapes there = {{"backbone.conv1.weight", {4}}, {"decode_head.fuse.weight", {2, 4}}};
  auto model = tensors_of(here, 0);
  EXPECT_THAT(start(model, tensors_of(there, 1)),
              testing::HasSubstr("Take the backbone alone: `load_part: backbone`, or say what may "
                                 "differ and stay as it is: load_allow: [\"decode_head.*\"]"));
  EXPECT_TRUE(all_are(model, 0));
  EXPECT_THAT(start(model, tensors_of(there, 1), {}, LoadPart::kBackbone),
              testing::HasSubstr("1 of 2 tensors"));
}

TEST(StartFromWeights, TakesALongerBackboneThatBeginsAsTheModelsDoes) {
  const Shapes here = {{"backbone.features.2.weight", {2}}, {"backbone.features.9.weight", {2}}};
  auto there = here;
  there.emplace_back("backbone.features.10.weight", std::vector<int64_t>{2});
  there.emplace_back("backbone.norm.weight", std::vector<int64_t>{2});
  const auto model = tensors_of(here, 0);
  EXPECT_EQ(start(model, tensors_of(there, 1)),
            "starts from w.pth (PyTorch): 2 of 2 tensors; 2 behind the end\n"
            "tensor                        it is  in the file  in the model\n"
            "───────────────────  ──────────────  ───────────  ────────────\n"
            "backbone.features.*  behind the end     1 tensor             -\n"
            "backbone.norm.*      behind the end     1 tensor             -");
  EXPECT_THAT(start(model, tensors_of(there, 1), {}, LoadPart::kModel),
              testing::HasSubstr("2 unexpected"));
  there.emplace_back("backbone.features.3.weight", std::vector<int64_t>{2});
  EXPECT_THAT(start(model, tensors_of(there, 1)), testing::HasSubstr("3 unexpected"))
      << "a layer between is another network";
}

TEST(StartFromWeights, LeavesOutWhatIsAllowed) {
  const auto model = tensors_of(kModel, 0);
  const auto file = tensors_of(
      {{"conv1.weight", {4, 3, 3, 3}}, {"layer1.0.conv1.weight", {4, 4}}, {"fc2.weight", {3, 4}}},
      1);
  EXPECT_EQ(start(model, file, {"head.*", "backbone.fc2.*"}, LoadPart::kModel),
            "starts from w.pth (PyTorch, names of torchvision/timm): 2 of 5 tensors; 2 "
            "missing, 1 unexpected\n"
            "tensor                    it is  in the file  in the model\n"
            "───────────────────  ──────────  ───────────  ────────────\n"
            "head.fc.weight          missing            -        [3, 4]\n"
            "head.fc.bias            missing            -           [3]\n"
            "backbone.fc2.weight  unexpected       [3, 4]             -");
  EXPECT_TRUE(model["backbone.conv1.weight"].eq(1).all().item<bool>());
}

TEST(StartFromWeights, RefusesAPatternThatFitsNothing) {
  EXPECT_EQ(start(tensors_of(kModel, 0), tensors_of(kModel, 1), {"haed.*"}),
            "w.pth: 'haed.*' of load_allow fits no tensor of the file or the model");
}

TEST(StartFromWeights, TakesAnyKindOfFloatAndFilesWithoutCounters) {
  const auto model = tensors_of(kModel, 0);
  auto shapes = kModel;
  shapes.erase(shapes.begin() + 1);
  EXPECT_EQ(start(model, tensors_of(shapes, 0.5, torch::kHalf)),
            "starts from w.pth (PyTorch): 4 of 5 tensors");
  EXPECT_EQ(model["head.fc.weight"].scalar_type(), torch::kFloat);
  EXPECT_TRUE(model["head.fc.weight"].eq(0.5).all().item<bool>());
}

TEST(StartFromWeights, ResizesTheBiasesOfWindows) {
  const std::string table = "backbone.features.1.0.attn.relative_position_bias_table";
  auto model = tensors_of({{"backbone.features.0.0.weight", {2}}, {table, {23 * 23, 2}}}, 0);
  auto file = tensors_of({{"features.0.0.weight", {2}}}, 1);
  const auto given = torch::randn({169, 2});
  file.insert("features.1.0.attn.relative_position_bias_table", given);
  EXPECT_EQ(
      start(model, file),
      "starts from w.pth (PyTorch, names of torchvision): 2 of 2 tensors; 1 resized\n"
      "tensor                                                     it is  in the file  in the "
      "model\n"
      "───────────────────────────────────────────────────────  ───────  ───────────  "
      "────────────\n"
      "backbone.features.1.0.attn.relative_position_bias_table  resized     [169, 2]      [529, "
      "2]");
  // As F.interpolate(..., mode="bicubic") of one head's biases, which is what mmseg does.
  for (const int64_t head : {0, 1}) {
    const auto map = given.select(1, head).reshape({1, 1, 13, 13});
    const auto expected = at::upsample_bicubic2d(map, {23, 23}, false).flatten();
    EXPECT_TRUE(torch::allclose(model[table].select(1, head), expected, 1e-6, 1e-6)) << head;
  }
}

TEST(StartFromWeights, ResizesTheEmbeddingsOfPatchesAndKeepsThatOfTheClassToken) {
  const std::string positions = "backbone.encoder.pos_embedding";
  const Shapes shapes = {{"backbone.class_token", {1, 1, 3}},
                         {"backbone.encoder.layers.encoder_layer_0.ln_1.weight", {3}}};
  auto model = tensors_of(shapes, 0);
  model.insert(positions, torch::zeros({1, 1 + 36, 3}));
  auto file = tensors_of(shapes, 1);
  auto given = torch::full({1, 1 + 16, 3}, 2.0);
  given[0][0].fill_(5);
  file.insert(positions, given);
  EXPECT_EQ(start(model, file).substr(0, 57),
            "starts from w.pth (PyTorch): 3 of 3 tensors; 1 resized\nte");
  EXPECT_TRUE(model[positions][0][0].eq(5).all().item<bool>());
  EXPECT_TRUE(torch::allclose(model[positions].slice(1, 1), torch::full({1, 36, 3}, 2.0)));
}

TEST(StartFromWeights, RefusesSizesThatCannotBeResized) {
  const std::string table = "backbone.features.1.0.attn.relative_position_bias_table";
  const auto model = tensors_of({{"backbone.features.0.0.weight", {2}}, {table, {529, 2}}}, 0);
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{168, 2}, {169, 3}, {169}, {0, 2}}) {
    const auto file = tensors_of({{"backbone.features.0.0.weight", {2}}, {table, shape}}, 1);
    EXPECT_NE(start(model, file).find("does not fit the model: 1 of another shape"),
              std::string::npos);
  }
}

TEST(StartFromWeights, ShowsTheFirstRowsOfALongTable) {
  Shapes many;
  for (int i = 0; i < 50; ++i)
    many.emplace_back("layer" + std::to_string(i), std::vector<int64_t>{});
  const auto message = start(tensors_of(kModel, 0), tensors_of(many, 1), {}, LoadPart::kModel);
  EXPECT_NE(message.find("\nand 14 more\nUse weights"), std::string::npos) << message;
  EXPECT_NE(message.find("load_allow: [\"*\"]"), std::string::npos) << message;
}

}  // namespace
}  // namespace dnc
