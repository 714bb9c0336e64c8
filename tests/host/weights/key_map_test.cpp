#include "host/weights/key_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/functional/fold.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using Names = std::vector<std::string>;

TensorMap named(const Names& names, const torch::Tensor& tensor = torch::zeros({1})) {
  TensorMap tensors;
  for (const auto& name : names) tensors.insert(name, tensor);
  return tensors;
}

const KeyMaps& builtin() {
  static const KeyMaps maps(DNC_SOURCE_DIR "/keymaps");
  return maps;
}

/// A table of one form of the names `theirs`, in a folder of its own.
class OneTable {
 public:
  explicit OneTable(const std::string& form) {
    put_bytes(folder_ / "net.yaml",
              "ours: [backbone.a]\nforms:\n  - names: [theirs]\n    known_by: [a]\n" + form);
  }
  KeyMaps maps() const { return KeyMaps(folder_.path()); }
  std::string rejection() const {
    const auto message = message_of<ConfigError>([&] { maps(); });
    const auto begin = (folder_ / "net.yaml").string() + ": ";
    return message.starts_with(begin) ? message.substr(begin.size()) : message;
  }

 private:
  TemporaryFolder folder_;
};

/// Goes from their names to ours and back; `names` are pairs (theirs, ours).
void expect_pairs(const std::vector<std::pair<std::string, std::string>>& names,
                  const std::string& of) {
  TensorMap theirs, ours;
  for (const auto& [there, here] : names) {
    theirs.insert(there, torch::zeros({1}));
    ours.insert(here, torch::zeros({1}));
  }
  const auto* form = builtin().recognise(theirs);
  ASSERT_TRUE(form) << of;
  EXPECT_EQ(form->names.front(), of);
  const auto read = to_ours(theirs, *form, "x");
  EXPECT_EQ(read.tensors.keys(), ours.keys());
  EXPECT_TRUE(read.unknown.empty());
  const auto* back = builtin().find(ours, of);
  ASSERT_TRUE(back) << of;
  EXPECT_EQ(from_ours(ours, *back, "x").tensors.keys(), theirs.keys());
}

TEST(KeyMaps, KnowsTheNamesOfMobileNetV2InMmcls) {
  expect_pairs({{"backbone.conv1.conv.weight", "backbone.features.0.0.weight"},
                {"backbone.conv1.bn.bias", "backbone.features.0.1.bias"},
                {"backbone.layer1.0.conv.0.conv.weight", "backbone.features.1.conv.0.0.weight"},
                {"backbone.layer1.0.conv.1.bn.weight", "backbone.features.1.conv.2.weight"},
                {"backbone.layer2.1.conv.0.bn.weight", "backbone.features.3.conv.0.1.weight"},
                {"backbone.layer4.3.conv.1.conv.weight", "backbone.features.10.conv.1.0.weight"},
                {"backbone.layer7.0.conv.2.conv.weight", "backbone.features.17.conv.2.weight"},
                {"backbone.conv2.bn.running_var", "backbone.features.18.1.running_var"},
                {"head.fc.weight", "head.fc.weight"}},
               "mmcls");
}

TEST(KeyMaps, KnowsTheNamesOfVisionTransformersInMmcls) {
  const std::string block = "backbone.encoder.layers.encoder_layer_0.";
  expect_pairs({{"backbone.cls_token", "backbone.class_token"},
                {"backbone.pos_embed", "backbone.encoder.pos_embedding"},
                {"backbone.patch_embed.projection.bias", "backbone.conv_proj.bias"},
                {"backbone.layers.0.ln1.weight", block + "ln_1.weight"},
                {"backbone.layers.0.attn.qkv.weight", block + "self_attention.in_proj_weight"},
                {"backbone.layers.0.attn.proj.bias", block + "self_attention.out_proj.bias"},
                {"backbone.layers.0.ffn.layers.0.0.weight", block + "mlp.0.weight"},
                {"backbone.layers.0.ffn.layers.1.weight", block + "mlp.3.weight"},
                {"backbone.ln1.weight", "backbone.encoder.ln.weight"},
                {"head.layers.head.weight", "head.fc.weight"}},
               "mmcls");
}

