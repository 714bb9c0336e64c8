#include "registry/config.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using Overrides = std::vector<std::string>;

// Config text as JSON: short to compare.
std::string read(const std::string& text, const Overrides& overrides = {}) {
  return to_json(parse_config(text, "c.yaml", overrides));
}

std::string refusal(const std::string& text, const Overrides& overrides = {},
                    const ConfigLimits& limits = {}) {
  return message_of<ConfigError>([&] { parse_config(text, "c.yaml", overrides, limits); });
}

// Files for bases. Messages and origins are compared without the folder's name.
class ConfigFiles : public testing::Test {
 protected:
  void write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    put_bytes(folder_ / name, text);
  }
  Node load(const std::string& name, const Overrides& overrides = {}) const {
    return load_config((folder_ / name).string(), overrides);
  }
  std::string read(const std::string& name) const { return to_json(load(name)); }
  std::string refusal(const std::string& name, const Overrides& overrides = {}) const {
    return without_folder(message_of<ConfigError>([&] { load(name, overrides); }));
  }
  std::string without_folder(std::string text) const {
    const auto prefix = folder_.path().string() + "/";
    for (size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }

  TemporaryFolder folder_;
};

// ---- values and where they stand ----------------------------------------------------------------

TEST(Config, ReadsMapsListsAndScalarsInTheirOrder) {
  EXPECT_EQ(read("b: 1\na: [x, 2.5, true, null]\nc:\n  - {d: 1}\n  - e\n"),
            R"({"b": 1, "a": ["x", 2.5, true, null], "c": [{"d": 1}, "e"]})");
}

TEST(Config, KnowsWhereEachValueStandsAndItsPath) {
  const auto config =
      parse_config("model:\n  head: {type: DNC,\n    k: 4}\n  list: [a, [b]]\nn:\n", "c.yaml");
  const auto& model = *config.find("model");
  EXPECT_EQ(config.origin.where(), "c.yaml:1:1");
  EXPECT_EQ(model.origin.where(), "c.yaml:2:3");
  EXPECT_EQ(model.entries[0].origin.where(), "c.yaml:2:3");
  EXPECT_EQ(model.find("head")->origin.where(), "c.yaml:2:9");
  EXPECT_EQ(model.find("head")->find("k")->origin.where(), "c.yaml:3:8");
  EXPECT_EQ(model.find("head")->find("k")->path, "model.head.k");
  EXPECT_EQ(model.find("list")->items[1].items[0].path, "model.list.1.0");
  EXPECT_EQ(model.find("list")->items[1].items[0].origin.where(), "c.yaml:4:14");
  EXPECT_EQ(config.find("n")->path, "n");
  // What is not there is reported at its key.
  EXPECT_EQ(config.find("n")->origin.where(), "c.yaml:5:1");
}

TEST(Config, TextInQuotesIsNotANumber) {
  const auto config =
      parse_config("a: 12\nb: '12'\nc: \"12\"\nd: !!str 12\ne: |\n  12\n", "c.yaml");
  EXPECT_FALSE(config.find("a")->quoted);
  for (const char* key : {"b", "c", "d", "e"}) EXPECT_TRUE(config.find(key)->quoted) << key;
  EXPECT_EQ(to_json(config), R"({"a": 12, "b": "12", "c": "12", "d": "12", "e": "12\u000a"})");
}

TEST(Config, AnEmptyTextIsAnEmptyMap) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "~"}) {
    EXPECT_EQ(read(text), "{}") << text;
  }
  EXPECT_EQ(parse_config("", "c.yaml").origin.where(), "c.yaml:1:1");
}

TEST(Config, ReadsABlockAtTheEndOfTheText) {
  EXPECT_EQ(read("a: |\n  x\n"), R"({"a": "x\u000a"})");
  EXPECT_EQ(read("a: |-\n  x\n"), R"({"a": "x"})");
  EXPECT_EQ(read("a: |+\n  x\n\n"), R"({"a": "x\u000a\u000a"})");
  EXPECT_EQ(read("a: >\n  x\n  y"), R"({"a": "x y"})");
}

TEST(Config, TakesWindowsLineEndsAndAByteOrderMark) {
  EXPECT_EQ(read("\xEF\xBB\xBF"
                 "a: 1\r\nb:\r\n  c: x\r\n"),
            R"({"a": 1, "b": {"c": "x"}})");
}

TEST(Config, CopiesWhatAnAliasStandsFor) {
  EXPECT_EQ(read("a: &x {k: [1, 2]}\nb: *x\n"), R"({"a": {"k": [1, 2]}, "b": {"k": [1, 2]}})");
}

// ---- bases --------------------------------------------------------------------------------------

TEST_F(ConfigFiles, ABaseIsRelativeToTheFileThatNamesIt) {
  write("runs/a/run.yaml", "base: ../../base/data.yaml\nseed: 1\n");
  write("base/data.yaml", "base: deep/more.yaml\nsize: 2\n");
  write("base/deep/more.yaml", "width: 3\n");
  EXPECT_EQ(read("runs/a/run.yaml"), R"({"width": 3, "size": 2, "seed": 1})");
}

TEST_F(ConfigFiles, ABaseMayBeAnAbsolutePath) {
  write("b.yaml", "x: 1\n");
  write("a.yaml", "base: " + (folder_ / "b.yaml").string() + "\n");
  EXPECT_EQ(read("a.yaml"), R"({"x": 1})");
}

TEST_F(ConfigFiles, MapsMergeListsAndScalarsReplace) {
  write("base.yaml", "a: {x: 1, y: {z: 2, w: 3}}\nlist: [1, 2, 3]\nkeep: old\n");
  write("a.yaml", "base: base.yaml\na: {y: {z: 9}, n: 4}\nlist: [7]\n");
  EXPECT_EQ(read("a.yaml"),
            R"({"a": {"x": 1, "y": {"z": 9, "w": 3}, "n": 4}, "list": [7], "keep": "old"})");
}