TEST(KeyMaps, KnowsTheNamesOfConvNextInMmclsAndTheOfficialCode) {
  for (const bool official : {false, true}) {
    const std::string prefix = official ? "" : "backbone.";
    TensorMap theirs = named(
        {prefix + "downsample_layers.0.1.bias", prefix + "downsample_layers.0.0.weight",
         prefix + "stages.0.0." + (official ? "dwconv" : "depthwise_conv") + ".weight",
         prefix + "stages.1.2." + (official ? "pwconv2" : "pointwise_conv2") + ".bias",
         prefix + "downsample_layers.2.1.weight", prefix + (official ? "norm" : "norm3") + ".bias",
         official ? "head.weight" : "head.fc.weight"});
    theirs.insert(prefix + "stages.3.0.gamma", torch::arange(4));
    const auto* form = builtin().recognise(theirs);
    ASSERT_TRUE(form);
    EXPECT_EQ(form->names.front(), official ? "facebook" : "mmcls");
    const auto ours = to_ours(theirs, *form, "x").tensors;
    EXPECT_EQ(ours.keys(),
              (Names{"backbone.features.0.1.bias", "backbone.features.0.0.weight",
                     "backbone.features.1.0.block.0.weight", "backbone.features.3.2.block.5.bias",
                     "backbone.features.4.1.weight", "backbone.norm.bias", "head.fc.weight",
                     "backbone.features.7.0.layer_scale"}));
    EXPECT_TRUE(
        torch::equal(ours["backbone.features.7.0.layer_scale"], torch::arange(4).view({4, 1, 1})));
    const auto back = from_ours(ours, *form, "x").tensors;
    EXPECT_EQ(back.keys(), theirs.keys());
    EXPECT_TRUE(torch::equal(back[prefix + "stages.3.0.gamma"], torch::arange(4)));
  }
}

TEST(KeyMaps, KnowsTheNamesOfSwinTransformers) {
  const std::string stage = "backbone.features.3.1.";
  const std::string ours = "backbone.features.0.0.weight";
  const std::string table = "backbone.features.1.0.attn.relative_position_bias_table";
  const auto pairs_of = [&](const std::string& prefix, const std::string& patches,
                            const std::string& blocks, const std::string& attention,
                            const std::string& mlp, const std::string& merging,
                            const std::string& head) {
    TensorMap here = named({ours, stage + "norm1.bias", stage + "attn.qkv.weight",
                            stage + "mlp.3.weight", "head.fc.bias"});
    here.insert("backbone.features.2.reduction.weight", torch::zeros({8, 16}));
    here.insert(table, torch::zeros({169, 3}));
    TensorMap there =
        named({prefix + "patch_embed." + patches + ".weight", prefix + blocks + "norm1.bias",
               prefix + blocks + attention + "qkv.weight", prefix + blocks + mlp + ".weight",
               head + ".bias"});
    there.insert(prefix + merging + ".reduction.weight", torch::zeros({8, 16}));
    return std::pair(here, there);
  };
  struct Case {
    std::string name;
    std::pair<TensorMap, TensorMap> tensors;
  };
  const std::vector<Case> cases = {
      {"microsoft", pairs_of("", "proj", "layers.1.blocks.1.", "attn.", "mlp.fc2",
                             "layers.0.downsample", "head")},
      {"timm", pairs_of("", "proj", "layers.1.blocks.1.", "attn.", "mlp.fc2", "layers.1.downsample",
                        "head.fc")},
      {"mmcls", pairs_of("backbone.", "projection", "stages.1.blocks.1.", "attn.w_msa.",
                         "ffn.layers.1", "stages.0.downsample", "head.fc")},
      {"mmseg", pairs_of("backbone.", "projection", "stages.1.blocks.1.", "attn.w_msa.",
                         "ffn.layers.1", "stages.0.downsample", "decode_head.conv_seg")}};
  for (const auto& [name, tensors] : cases) {
    const auto* form = builtin().find(tensors.first, name);
    ASSERT_TRUE(form) << name;
    const auto written = from_ours(tensors.first, *form, "x").tensors;
    for (const auto& item : tensors.second) {
      EXPECT_TRUE(written.contains(item.key())) << name << ": " << item.key();
    }
    const auto read = to_ours(written, *form, "x");
    EXPECT_EQ(read.tensors.keys(), tensors.first.keys()) << name;
  }
}