TEST_F(ConfigFiles, AnythingReplacesAValueOfAnotherKind) {
  write("base.yaml", "a: {x: 1}\nb: [1]\nc: 1\nd: {x: 1}\ne: {x: 1}\n");
  write("a.yaml", "base: base.yaml\na: [2]\nb: {y: 2}\nc: [2]\nd: 2\ne: null\n");
  EXPECT_EQ(read("a.yaml"), R"({"a": [2], "b": {"y": 2}, "c": [2], "d": 2, "e": null})");
}

TEST_F(ConfigFiles, ValuesKeepTheFileTheyWereWrittenIn) {
  write("base.yaml", "a: {x: 1, y: 2}\n");
  write("a.yaml", "base: base.yaml\na:\n  y: 3\n");
  const auto config = load("a.yaml", {"a.z=4"});
  EXPECT_EQ(without_folder(config.find("a")->find("x")->origin.where()), "base.yaml:1:8");
  EXPECT_EQ(without_folder(config.find("a")->find("y")->origin.where()), "a.yaml:3:6");
  EXPECT_EQ(config.find("a")->find("z")->origin.where(), "--set a.z=4");
}

TEST_F(ConfigFiles, SeveralBasesMayFillOneMap) {
  write("data.yaml", "data: {size: 1}\n");
  write("loader.yaml", "data: {workers: 2}\noptimizer: SGD\n");
  write("a.yaml", "base: [data.yaml, loader.yaml]\ndata: {size: 3}\n");
  EXPECT_EQ(read("a.yaml"), R"({"data": {"size": 3, "workers": 2}, "optimizer": "SGD"})");
}

TEST_F(ConfigFiles, TwoBasesWithTheSameKeyAreRefused) {
  write("one.yaml", "data:\n  size: 1\n");
  write("two.yaml", "seed: 0\ndata: {size: 1}\n");
  write("a.yaml", "x: 1\nbase: [one.yaml, two.yaml]\n");
  EXPECT_EQ(refusal("a.yaml"),
            "a.yaml:2:18: two bases give 'data.size': one.yaml:2:9 and two.yaml:2:14");
  write("three.yaml", "data: 5\n");
  write("b.yaml", "base: [one.yaml, three.yaml]\n");
  EXPECT_EQ(refusal("b.yaml"),
            "b.yaml:1:18: two bases give 'data': one.yaml:2:3 and three.yaml:1:7");
}

TEST_F(ConfigFiles, OpenMmLabsNameOfTheBaseKeyIsKnown) {
  write("one.yaml", "a: 1\n");
  write("two.yaml", "b: 2\n");
  write("a.yaml", "_base_: [one.yaml]\n");
  write("b.yaml", "_base_: one.yaml\nbase: two.yaml\n");
  EXPECT_EQ(read("a.yaml"), R"({"a": 1})");
  EXPECT_EQ(read("b.yaml"), R"({"b": 2, "a": 1})");
}

TEST_F(ConfigFiles, BasesInACircleAreNamed) {
  write("a.yaml", "base: sub/b.yaml\n");
  write("sub/b.yaml", "x: 1\nbase: [c.yaml]\n");
  write("sub/c.yaml", "base: ../a.yaml\n");
  EXPECT_EQ(refusal("a.yaml"),
            "sub/c.yaml:1:7: the bases go in a circle: a.yaml -> b.yaml -> c.yaml -> a.yaml");
  write("own.yaml", "base: ./own.yaml\n");
  EXPECT_EQ(refusal("own.yaml"), "own.yaml:1:7: the bases go in a circle: own.yaml -> own.yaml");
}

TEST_F(ConfigFiles, ABaseThatIsNotThereIsNamedWithThePlaceThatWantsIt) {
  write("a.yaml", "seed: 1\nbase: [gone.yaml]\n");
  EXPECT_EQ(refusal("a.yaml"), "a.yaml:2:8: gone.yaml: no such file");
  write("b.yaml", "base: sub\n");
  std::filesystem::create_directory(folder_ / "sub");
  EXPECT_EQ(refusal("b.yaml"), "b.yaml:1:7: sub: is not a file");
}

TEST_F(ConfigFiles, ABaseMustBeAFileName) {
  write("a.yaml", "base: {file: b.yaml}\n");
  EXPECT_EQ(refusal("a.yaml"), "a.yaml:1:7: 'base' must be a file or a list of files, not a map");
  write("b.yaml", "base: [[b.yaml]]\n");
  EXPECT_EQ(refusal("b.yaml"),
            "b.yaml:1:8: 'base' must be a file or a list of files, not a list of 1");
  write("c.yaml", "base:\n");
  EXPECT_TRUE(
      refusal("c.yaml").ends_with(": 'base' must be a file or a list of files, not nothing"));
}

TEST_F(ConfigFiles, AFaultInABaseIsReportedThere) {
  write("base.yaml", "a: 1\na: 2\n");
  write("a.yaml", "base: base.yaml\n");
  EXPECT_EQ(refusal("a.yaml"), "base.yaml:2:1: 'a' appears twice; first at 1:1");
}

TEST_F(ConfigFiles, DeleteDropsWhatWasInherited) {
  write("base.yaml", "head: {type: DNC, k: 4, sinkhorn: {steps: 3}}\n");
  write("a.yaml", "base: base.yaml\nhead: {_delete_: true, type: DNC, sinkhorn: {epsilon: 1}}\n");
  EXPECT_EQ(read("a.yaml"), R"({"head": {"type": "DNC", "sinkhorn": {"epsilon": 1}}})");
  write("b.yaml", "base: base.yaml\nhead: {sinkhorn: {_delete_: True, epsilon: 1}}\n");
  EXPECT_EQ(read("b.yaml"), R"({"head": {"type": "DNC", "k": 4, "sinkhorn": {"epsilon": 1}}})");
  write("c.yaml", "base: base.yaml\nhead: {_delete_: false, k: 5}\n");
  EXPECT_EQ(read("c.yaml"), R"({"head": {"type": "DNC", "k": 5, "sinkhorn": {"steps": 3}}})");
}