TEST(KeyMaps, KnowsTheHeadsOfMmsegBehindAnyBackbone) {
  const std::vector<std::pair<std::string, std::string>> heads = {
      {"decode_head.conv_seg.bias", "head.fc.bias"},
      {"decode_head.convs.0.conv.weight", "decode_head.convs.0.conv.weight"},
      {"decode_head.psp_modules.1.1.bn.running_mean",
       "decode_head.psp_modules.1.1.bn.running_mean"},
      {"auxiliary_head.0.conv_seg.bias", "auxiliary_heads.0.head.fc.bias"},
      {"auxiliary_head.1.convs.0.bn.weight", "auxiliary_heads.1.decode_head.convs.0.bn.weight"}};
  const std::vector<std::vector<std::pair<std::string, std::string>>> backbones = {
      {{"backbone.conv1.weight", "backbone.conv1.weight"},
       {"backbone.layer1.0.conv1.weight", "backbone.layer1.0.conv1.weight"}},
      {{"backbone.stem.0.weight", "backbone.conv1.0.weight"},
       {"backbone.stem.7.weight", "backbone.bn1.weight"},
       {"backbone.layer1.0.conv1.weight", "backbone.layer1.0.conv1.weight"}},
      {{"backbone.conv1.conv.weight", "backbone.features.0.0.weight"},
       {"backbone.layer1.0.conv.0.conv.weight", "backbone.features.1.conv.0.0.weight"}},
      {{"backbone.patch_embed.projection.weight", "backbone.features.0.0.weight"},
       {"backbone.norm0.weight", "backbone.norm0.weight"},
       {"backbone.stages.0.blocks.0.attn.w_msa.qkv.weight",
        "backbone.features.1.0.attn.qkv.weight"}},
      {{"backbone.conv2.weight", "backbone.conv2.weight"},
       {"backbone.stage2.0.branches.0.0.conv1.weight",
        "backbone.stage2.0.branches.0.0.conv1.weight"}},
      {{"backbone.layers.0.0.projection.weight", "backbone.layers.0.0.projection.weight"},
       {"backbone.layers.0.1.0.attn.attn.in_proj_weight",
        "backbone.layers.0.1.0.attn.attn.in_proj_weight"}}};
  for (const auto& backbone : backbones) {
    SCOPED_TRACE(backbone.back().first);
    TensorMap theirs, ours;
    for (const auto& names : {backbone, heads}) {
      for (const auto& [there, here] : names) {
        theirs.insert(there, torch::zeros({1}));
        ours.insert(here, torch::zeros({1}));
      }
    }
    theirs.insert("decode_head.conv_seg.weight", torch::arange(6).view({2, 3, 1, 1}));
    ours.insert("head.fc.weight", torch::arange(6).view({2, 3}));
    const auto* form = builtin().recognise(theirs);
    ASSERT_TRUE(form);
    EXPECT_EQ(form->names, Names{"mmseg"});
    const auto read = to_ours(theirs, *form, "x");
    EXPECT_THAT(read.tensors.keys(), testing::UnorderedElementsAreArray(ours.keys()));
    EXPECT_TRUE(torch::equal(read.tensors["head.fc.weight"], ours["head.fc.weight"]));
    EXPECT_TRUE(read.unknown.empty());
  }
}

TEST(KeyMaps, WritesTheHeadsOfMmseg) {
  TensorMap ours;
  ours.insert("backbone.conv1.weight", torch::zeros({1}));
  ours.insert("backbone.layer1.0.conv1.weight", torch::zeros({1}));
  ours.insert("decode_head.convs.0.conv.weight", torch::zeros({1}));
  ours.insert("head.fc.weight", torch::arange(6).view({2, 3}));
  ours.insert("auxiliary_heads.0.head.fc.weight", torch::zeros({2, 3}));
  const auto* form = builtin().find(ours, "mmseg");
  ASSERT_TRUE(form);
  const auto theirs = from_ours(ours, *form, "x");
  EXPECT_EQ(theirs.tensors.keys(),
            (Names{"backbone.conv1.weight", "backbone.layer1.0.conv1.weight",
                   "decode_head.convs.0.conv.weight", "decode_head.conv_seg.weight",
                   "auxiliary_head.0.conv_seg.weight"}));
  EXPECT_EQ(theirs.tensors["decode_head.conv_seg.weight"].sizes().vec(),
            (std::vector<int64_t>{2, 3, 1, 1}));
}