TEST(Config, DeleteLeavesNoTraceWhereThereIsNothingToDrop) {
  EXPECT_EQ(read("_delete_: true\na: {_delete_: true, b: {_delete_: false, c: 1}}\n"),
            R"({"a": {"b": {"c": 1}}})");
}

TEST(Config, DeleteMustBeTrueOrFalse) {
  EXPECT_EQ(refusal("a: {_delete_: yes}\n"),
            "c.yaml:1:15: '_delete_' must be true or false, not 'yes'");
  EXPECT_EQ(refusal("a: {_delete_: [true]}\n"),
            "c.yaml:1:15: '_delete_' must be true or false, not a list of 1");
}

TEST_F(ConfigFiles, AComponentOfAnotherTypeDoesNotInheritOptions) {
  write("base.yaml", "head: {type: DNC, k: 4}\n");
  write("a.yaml", "base: base.yaml\nhead: {type: Linear, bias: false}\n");
  EXPECT_EQ(read("a.yaml"), R"({"head": {"type": "Linear", "bias": false}})");
  write("b.yaml", "base: base.yaml\nhead: {type: DNC, m: 1}\n");
  EXPECT_EQ(read("b.yaml"), R"({"head": {"type": "DNC", "k": 4, "m": 1}})");
}

TEST_F(ConfigFiles, AComponentsShortFormReplacesAndIsExtendedLikeTheLongOne) {
  write("long.yaml", "head: {type: DNC, k: 4}\n");
  write("a.yaml", "base: long.yaml\nhead: Linear\n");
  EXPECT_EQ(read("a.yaml"), R"({"head": "Linear"})");
  write("short.yaml", "head: DNC\n");
  write("b.yaml", "base: short.yaml\nhead: {k: 2}\n");
  EXPECT_EQ(read("b.yaml"), R"({"head": {"type": "DNC", "k": 2}})");
  write("c.yaml", "base: short.yaml\nhead: {type: Linear, bias: true}\n");
  EXPECT_EQ(read("c.yaml"), R"({"head": {"type": "Linear", "bias": true}})");
}

TEST_F(ConfigFiles, BasesInsideEachOtherHaveALimit) {
  for (int i = 0; i < 70; ++i) {
    write(std::to_string(i) + ".yaml", "base: " + std::to_string(i + 1) + ".yaml\n");
  }
  EXPECT_EQ(refusal("0.yaml"), "63.yaml:1:7: more than 64 bases inside each other");
}

TEST_F(ConfigFiles, BasesThatMultiplyHaveALimit) {
  for (int i = 0; i < 20; ++i) {
    const auto next = std::to_string(i + 1) + ".yaml";
    write(std::to_string(i) + ".yaml", "base: [" + next + ", " + next + "]\n");
  }
  write("20.yaml", "");
  EXPECT_TRUE(refusal("0.yaml").ends_with(": more than 1000 base files")) << refusal("0.yaml");
}

TEST(Config, BasesOfATextAreRelativeToTheCurrentFolder) {
  EXPECT_EQ(refusal("base: surely/not/there.yaml\n"),
            "c.yaml:1:7: surely/not/there.yaml: no such file");
}

// ---- overrides ----------------------------------------------------------------------------------

TEST(Overrides, ReplaceAValue) {
  EXPECT_EQ(read("a: {b: 1, c: 2}\n", {"a.b=3"}), R"({"a": {"b": 3, "c": 2}})");
}

TEST(Overrides, TheLaterOneWins) { EXPECT_EQ(read("a: 1\n", {"a=2", "a=3"}), R"({"a": 3})"); }

TEST(Overrides, TheirValueIsYaml) {
  const auto value = [](const std::string& text) { return read("a: 1\n", {"a=" + text}); };
  EXPECT_EQ(value("5"), R"({"a": 5})");
  EXPECT_EQ(value("'5'"), R"({"a": "5"})");
  EXPECT_EQ(value("\"5\""), R"({"a": "5"})");
  EXPECT_EQ(value("true"), R"({"a": true})");
  EXPECT_EQ(value("null"), R"({"a": null})");
  EXPECT_EQ(value("two words"), R"({"a": "two words"})");
  EXPECT_EQ(value("'two: words'"), R"({"a": "two: words"})");
  EXPECT_EQ(value("b=c"), R"({"a": "b=c"})");
  EXPECT_EQ(value("[1, x]"), R"({"a": [1, "x"]})");
  EXPECT_EQ(value("{b: 1, c: [2]}"), R"({"a": {"b": 1, "c": [2]}})");
}

TEST(Overrides, NoValueIsNothing) {
  EXPECT_EQ(read("a: 1\n", {"a="}), R"({"a": null})");
  EXPECT_EQ(read("a: 1\n", {"a= "}), R"({"a": null})");
  EXPECT_EQ(read("a: {b: 1}\n", {"a="}), R"({"a": null})");
}

TEST(Overrides, AMapReplacesAMap) {
  EXPECT_EQ(read("head: {type: DNC, k: 4}\n", {"head={type: Linear}"}),
            R"({"head": {"type": "Linear"}})");
}

TEST(Overrides, AddAKeyThatStandsAtItsDefault) {
  EXPECT_EQ(read("a: {b: 1}\n", {"a.c=2", "d.e.f=3"}),
            R"({"a": {"b": 1, "c": 2}, "d": {"e": {"f": 3}}})");
  EXPECT_EQ(read("a:\n", {"a.b=1"}), R"({"a": {"b": 1}})");
}

TEST(Overrides, AreTheOriginOfAllTheyMake) {
  const auto config = parse_config("n:\n", "c.yaml", {"a.b={c: [1]}", "n.m=1"});
  const std::string first = "--set a.b={c: [1]}";
  const auto& a = config.entries[1];
  EXPECT_EQ(a.key, "a");
  EXPECT_EQ(a.origin.where(), first);
  EXPECT_EQ(a.value.origin.where(), first);
  const auto& b = a.value.entries[0];
  EXPECT_EQ(b.origin.where(), first);
  EXPECT_EQ(b.value.entries[0].origin.where(), first);
  EXPECT_EQ(b.value.find("c")->items[0].origin.where(), first);
  EXPECT_EQ(b.value.find("c")->items[0].path, "a.b.c.0");
  EXPECT_EQ(config.find("n")->origin.where(), "--set n.m=1");
}