TEST(KeyMaps, TakesOneAuxiliaryHeadOfMmsegAsTheFirst) {
  auto theirs = named({"backbone.conv1.weight", "backbone.layer1.0.conv1.weight",
                       "auxiliary_head.convs.0.bn.bias", "auxiliary_head.conv_seg.bias"});
  theirs.insert("decode_head.conv_seg.weight", torch::zeros({2, 3, 1, 1}));
  const auto read = to_ours(theirs, *builtin().recognise(theirs), "x");
  EXPECT_TRUE(read.unknown.empty());
  EXPECT_TRUE(read.tensors.contains("auxiliary_heads.0.decode_head.convs.0.bn.bias"));
  EXPECT_TRUE(read.tensors.contains("auxiliary_heads.0.head.fc.bias"));
}

TEST(KeyMaps, PacksQueriesKeysAndValues) {
  const auto packed = torch::arange(24).view({6, 4});
  const auto first = packed.narrow(0, 0, 2), rest = packed.narrow(0, 2, 4);
  const OneTable table(
      "    rows:\n"
      "      - backbone.in = b via keys_values\n"
      "      - backbone.in = a via queries\n");
  const auto maps = table.maps();
  TensorMap theirs;
  theirs.insert("b", rest);  // whatever comes first in the file
  theirs.insert("a", first);
  const auto* form = maps.recognise(theirs);
  ASSERT_TRUE(form);
  const auto ours = to_ours(theirs, *form, "x");
  EXPECT_EQ(ours.tensors.keys(), Names{"backbone.in"});
  EXPECT_TRUE(torch::equal(ours.tensors["backbone.in"], packed));
  const auto back = from_ours(ours.tensors, *form, "x");
  EXPECT_EQ(back.tensors.size(), 2);
  EXPECT_TRUE(torch::equal(back.tensors["a"], first));
  EXPECT_TRUE(torch::equal(back.tensors["b"], rest));

  const auto rejection = [&](const TensorMap& wrong) {
    return message_of<CheckpointError>([&] { to_ours(wrong, *form, "x.pth"); });
  };
  const std::string expected =
      "x.pth: 'backbone.in' is made of queries, keys and values, which are not all there or do not "
      "fit each other";
  EXPECT_EQ(rejection(named({"a"}, first)), expected);
  EXPECT_EQ(rejection(named({"b"}, rest)), expected);
  EXPECT_EQ(rejection(named({"a", "b"}, first)), expected);
  theirs["a"] = torch::zeros({2, 5});
  EXPECT_EQ(rejection(theirs), expected);
  EXPECT_NE(message_of<CheckpointError>([&] {
              from_ours(named({"backbone.in"}, torch::zeros({4, 4})), *form, "x");
            }),
            "");
}

TEST(KeyMaps, KnowsTheNamesOfSegFormersEncoder) {
  const std::string block = "backbone.layers.1.1.0.";
  const auto expect = [&](const std::vector<std::pair<std::string, std::string>>& plain,
                          const std::vector<std::string>& parts, const std::string& of) {
    TensorMap theirs;
    std::vector<std::string> ours{block + "attn.attn.in_proj_bias"};
    for (const auto& [there, here] : plain) {
      theirs.insert(
          there, here.ends_with("ffn.layers.0.weight") ? torch::zeros({8, 2}) : torch::zeros({2}));
      ours.push_back(here);
    }
    for (const auto& part : parts) {
      theirs.insert(part, torch::zeros({part.find("kv") == std::string::npos ? 2 : 4}));
    }
    const auto* form = builtin().recognise(theirs);
    ASSERT_TRUE(form);
    EXPECT_EQ(form->names, Names{of});
    const auto read = to_ours(theirs, *form, "x");
    EXPECT_TRUE(read.unknown.empty());
    EXPECT_THAT(read.tensors.keys(), testing::IsSupersetOf(ours));
    EXPECT_EQ(read.tensors[block + "ffn.layers.0.weight"].dim(), 4);
    const auto back = from_ours(read.tensors, *form, "x");
    EXPECT_THAT(back.tensors.keys(), testing::UnorderedElementsAreArray(theirs.keys()));
  };
  expect({{"patch_embed1.proj.weight", "backbone.layers.0.0.projection.weight"},
          {"patch_embed4.norm.bias", "backbone.layers.3.0.norm.bias"},
          {"block2.0.norm1.weight", block + "norm1.weight"},
          {"block2.0.attn.proj.bias", block + "attn.attn.out_proj.bias"},
          {"block2.0.attn.sr.weight", block + "attn.sr.weight"},
          {"block2.0.mlp.fc1.weight", block + "ffn.layers.0.weight"},
          {"block2.0.mlp.fc1.bias", block + "ffn.layers.0.bias"},
          {"block2.0.mlp.dwconv.dwconv.weight", block + "ffn.layers.1.weight"},
          {"norm4.weight", "backbone.layers.3.2.weight"},
          {"head.bias", "head.fc.bias"}},
         {"block2.0.attn.kv.bias", "block2.0.attn.q.bias", "block1.0.attn.kv.weight",
          "block1.0.attn.q.weight"},
         "nvidia");
  const std::string encoder = "segformer.encoder.";
  const auto theirs = encoder + "block.1.0.";
  expect({{encoder + "patch_embeddings.0.proj.weight", "backbone.layers.0.0.projection.weight"},
          {encoder + "patch_embeddings.3.layer_norm.bias", "backbone.layers.3.0.norm.bias"},
          {theirs + "layer_norm_2.weight", block + "norm2.weight"},
          {theirs + "attention.output.dense.bias", block + "attn.attn.out_proj.bias"},
          {theirs + "attention.self.layer_norm.weight", block + "attn.norm.weight"},
          {theirs + "mlp.dense1.weight", block + "ffn.layers.0.weight"},
          {theirs + "mlp.dense2.bias", block + "ffn.layers.4.bias"},
          {encoder + "layer_norm.2.bias", "backbone.layers.2.2.bias"},
          {"classifier.weight", "head.fc.weight"}},
         {theirs + "attention.self.query.bias", theirs + "attention.self.key.bias",
          theirs + "attention.self.value.bias", encoder + "block.0.0.attention.self.query.weight",
          encoder + "block.0.0.attention.self.key.weight",
          encoder + "block.0.0.attention.self.value.weight"},
         "huggingface");
}

TEST(KeyMaps, LeavesOutWhatTheReleasedHeadNeverUses) {
  const auto theirs =
      named({"backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "head.prototypes",
             "head.convs.0.conv.weight", "head.feat_norm.weight"});
  const auto* form = builtin().recognise(theirs);
  ASSERT_TRUE(form);
  const auto read = to_ours(theirs, *form, "x");
  EXPECT_EQ(read.tensors.keys(), (Names{"backbone.conv1.weight", "backbone.layer1.0.conv1.weight",
                                        "head.prototypes", "head.feat_norm.weight"}));
  EXPECT_EQ(read.dropped, Names{"head.convs.0.conv.weight"});
}

TEST(KeyMaps, DoesNotKnowOurNamesOrThoseOfOthers) {
  EXPECT_EQ(builtin().recognise(named({"backbone.conv1.weight", "backbone.layer1.0.conv1.weight"})),
            nullptr);
  EXPECT_EQ(builtin().recognise(named({"encoder.weight"})), nullptr);
  EXPECT_EQ(builtin().find(named({"backbone.encoder.weight"}), "timm"), nullptr);
}