TEST(Overrides, ReachListItemsFromBothEnds) {
  const char* text = "a: [{x: 1}, {x: 2}, {x: 3}]\n";
  EXPECT_EQ(read(text, {"a.0.x=9"}), R"({"a": [{"x": 9}, {"x": 2}, {"x": 3}]})");
  EXPECT_EQ(read(text, {"a.-1.x=9"}), R"({"a": [{"x": 1}, {"x": 2}, {"x": 9}]})");
  EXPECT_EQ(read(text, {"a.-3=9"}), R"({"a": [9, {"x": 2}, {"x": 3}]})");
  EXPECT_EQ(read("a: [[1, 2], [3]]\n", {"a.0.-1=9"}), R"({"a": [[1, 9], [3]]})");
}

TEST(Overrides, AppendWithPlus) {
  EXPECT_EQ(read("a: [1]\n", {"a.+=2", "a+=3", "a+={x: 4}"}), R"({"a": [1, 2, 3, {"x": 4}]})");
  EXPECT_EQ(read("a: {b: [[1]]}\n", {"a.b.0+=2"}), R"({"a": {"b": [[1, 2]]}})");
  EXPECT_EQ(read("a: []\n", {"a+="}), R"({"a": [null]})");
}

TEST(Overrides, RefuseAnItemThatIsNotThere) {
  const char* text = "a: [1, 2]\n";
  EXPECT_EQ(refusal(text, {"a.2=0"}), "--set a.2=0: 'a' has 2 items; there is no item 2");
  EXPECT_EQ(refusal(text, {"a.-3=0"}), "--set a.-3=0: 'a' has 2 items; there is no item -3");
  EXPECT_EQ(refusal(text, {"a.99999999999999999999=0"}),
            "--set a.99999999999999999999=0: 'a' is a list of 2: give the index of an item or '+' "
            "to append, not '99999999999999999999'");
  EXPECT_EQ(refusal(text, {"a.x=0"}),
            "--set a.x=0: 'a' is a list of 2: give the index of an item or '+' to append, not 'x'");
  EXPECT_EQ(refusal("a: [[]]\n", {"a.0.0.b=0"}),
            "--set a.0.0.b=0: 'a.0' has 0 items; there is no item 0");
}

TEST(Overrides, RefuseAnItemOfWhatIsNotAList) {
  EXPECT_EQ(refusal("a: {b: 1}\n", {"a.0=1"}), "--set a.0=1: 'a' is a map, not a list");
  EXPECT_EQ(refusal("a: x\n", {"a+=1"}), "--set a+=1: 'a' is 'x', not a list");
  EXPECT_EQ(refusal("b: 1\n", {"a+=1"}), "--set a+=1: 'a' is nothing, not a list");
  EXPECT_EQ(refusal("b: 1\n", {"a.b.-1.c=1"}), "--set a.b.-1.c=1: 'a.b' is nothing, not a list");
}

TEST(Overrides, APlusMustStandLast) {
  EXPECT_EQ(refusal("a: [1]\n", {"a.+.b=1"}),
            "--set a.+.b=1: '+' appends to a list and must stand last");
}

TEST(Overrides, AKeyBelowAComponentsShortFormMakesItLong) {
  const auto config = parse_config("head: DNC\n", "c.yaml", {"head.k=2"});
  EXPECT_EQ(to_json(config), R"({"head": {"type": "DNC", "k": 2}})");
  EXPECT_EQ(config.find("head")->find("type")->origin.where(), "c.yaml:1:7");
  // Whoever finds the map where a number should be points at the override.
  EXPECT_EQ(config.find("head")->origin.where(), "--set head.k=2");
}

TEST(Overrides, MustHaveAKeyAndAnEqualsSign) {
  for (const char* text : {"a", "", "=1", ".=1", "a.=1", ".a=1", "a..b=1"}) {
    EXPECT_EQ(refusal("a: 1\n", {text}),
              std::string("--set ") + text + ": must look like KEY.KEY=VALUE");
  }
}

TEST(Overrides, AFaultInTheirYamlNamesThemWithoutALine) {
  const auto message = refusal("a: 1\n", {"a=[1"});
  EXPECT_TRUE(message.starts_with("--set a=[1: is not valid YAML: ")) << message;
  EXPECT_EQ(refusal("a: 1\n", {"a={b: 1, b: 2}"}).substr(0, 37),
            "--set a={b: 1, b: 2}: 'b' appears twi");
}

TEST(Overrides, HaveALimitOfDepth) {
  std::string path = "a";
  for (int i = 0; i < 64; ++i) path += ".a";
  EXPECT_EQ(refusal("", {path + "=1"}), "--set " + path + "=1: is nested more than 64 deep");
}

// ---- references ---------------------------------------------------------------------------------

TEST(References, TakeAValueWholeWithItsKind) {
  EXPECT_EQ(read("n: 3\nt: '3'\nl: [1, {x: 2}]\nz:\na: ${n}\nb: ${t}\nc: ${l}\nd: '${z}'\n"
                 "e: ['${n}', {f: \"${l.1.x}\"}, '${l.-2}']\n"),
            R"({"n": 3, "t": "3", "l": [1, {"x": 2}], "z": null, "a": 3, "b": "3", )"
            R"("c": [1, {"x": 2}], "d": null, "e": [3, {"f": 2}, 1]})");
}

TEST(References, StandInsideATextAsWell) {
  EXPECT_EQ(read("n: 3\ns: x\na: v${n}-${s}.${s}\nb: '${n}${n}'\n"),
            R"({"n": 3, "s": "x", "a": "v3-x.x", "b": "33"})");
}

TEST(References, AreResolvedAfterBasesAndOverrides) {
  EXPECT_EQ(read("n: 3\na: ${n}\n", {"n=4"}), R"({"n": 4, "a": 4})");
  EXPECT_EQ(read("n: 3\na: 1\n", {"a=${n}"}), R"({"n": 3, "a": 3})");
}

TEST(References, MayReferToReferences) {
  EXPECT_EQ(read("a: ${b}\nb: ${c.d}\nc: {d: 'x${e}'}\ne: 5\n"),
            R"({"a": "x5", "b": "x5", "c": {"d": "x5"}, "e": 5})");
}

TEST(References, KeepTheirOwnPathAndTheOriginOfTheValue) {
  const auto config = parse_config("n: [1]\na:\n  b: ${n}\n", "c.yaml", {"n.0=./x"});
  const auto& value = config.find("a")->find("b")->items[0];
  EXPECT_EQ(value.path, "a.b.0");
  // So "./x" is relative to where the command line was typed here as well.
  EXPECT_EQ(value.origin.where(), "--set n.0=./x");
  const auto text = parse_config("n: x\na: ${n}/y\nb: y/${n}\n", "c.yaml", {"n=./x"});
  EXPECT_EQ(text.find("a")->origin.where(), "--set n=./x");
  EXPECT_EQ(text.find("b")->origin.where(), "c.yaml:3:4");
}

TEST(References, InACircleAreRefused) {
  EXPECT_EQ(refusal("a: ${a}\n"), "c.yaml:1:4: '${a}' refers to itself");
  EXPECT_EQ(refusal("a: ${b}\nb: x${c}\nc: ${a}\n"), "c.yaml:1:4: '${b}' refers to itself");
  EXPECT_EQ(refusal("a: {b: '${a}'}\n"), "c.yaml:1:8: '${a}' refers to itself");
}

TEST(References, TwoToTheSameKeyAreNoCircle) {
  EXPECT_EQ(read("a: 1\nb: ['${a}', '${a}']\nc: ${b}\n"), R"({"a": 1, "b": [1, 1], "c": [1, 1]})");
}

TEST(References, ToNoKeyAreRefusedWithTheNearest) {
  EXPECT_EQ(refusal("data: {batch_size: 1, workers: 2}\na: ${data.batchsize}\n"),
            "c.yaml:2:4: '${data.batchsize}' names no key; did you mean 'batch_size'? (known: "
            "batch_size, workers)");
  EXPECT_EQ(refusal("seed: 1\na: x${sede}\n"),
            "c.yaml:2:4: '${sede}' names no key; did you mean 'seed'? (known: seed, a)");
  EXPECT_EQ(refusal("a: ${x.y.z}\n"), "c.yaml:1:4: '${x.y.z}' names no key");
  for (const char* name : {"l.2", "l.-3", "l.x", "l.", "l.0.y"}) {
    EXPECT_EQ(refusal("l: [1, 2]\na: ${" + std::string(name) + "}\n"),
              "c.yaml:2:4: '${" + std::string(name) + "}' names no key");
  }
  EXPECT_EQ(refusal("a: ${}\n"), "c.yaml:1:4: '${}' names no key (known: a)");
}

TEST(References, InsideATextMustBeScalars) {
  EXPECT_EQ(refusal("m: {x: 1}\na: b${m}\n"),
            "c.yaml:2:4: '${m}' is a map and cannot stand inside a text");
  EXPECT_EQ(refusal("m:\na: b${m}\n"),
            "c.yaml:2:4: '${m}' is nothing and cannot stand inside a text");
}

TEST(References, MustBeClosed) {
  EXPECT_EQ(refusal("a: 'x${b'\n"), "c.yaml:1:4: '${' without '}'");
}

TEST(References, ADoubledDollarIsPlainText) {
  EXPECT_EQ(read("b: 1\na: '$${b}'\nc: 'x $${b} ${b}'\nd: '$$ $b {b} $'\ne: '$${'\n"),
            R"({"b": 1, "a": "${b}", "c": "x ${b} 1", "d": "$$ $b {b} $", "e": "${"})");
}

TEST(References, ReadTheEnvironment) {
  ::setenv("DNC_TEST_VARIABLE", "some where", 1);
  ::setenv("DNC_TEST_EMPTY", "", 1);
  ::unsetenv("DNC_TEST_NONE");
  EXPECT_EQ(read("a: ${env:DNC_TEST_VARIABLE}\nb: 'x/${env:DNC_TEST_VARIABLE}'\n"
                 "c: '${env:DNC_TEST_NONE:here: it is}'\nd: '${env:DNC_TEST_NONE:}'\n"
                 "e: '${env:DNC_TEST_EMPTY:7}'\nf: '${env:DNC_TEST_NONE:7}'\n"),
            R"({"a": "some where", "b": "x/some where", "c": "here: it is", "d": "", "e": "", )"
            R"("f": 7})");
  EXPECT_EQ(refusal("a: ${env:DNC_TEST_NONE}\n"),
            "c.yaml:1:4: the environment has no 'DNC_TEST_NONE'; set it, or write "
            "${env:DNC_TEST_NONE:default}");
  ::setenv("DNC_TEST_VARIABLE", "\xff", 1);
  EXPECT_EQ(refusal("a: ${env:DNC_TEST_VARIABLE}\n"),
            "c.yaml:1:4: the environment's 'DNC_TEST_VARIABLE' is not UTF-8");
  ::unsetenv("DNC_TEST_VARIABLE");
  ::unsetenv("DNC_TEST_EMPTY");
}

TEST(References, HaveALimitOfDepth) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += "a" + std::to_string(i) + ": ${a" + std::to_string(i + 1) + "}\n";
  }
  EXPECT_EQ(refusal(text + "a200: 1\n"),
            "c.yaml:128:7: is nested more than 128 deep, through references");
}

TEST(References, ThatMultiplyHaveALimit) {
  std::string text = "a0: [1, 1]\n";
  std::string words = "a0: 0123456789\n";
  for (int i = 1; i < 40; ++i) {
    const auto last = "${a" + std::to_string(i - 1) + "}";
    text += "a" + std::to_string(i) + ": ['" + last + "', '" + last + "']\n";
    words += "a" + std::to_string(i) + ": '" + last + last + "'\n";
  }
  for (const auto& bomb : {text, words}) {
    EXPECT_TRUE(refusal(bomb).ends_with(": references expand to more than 100000 values"));
  }
}