TEST(KeyMaps, PutsMergedChannelsInTheOrderOfUnfold) {
  const OneTable table("    rows:\n      - backbone.{*} = {*} via unfold\n");
  const auto maps = table.maps();
  const auto* form = maps.recognise(named({"a"}));
  ASSERT_TRUE(form);
  const auto x = torch::randn({1, 3, 2, 2});
  const auto unfolded =
      torch::nn::functional::unfold(x, torch::nn::functional::UnfoldFuncOptions(2)).flatten();
  const auto pixel = [&](int64_t row, int64_t column) {
    return x[0].select(2, column).select(1, row);
  };
  const auto merged = torch::cat({pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)});

  TensorMap theirs;
  theirs.insert("reduction", torch::randn({5, 12}));
  theirs.insert("norm", unfolded);
  const auto ours = to_ours(theirs, *form, "x").tensors;
  EXPECT_TRUE(torch::allclose(ours["backbone.reduction"].matmul(merged),
                              theirs["reduction"].matmul(unfolded), 1e-5, 1e-6));
  EXPECT_TRUE(torch::equal(ours["backbone.norm"], merged));
  const auto back = from_ours(ours, *form, "x").tensors;
  EXPECT_TRUE(torch::equal(back["reduction"], theirs["reduction"]));
  EXPECT_TRUE(torch::equal(back["norm"], theirs["norm"]));
}

TEST(KeyMaps, DerivesTheIndexOfAWindow) {
  const OneTable table(
      "    rows:\n      - backbone.{*} = {*}\n    derive:\n"
      "      - backbone.table = index via window_index\n"
      "      - backbone.table = list via window_index_list\n");
  const auto maps = table.maps();
  auto ours = named({"backbone.a"});
  ours.insert("backbone.table", torch::zeros({9, 3}));  // windows of 2 x 2
  const auto* form = maps.find(ours, "theirs");
  ASSERT_TRUE(form);
  const auto theirs = from_ours(ours, *form, "x").tensors;
  const auto index =
      torch::tensor({{4, 3, 1, 0}, {5, 4, 2, 1}, {7, 6, 4, 3}, {8, 7, 5, 4}}, torch::kLong);
  EXPECT_TRUE(torch::equal(theirs["index"], index));
  EXPECT_TRUE(torch::equal(theirs["list"], index.flatten()));
  EXPECT_EQ(to_ours(theirs, *form, "x").tensors.keys(), ours.keys());
  ours["backbone.table"] = torch::zeros({8, 3});
  EXPECT_EQ(
      message_of<CheckpointError>([&] { from_ours(ours, *form, "x.pth"); }),
      "x.pth: 'backbone.table' has the shape [8, 3], which the row 'backbone.table = index' of "
      "the table net cannot rearrange");
}

TEST(KeyMaps, RefusesTwoTensorsOfOneName) {
  const OneTable table("    rows: [\"b = x.{i}.{j}\"]\n");
  EXPECT_EQ(table.rejection(), "'b = x.{i}.{j}': both sides need the same places {...}");
  const OneTable same("    rows: [\"b = a\", \"b = c\"]\n");
  const auto maps = same.maps();
  const auto theirs = named({"a", "c"});
  EXPECT_EQ(message_of<CheckpointError>([&] { to_ours(theirs, *maps.recognise(theirs), "x.pth"); }),
            "x.pth: two tensors are both 'b' under the names of dnc-host; one of them is 'c'");
}

TEST(KeyMaps, RefusesTablesThatAreWrong) {
  EXPECT_EQ(OneTable("    rows: [\"a\"]\n").rejection(), "'a' is not 'OURS = THEIRS'");
  EXPECT_EQ(OneTable("    rows: [\"a = b via unfolding\"]\n").rejection(),
            "'via unfolding' is not known; did you mean 'unfold'? (known: keys, keys_values, "
            "linear, pixels, queries, scale, unfold, values, window_index, window_index_list)");
  EXPECT_EQ(OneTable("    rows: [\"a.{ = b\"]\n").rejection(),
            "'a.{' is no pattern of names: a { without its }");
  const TemporaryFolder folder;
  EXPECT_EQ(
      message_of<Error>([&] { KeyMaps(folder / "none"); }),
      (folder / "none").string() +
          ": the tables of tensor names cannot be read: No such file or directory. They belong "
          "beside the program; install it again.");
}

TEST(KeyMaps, ListsAllNames) {
  EXPECT_EQ(builtin().names(), (Names{"facebook", "huggingface", "microsoft", "mmcls", "mmseg",
                                      "nvidia", "timm", "torchvision"}));
}

}  // namespace
}  // namespace dnc