// ---- files that are not configs -----------------------------------------------------------------

TEST(BadConfig, AKeyTwiceInOneMap) {
  EXPECT_EQ(refusal("a: 1\nb: 2\na: 3\n"), "c.yaml:3:1: 'a' appears twice; first at 1:1");
  EXPECT_EQ(refusal("m: {x: [1], 'x': 2}\n"), "c.yaml:1:13: 'x' appears twice; first at 1:5");
}

TEST(BadConfig, AMergeKey) {
  EXPECT_EQ(refusal("a: &x {k: 1}\nb:\n  <<: *x\n"),
            "c.yaml:3:3: merge keys ('<<') are not supported; use 'base:'");
}

TEST(BadConfig, AKeyThatIsNoWord) {
  EXPECT_EQ(refusal("[1, 2]: x\n"), "c.yaml:1:1: a key must be a plain word");
  EXPECT_EQ(refusal("? {a: 1}\n: x\n"), "c.yaml:1:3: a key must be a plain word");
  EXPECT_TRUE(refusal("null: x\n").ends_with(": a key must be a plain word"));
}

TEST(BadConfig, ATag) {
  EXPECT_EQ(refusal("a: !python/object:os.system x\n"),
            "c.yaml:1:4: the tag '!python/object:os.system' is not supported");
  EXPECT_EQ(refusal("a: !!set {x}\n"),
            "c.yaml:1:4: the tag 'tag:yaml.org,2002:set' is not supported");
}

TEST(BadConfig, ATopLevelThatIsNoMap) {
  EXPECT_EQ(refusal("- a\n- b\n"), "c.yaml:1:1: a config must be a map of keys, not a list of 2");
  EXPECT_EQ(refusal("word\n"), "c.yaml:1:1: a config must be a map of keys, not 'word'");
}

TEST(BadConfig, SeveralDocuments) {
  EXPECT_EQ(refusal("a: 1\n---\nb: 2\n"),
            "c.yaml:2:1: begins a second YAML document, or is a stray ',', ']' or '}'");
}

// yaml-cpp's own loader does not end at these.
TEST(BadConfig, StrayBrackets) {
  for (const char* text : {", x", "]", "a: 1\n]\n", "}}", "a: 1\n, b: 2\n", "a: [1]]\n"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
  EXPECT_EQ(refusal(", x"),
            "c.yaml:1:1: begins a second YAML document, or is a stray ',', ']' or '}'");
}

TEST(BadConfig, TextThatIsNotYaml) {
  EXPECT_EQ(refusal("a: 1\n\tb: 2\n"),
            "c.yaml:2:1: is not valid YAML: illegal tab when looking for indentation");
  EXPECT_EQ(refusal("a: [1, 2\n").substr(0, 30), "c.yaml:2:1: is not valid YAML:");
  EXPECT_EQ(refusal("a: \"x\n").substr(0, 30), "c.yaml:2:2: is not valid YAML:");
  EXPECT_EQ(refusal("a: *nobody\n").substr(0, 30), "c.yaml:1:4: is not valid YAML:");
  EXPECT_EQ(refusal("a: b: c\n").substr(0, 30), "c.yaml:1:5: is not valid YAML:");
}

TEST(BadConfig, Bytes) {
  const std::string zero = "c.yaml: is not a YAML file (it holds a zero byte)";
  EXPECT_EQ(refusal(std::string("a: 1\0b: 2\n", 10)), zero);
  EXPECT_EQ(refusal(std::string("\xff\xfe"
                                "a\0:\0 \0001\0",
                                10)),
            zero);  // UTF-16
  EXPECT_EQ(refusal(std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16)), zero);
  for (const char* text : {"a: \xff\n", "a: caf\xe9\n", "a: \xc0\x80\n", "a: \xe0\x80\x80\n",
                           "a: \xed\xa0\x80\n", "a: \xf0\x80\x80\x80\n", "a: \xf4\x90\x80\x80\n",
                           "a: \xf5\x80\x80\x80\n", "a: \xe2\x82", "a: \x80\n"}) {
    EXPECT_EQ(refusal(text), "c.yaml: is not a YAML file (it holds bytes that are not UTF-8)");
  }
  EXPECT_EQ(read("a: \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\n"),
            "{\"a\": \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\"}");
}

TEST_F(ConfigFiles, AFileThatIsNotThereOrCannotBeRead) {
  EXPECT_EQ(refusal("gone.yaml"), "gone.yaml: no such file");
  std::filesystem::create_directory(folder_ / "sub");
  EXPECT_EQ(refusal("sub"), "sub: is not a file");
  write("locked.yaml", "a: 1\n");
  std::filesystem::permissions(folder_ / "locked.yaml", std::filesystem::perms::none);
  if (::geteuid() != 0) {
    EXPECT_EQ(refusal("locked.yaml"), "locked.yaml: cannot be read");
  }
}

TEST_F(ConfigFiles, AFileOf10MegabytesIsNotRead) {
  std::string text = "a:\n";
  while (text.size() < 10'000'000) text += "  - 0123456789\n";
  write("big.yaml", text);
  EXPECT_EQ(refusal("big.yaml"), "big.yaml: has " + std::to_string(text.size()) +
                                     " bytes; a config has at most 1048576");
  EXPECT_EQ(dnc::refusal(text),
            "c.yaml: has " + std::to_string(text.size()) + " bytes; a config has at most 1048576");
}

TEST(BadConfig, AliasesThatMultiply) {
  std::string laughs = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    const auto last = "*a" + std::to_string(i - 1);
    laughs +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last + ", " + last + "]\n";
  }
  EXPECT_TRUE(
      refusal(laughs).ends_with(": the file expands to more than 100000 values (nested aliases?)"));
  // Few values, but 500 kB each.
  std::string long_text = "a: &a " + std::string(500'000, 'x') + "\nb: [";
  for (int i = 0; i < 10'000; ++i) long_text += "*a, ";
  EXPECT_TRUE(refusal(long_text + "]\n")
                  .ends_with(": the file expands to more than 100000 values (nested aliases?)"));
  std::string anchors = "a: ";
  for (int i = 0; i < 60; ++i) anchors += "&a" + std::to_string(i) + " [";
  for (int i = 0; i < 5000; ++i) anchors += "x, ";
  EXPECT_TRUE(refusal(anchors + std::string(60, ']') + "\n")
                  .ends_with(": the file expands to more than 100000 values (nested aliases?)"));
  // Depth is bounded through aliases as well.
  std::string deep = "a0: &a0 [x]\n";
  for (int i = 1; i < 80; ++i) {
    deep += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
            "]\n";
  }
  EXPECT_EQ(refusal(deep), "c.yaml:65:12: is nested more than 64 deep");
}

TEST(BadConfig, AnAliasOfItself) {
  EXPECT_EQ(refusal("a: &a [*a, *a]\n"), "c.yaml:1:8: the alias stands for what it is a part of");
  EXPECT_EQ(refusal("a: &a {b: [*a]}\n"), "c.yaml:1:12: the alias stands for what it is a part of");
}

TEST(BadConfig, DeepNesting) {
  EXPECT_EQ(refusal("a: " + std::string(65, '[') + std::string(65, ']') + "\n"),
            "c.yaml:1:68: is nested more than 64 deep");
  EXPECT_EQ(read("a: " + std::string(64, '[') + std::string(64, ']') + "\n"),
            "{\"a\": " + std::string(64, '[') + std::string(64, ']') + "}");
  // So deep that the YAML library must not recurse either.
  for (const char* unit : {"[", "{", "{a: ", "- ", "? ", "[{", "a: [", "!x [", "&x ["}) {
    std::string bomb;
    while (bomb.size() < 1'000'000) bomb += unit;
    EXPECT_NE(refusal(bomb), "") << unit;
  }
}

TEST(BadConfig, AMapOfTooManyKeys) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(refusal(text), "");
  EXPECT_EQ(refusal(text + "more: 1\n"), "c.yaml:1001:1: a map has at most 1000 keys");
}

TEST(BadConfig, AnyTextIsReadOrRefused) {
  const std::vector<std::string> words = {
      "a",  "b: ", "- ", ": ", "{",  "}", "[",   "]",    ", ",  "\n",   "\n  ", "\"",   "'",
      "#",  "&a",  "*a", "!",  "|",  ">", "---", "...",  "%",   "@",    "? ",   "${a}", "\t",
      "<<", "~",   "1",  "\\", "\r", "é", "`",   "base", "!!x", "null", "\x7f"};
  std::mt19937 random(7);
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto left = random() % 12; left > 0; --left) text += words[random() % words.size()];
    try {
      parse_config(text, "c.yaml", {"b=" + text});
      ++good;
    } catch (const ConfigError&) {
    }
  }
  EXPECT_GT(good, 100);
}

// ---- output -------------------------------------------------------------------------------------

bool same(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.scalar != b.scalar) return false;
  if (a.is_scalar() && to_json(a) != to_json(b)) return false;
  if (a.items.size() != b.items.size() || a.keys() != b.keys()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!same(a.items[i], b.items[i])) return false;
  }
  for (size_t i = 0; i < a.entries.size(); ++i) {
    if (!same(a.entries[i].value, b.entries[i].value)) return false;
  }
  return true;
}

// Whether a value comes back as it is from YAML, with and without origins, at any place.
void expect_round_trip(const Node& value, const std::string& key = "key") {
  auto list = Node::make_list();
  list.items = {value, Node::make_map(), value};
  auto inner = Node::make_map();
  inner.set(key, value);
  list.items.push_back(inner);
  auto flat = Node::make_list();
  flat.items = {value, value};
  auto root = inner;
  root.set("list", list);
  root.set("flat", flat);
  root.origin = root.find(key)->origin = flat.origin = {"some\nfile: # 'x'.yaml", 3, 4};
  for (const bool origins : {false, true}) {
    const auto yaml = to_yaml(root, origins);
    try {
      EXPECT_TRUE(same(parse_config(yaml, "c.yaml"), root)) << yaml;
    } catch (const ConfigError& error) {
      ADD_FAILURE() << error.what() << "\n" << yaml;
    }
  }
  EXPECT_EQ(nlohmann::json::parse(to_json(root)), nlohmann::json::parse(to_json(root)));
}

const std::vector<std::string>& nasty_texts() {
  static const std::vector<std::string> texts = {"",
                                                 " ",
                                                 "  x",
                                                 "x  ",
                                                 "a b",
                                                 "0",
                                                 "-1",
                                                 "+1",
                                                 "1.5",
                                                 "-1.",
                                                 ".5",
                                                 "-.5",
                                                 "1e-4",
                                                 "1E5",
                                                 "0x1F",
                                                 "007",
                                                 "1_000",
                                                 "12abc",
                                                 ".inf",
                                                 "-.inf",
                                                 ".nan",
                                                 "inf",
                                                 "nan",
                                                 "true",
                                                 "True",
                                                 "false",
                                                 "yes",
                                                 "no",
                                                 "null",
                                                 "Null",
                                                 "NULL",
                                                 "~",
                                                 "-",
                                                 "--",
                                                 "---",
                                                 "--- x",
                                                 "...",
                                                 "- a",
                                                 "-a",
                                                 "?",
                                                 "? a",
                                                 "?a",
                                                 ":",
                                                 ": a",
                                                 "a: b",
                                                 "a:",
                                                 "a:b",
                                                 "::",
                                                 "#",
                                                 "# a",
                                                 "a # b",
                                                 "a#b",
                                                 "'",
                                                 "\"",
                                                 "'a'",
                                                 "\"a\"",
                                                 "it's",
                                                 "a\"b",
                                                 "\\",
                                                 "\\n",
                                                 "a\\",
                                                 "[",
                                                 "]",
                                                 "[a]",
                                                 "{",
                                                 "}",
                                                 "{a: 1}",
                                                 ",",
                                                 "a, b",
                                                 "&a",
                                                 "*a",
                                                 "!a",
                                                 "!!str a",
                                                 "|",
                                                 "|\n  a",
                                                 ">",
                                                 "%",
                                                 "%YAML 1.2",
                                                 "@a",
                                                 "`a`",
                                                 "<",
                                                 "<<",
                                                 "=",
                                                 "a=b",
                                                 "\n",
                                                 "a\nb",
                                                 "a\n",
                                                 "\na",
                                                 "\t",
                                                 "a\tb",
                                                 "\r",
                                                 "a\r\nb",
                                                 "\x01",
                                                 "\x1b[0m",
                                                 "\x7f",
                                                 "größe",
                                                 "é",
                                                 "日本語",
                                                 "\xEF\xBB\xBF",
                                                 "\xEF\xBB\xBF"
                                                 "a",
                                                 "\xC2\x85",
                                                 "\xE2\x80\xA8",
                                                 "a\xC2\x85"
                                                 "b",
                                                 "😀",
                                                 "${a}",
                                                 "$${a}",
                                                 "${",
                                                 "$",
                                                 "a ${b} c",
                                                 "$$",
                                                 "base",
                                                 "_base_",
                                                 "_delete_",
                                                 "type",
                                                 "C:\\path\\file",
                                                 "/a/b.yaml",
                                                 "http://x.y/z?a=b#c",
                                                 "2024-01-01",
                                                 "12:30:45",
                                                 "0o17",
                                                 "1e999",
                                                 std::string(3000, 'x'),
                                                 std::string("a\0b", 3)};
  return texts;
}

TEST(ToYaml, AnyTextComesBack) {
  for (const auto& text : nasty_texts()) {
    expect_round_trip(Node::make_scalar(text, true));
    expect_round_trip(Node::make_scalar(text, false));
  }
}

TEST(ToYaml, AnyKeyComesBack) {
  for (const auto& text : nasty_texts()) {
    // Keys with a meaning of their own, and one too long for YAML's simple form.
    if (text == "<<" || text == "_delete_" || text.size() > 1000) continue;
    if (text == "base" || text == "_base_") continue;
    expect_round_trip(Node::make_scalar("x"), text);
  }
}

TEST(ToYaml, AnyTreeComesBack) {
  std::mt19937 random(3);
  const auto& texts = nasty_texts();
  const auto tree = [&](const auto& self, int depth) -> Node {
    const auto choice = random() % (depth > 4 ? 4 : 8);
    if (choice == 0) return {};
    if (choice < 4) return Node::make_scalar(texts[random() % texts.size()], random() % 2 == 0);
    auto node = choice < 6 ? Node::make_list() : Node::make_map();
    for (auto left = random() % 4; left > 0; --left) {
      auto child = self(self, depth + 1);
      if (node.is_list()) {
        node.items.push_back(child);
      } else {
        node.set("k" + std::to_string(left), child);
      }
    }
    return node;
  };
  for (int i = 0; i < 1000; ++i) expect_round_trip(tree(tree, 0));
}

TEST(ToYaml, LooksAsOneWouldWriteIt) {
  const std::string text =
      "model:\n"
      "  head:\n"
      "    type: DNC\n"
      "    sizes: [1, 2]\n"
      "  none: null\n"
      "  empty: {}\n"
      "transforms:\n"
      "  - type: Crop\n"
      "    size: 28\n"
      "  - type: Flip\n"
      "name: \"12\"\n"
      "lr: 1e-4\n";
  EXPECT_EQ(to_yaml(parse_config(text, "c.yaml")), text);
}

TEST(ToYaml, SaysWhereEachValueComesFrom) {
  const auto config = parse_config("a: 1\nb:\n  c: [1, 2]\n  d: x\n", "c.yaml", {"b.d=y"});
  EXPECT_EQ(to_yaml(config, true),
            "a: 1                                          # c.yaml:1:4\n"
            "b:\n"
            "  c: [1, 2]                                   # c.yaml:3:6\n"
            "  d: y                                        # --set b.d=y\n");
}

TEST(ToJson, ReadsScalarsAsYaml12Does) {
  const auto json = [](const std::string& text, bool quoted = false) {
    return to_json(Node::make_scalar(text, quoted));
  };
  EXPECT_EQ(json("12"), "12");
  EXPECT_EQ(json("12", true), "\"12\"");
  EXPECT_EQ(json("-3"), "-3");
  EXPECT_EQ(json("+1"), "1");
  EXPECT_EQ(json("007"), "7");
  EXPECT_EQ(json("0x1F"), "31");
  EXPECT_EQ(json("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(json("1.5"), "1.5");
  EXPECT_EQ(json(".5"), "0.5");
  EXPECT_EQ(json("1."), "1");
  EXPECT_EQ(json("1.e5"), "1e+05");
  EXPECT_EQ(json("-.5e-3"), "-5e-04");
  EXPECT_EQ(json("0.1"), "0.1");
  EXPECT_EQ(json("true"), "true");
  EXPECT_EQ(json("False"), "false");
  EXPECT_EQ(json("true", true), "\"true\"");
  EXPECT_EQ(to_json(Node()), "null");
  // Text, though it looks like nothing or like a number that JSON does not have.
  for (const char* text :
       {"null", "~", "yes", "nan", "inf", ".inf", "1e999", "1.2.3", "", "-", "+"}) {
    EXPECT_EQ(json(text), "\"" + std::string(text) + "\"");
  }
}

TEST(ToJson, IsReadBackByAJsonLibrary) {
  for (const auto& text : nasty_texts()) {
    auto map = Node::make_map();
    map.set(text, Node::make_scalar(text, true));
    map.set("bare " + text, Node::make_scalar(text, false));
    const auto json = nlohmann::json::parse(to_json(map));
    EXPECT_EQ(json.at(text), text);
    EXPECT_EQ(json.size(), 2u);
  }
}

}  // namespace
}  // namespace dnc
