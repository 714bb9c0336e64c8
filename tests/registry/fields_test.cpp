#include "registry/fields.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "registry/config.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {

// Slot<I> needs no more of an interface than its name.
class Loss;

namespace {

enum class Color { kRed, kGreen, kBlue };

struct Size {
  int64_t width = 3;
  int64_t height = 4;
  void fields(Fields& f) {
    f("width", width, "Columns.").at_least(1);
    f("height", height, "Rows.").at_least(1);
  }
};

struct Rule {
  std::string match;
  double scale = 1;
  void fields(Fields& f) {
    f("match", match, "A pattern.").required();
    f("scale", scale, "A factor.").above(0);
  }
};

struct Options {
  bool flag = false;
  int64_t count = 2;
  double share = 0.5;
  std::string name = "x";
  Path path;
  std::vector<int64_t> sizes{1, 2};
  std::vector<double> shares;
  std::vector<std::string> names;
  std::vector<Path> paths;
  std::optional<bool> maybe_flag;
  std::optional<int64_t> maybe_count;
  std::optional<double> maybe_share = 0.25;
  std::optional<std::string> maybe_name;
  std::optional<Path> maybe_path;
  Color color = Color::kGreen;
  Size size;
  std::vector<Rule> rules;
  Slot<Loss> loss{"CrossEntropy"};
  std::vector<Slot<Loss>> losses;

  void fields(Fields& f) {
    f("flag", flag, "A switch.");
    f("count", count, "A number of things.").between(0, 10);
    f("share", share, "A part of all.").above(0).at_most(1);
    f("name", name, "A word.").alias("title").alias("label");
    f("path", path, "A file.");
    f("sizes", sizes, "Numbers.").at_least(0).length(1, 3);
    f("shares", shares, "Parts.").between(0, 1);
    f("names", names, "Words.");
    f("paths", paths, "Files.");
    f("maybe_flag", maybe_flag, "A switch or nothing.");
    f("maybe_count", maybe_count, "A number or nothing.").at_least(1);
    f("maybe_share", maybe_share, "A part or nothing.").below(1);
    f("maybe_name", maybe_name, "A word or nothing.");
    f("maybe_path", maybe_path, "A file or nothing.");
    f.choice("color", color,
             {{"red", Color::kRed}, {"green", Color::kGreen}, {"blue", Color::kBlue}}, "Paint.");
    f.group("size", size, "Of the picture.");
    f.list("rules", rules, "Exceptions.").length(0, 2);
    f.component("loss", loss, "What is minimised.");
    f.components("losses", losses, "What is added.").length(0, 2);
  }
};

template <typename T>
void read_node(T& options, const Node& node) {
  Fields fields;
  options.fields(fields);
  fields.read(node);
}

Options read(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  Options options;
  read_node(options, parse_config(yaml, "c.yaml", overrides));
  return options;
}

template <typename T = Options>
std::string refusal(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return message_of<ConfigError>([&] {
    T options;
    read_node(options, parse_config(yaml, "c.yaml", overrides));
  });
}

// What `use` makes of one field of Options.
template <typename Use>
std::string of_field(const std::string& name, const Use& use) {
  Options options;
  Fields fields;
  options.fields(fields);
  for (const auto& field : fields.all()) {
    if (field.name == name) return use(field);
  }
  throw std::runtime_error("no field is called " + name);
}

std::string bounds(const std::string& name) {
  return of_field(name, [](const Field& field) { return field.bounds(); });
}

std::string type_name(const std::string& name) {
  return of_field(name, [](const Field& field) { return field.type_name(); });
}

// ---- each type ----------------------------------------------------------------------------------

TEST(Fields, AnEmptyMapLeavesTheDefaults) {
  const auto options = read("");
  EXPECT_EQ(options.count, 2);
  EXPECT_EQ(options.name, "x");
  EXPECT_EQ(options.sizes, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(options.maybe_share, 0.25);
  EXPECT_EQ(options.maybe_count, std::nullopt);
  EXPECT_EQ(options.color, Color::kGreen);
  EXPECT_EQ(options.size.height, 4);
  EXPECT_EQ(options.loss.type(), "CrossEntropy");
  EXPECT_TRUE(options.losses.empty());
}

TEST(Fields, ReadASwitch) {
  for (const char* yes : {"true", "True", "TRUE"})
    EXPECT_TRUE(read(std::string("flag: ") + yes).flag);
  for (const char* no : {"false", "False", "FALSE"}) {
    EXPECT_FALSE(read(std::string("flag: ") + no).flag);
  }
  for (const char* other : {"yes", "1", "on", "tRUE"}) {
    EXPECT_EQ(refusal(std::string("flag: ") + other),
              "c.yaml:1:7: 'flag' must be true or false, not '" + std::string(other) + "'");
  }
  EXPECT_EQ(refusal("flag: 'true'"), "c.yaml:1:7: 'flag' must be true or false, not 'true'");
  EXPECT_EQ(refusal("flag:"), "c.yaml:1:1: 'flag' must be true or false, not nothing");
  EXPECT_EQ(refusal("flag: [true]"), "c.yaml:1:7: 'flag' must be true or false, not a list of 1");
}

TEST(Fields, ReadAnInteger) {
  const auto count = [](const std::string& text) { return read("count: " + text).count; };
  EXPECT_EQ(count("7"), 7);
  EXPECT_EQ(count("+7"), 7);
  EXPECT_EQ(count("007"), 7);
  EXPECT_EQ(count("1e1"), 10);
  EXPECT_EQ(count("3.0"), 3);
  EXPECT_EQ(count("0x0A"), 10);
  for (const char* other : {"2.5", "x", "1_0", "3 4", "+-3", "--3", "+", "1e400", ".nan", "nan",
                            "inf", "99999999999999999999", "true"}) {
    EXPECT_EQ(refusal(std::string("count: ") + other),
              "c.yaml:1:8: 'count' must be an integer, not '" + std::string(other) + "'");
  }
  EXPECT_EQ(refusal("count: '3'"), "c.yaml:1:8: 'count' must be an integer, not '3'");
  EXPECT_EQ(refusal("count: {a: 1}"), "c.yaml:1:8: 'count' must be an integer, not a map");
}

struct AnyInteger {
  int64_t count = 0;
  void fields(Fields& f) { f("count", count, "Any."); }
};

TEST(Fields, ReadIntegersOf64Bits) {
  for (const int64_t value : {std::numeric_limits<int64_t>::max(),
                              std::numeric_limits<int64_t>::min(), int64_t{9007199254740993}}) {
    AnyInteger options;
    read_node(options, parse_config("count: " + std::to_string(value), "c.yaml"));
    EXPECT_EQ(options.count, value);
  }
  // Beyond 2^53 a real number is not exact.
  EXPECT_EQ(refusal<AnyInteger>("count: 1e16"),
            "c.yaml:1:8: 'count' must be an integer, not '1e16'");
}

TEST(Fields, ReadANumber) {
  const auto share = [](const std::string& text) { return read("share: " + text).share; };
  EXPECT_EQ(share("0.1"), 0.1);
  EXPECT_EQ(share("1"), 1);
  EXPECT_EQ(share(".5"), 0.5);
  EXPECT_EQ(share("5e-4"), 5e-4);
  EXPECT_EQ(share("+0.25"), 0.25);
  EXPECT_EQ(share("1."), 1);
  for (const char* other : {"half", "0,5", "inf", ".inf", "-.inf", "nan", ".nan", "1e999", "0.1x",
                            "--", "1/2", "infinity"}) {
    EXPECT_EQ(refusal(std::string("share: ") + other),
              "c.yaml:1:8: 'share' must be a number, not '" + std::string(other) + "'");
  }
  EXPECT_EQ(refusal("share: \"0.5\""), "c.yaml:1:8: 'share' must be a number, not '0.5'");
}

TEST(Fields, ReadAText) {
  EXPECT_EQ(read("name: two words").name, "two words");
  EXPECT_EQ(read("name: 12").name, "12");
  EXPECT_EQ(read("name: true").name, "true");
  EXPECT_EQ(read("name: ''").name, "");
  EXPECT_EQ(refusal("name: [a]"), "c.yaml:1:7: 'name' must be a text, not a list of 1");
  EXPECT_EQ(refusal("name: null"), "c.yaml:1:1: 'name' must be a text, not nothing");
}

TEST(Fields, ReadLists) {
  EXPECT_EQ(read("sizes: [3, 4, 5]").sizes, (std::vector<int64_t>{3, 4, 5}));
  EXPECT_EQ(read("shares: [0.5, 1]").shares, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(read("names: [a, 1, true]").names, (std::vector<std::string>{"a", "1", "true"}));
  EXPECT_TRUE(read("names:").names.empty());
  EXPECT_TRUE(read("names: []").names.empty());
  EXPECT_EQ(refusal("sizes: [1, x]"), "c.yaml:1:12: 'sizes.1' must be an integer, not 'x'");
  EXPECT_EQ(refusal("sizes: {a: 1}"),
            "c.yaml:1:8: 'sizes' must be a list, each item an integer, not a map");
  EXPECT_EQ(refusal("names: [[a]]"), "c.yaml:1:9: 'names.0' must be a text, not a list of 1");
}

TEST(Fields, APlainValueIsAListOfOne) {
  EXPECT_EQ(read("sizes: 7").sizes, (std::vector<int64_t>{7}));
  EXPECT_EQ(read("names: a").names, (std::vector<std::string>{"a"}));
  EXPECT_EQ(refusal("sizes: x"),
            "c.yaml:1:8: 'sizes' must be a list, each item an integer, not 'x'");
}

TEST(Fields, CheckTheLengthOfAList) {
  EXPECT_EQ(refusal("sizes: []"), "c.yaml:1:8: 'sizes' must have 1 to 3 items, not 0");
  EXPECT_EQ(refusal("sizes:"), "c.yaml:1:1: 'sizes' must have 1 to 3 items, not 0");
  EXPECT_EQ(refusal("sizes: [1, 2, 3, 4]"), "c.yaml:1:8: 'sizes' must have 1 to 3 items, not 4");
  EXPECT_EQ(refusal("losses: [a, b, c]"), "c.yaml:1:9: 'losses' must have 0 to 2 items, not 3");
  EXPECT_EQ(refusal("rules: [{match: a}, {match: b}, {match: c}]"),
            "c.yaml:1:8: 'rules' must have 0 to 2 items, not 3");
}

struct Lengths {
  std::vector<int64_t> three{1, 2, 3}, one{1}, some{1};
  void fields(Fields& f) {
    f("three", three, "Three.").length(3, 3);
    f("one", one, "One.").length(1, 1);
    f("some", some, "Some.").length(1, std::numeric_limits<int64_t>::max());
  }
};

TEST(Fields, SayHowLongAListMustBe) {
  EXPECT_EQ(refusal<Lengths>("three: [1]"), "c.yaml:1:8: 'three' must have 3 items, not 1");
  EXPECT_EQ(refusal<Lengths>("three: 1"), "c.yaml:1:8: 'three' must have 3 items, not 1");
  EXPECT_EQ(refusal<Lengths>("one: [1, 2]"), "c.yaml:1:6: 'one' must have 1 item, not 2");
  EXPECT_EQ(refusal<Lengths>("some: []"), "c.yaml:1:7: 'some' must have at least 1 item, not 0");
}

TEST(Fields, ReadWhatMayBeNothing) {
  const auto given = read("maybe_flag: true\nmaybe_count: 3\nmaybe_share: 0.5\nmaybe_name: y\n");
  EXPECT_EQ(given.maybe_flag, true);
  EXPECT_EQ(given.maybe_count, 3);
  EXPECT_EQ(given.maybe_share, 0.5);
  EXPECT_EQ(given.maybe_name, "y");
  EXPECT_EQ(read("maybe_share: null").maybe_share, std::nullopt);
  EXPECT_EQ(read("maybe_share:").maybe_share, std::nullopt);
  EXPECT_EQ(refusal("maybe_count: x"), "c.yaml:1:14: 'maybe_count' must be an integer, not 'x'");
  EXPECT_EQ(refusal("maybe_count: 0"), "c.yaml:1:14: 'maybe_count' must be at least 1, not 0");
}

TEST(Fields, ReadAChoice) {
  EXPECT_EQ(read("color: blue").color, Color::kBlue);
  EXPECT_EQ(refusal("color: blu"),
            "c.yaml:1:8: 'color' must be one of red, green, blue, not 'blu'; did you mean 'blue'?");
  EXPECT_EQ(refusal("color: magenta"),
            "c.yaml:1:8: 'color' must be one of red, green, blue, not 'magenta'");
  EXPECT_EQ(refusal("color:"), "c.yaml:1:1: 'color' must be one of red, green, blue, not nothing");
}

// ---- bounds -------------------------------------------------------------------------------------

TEST(Fields, CheckBoundsAtTheirEdges) {
  EXPECT_EQ(read("count: 0").count, 0);
  EXPECT_EQ(read("count: 10").count, 10);
  EXPECT_EQ(refusal("count: -1"), "c.yaml:1:8: 'count' must be from 0 to 10, not -1");
  EXPECT_EQ(refusal("count: 11"), "c.yaml:1:8: 'count' must be from 0 to 10, not 11");
  EXPECT_EQ(refusal("share: 0"), "c.yaml:1:8: 'share' must be above 0 and at most 1, not 0");
  EXPECT_EQ(refusal("share: 1.5"), "c.yaml:1:8: 'share' must be above 0 and at most 1, not 1.5");
  EXPECT_EQ(refusal("maybe_share: 1"), "c.yaml:1:14: 'maybe_share' must be below 1, not 1");
}

TEST(Fields, CheckBoundsOfEachItemOfAList) {
  EXPECT_EQ(refusal("sizes: [0, -1]"), "c.yaml:1:12: 'sizes.1' must be at least 0, not -1");
  EXPECT_EQ(refusal("shares: 2"), "c.yaml:1:9: 'shares' must be from 0 to 1, not 2");
}

TEST(Fields, DescribeBoundsAndTypes) {
  EXPECT_EQ(bounds("flag"), "");
  EXPECT_EQ(bounds("count"), "from 0 to 10");
  EXPECT_EQ(bounds("share"), "above 0 and at most 1");
  EXPECT_EQ(bounds("sizes"), "at least 0");
  EXPECT_EQ(bounds("maybe_share"), "below 1");
  int64_t value = 0;
  EXPECT_EQ(Field("n", &value, "").between(1, 100000).bounds(), "from 1 to 100000");
  EXPECT_EQ(Field("n", &value, "").above(1e-6).below(0.5).bounds(), "above 1e-06 and below 0.5");
  EXPECT_EQ(Field("n", &value, "").above(3).at_least(2).bounds(), "at least 2");

  EXPECT_EQ(type_name("flag"), "true | false");
  EXPECT_EQ(type_name("count"), "integer");
  EXPECT_EQ(type_name("share"), "number");
  EXPECT_EQ(type_name("name"), "text");
  EXPECT_EQ(type_name("path"), "path");
  EXPECT_EQ(type_name("sizes"), "list of integers");
  EXPECT_EQ(type_name("maybe_share"), "number or nothing");
  EXPECT_EQ(type_name("color"), "red | green | blue");
  EXPECT_EQ(type_name("size"), "map");
  EXPECT_EQ(type_name("rules"), "list of maps");
  EXPECT_EQ(type_name("loss"), "loss component");
  EXPECT_EQ(type_name("losses"), "list of loss components");
}

// ---- keys ---------------------------------------------------------------------------------------

TEST(Fields, RefuseAKeyThatNobodyKnows) {
  EXPECT_EQ(refusal<Size>("height: 1\nwidht: 2\n"),
            "c.yaml:2:1: 'widht' is not a known key; did you mean 'width'? (known: width, height)");
  EXPECT_EQ(refusal<Size>("colour: 2\n"),
            "c.yaml:1:1: 'colour' is not a known key (known: width, height)");
  EXPECT_EQ(refusal("size: {depth: 2}\n"),
            "c.yaml:1:8: 'size.depth' is not a known key (known: width, height)");
  EXPECT_EQ(
      refusal<Size>("", {"widht=2"}),
      "--set widht=2: 'widht' is not a known key; did you mean 'width'? (known: width, height)");
}

TEST(Fields, RefuseATypeWhereThereIsNoComponent) {
  EXPECT_EQ(refusal<Size>("type: Size\n"),
            "c.yaml:1:1: 'type' is not a known key (known: width, height)");
  EXPECT_EQ(refusal("size: {type: Size}\n"),
            "c.yaml:1:8: 'size.type' is not a known key (known: width, height)");
}

TEST(Fields, PassOverKeysThatOthersRead) {
  Size size;
  Fields fields;
  size.fields(fields);
  const auto node = parse_config("width: 7\ntype: x\nnum_classes: 10\n", "c.yaml");
  fields.read(node, {"type", "num_classes"});
  EXPECT_EQ(size.width, 7);
  EXPECT_EQ(message_of<ConfigError>([&] { fields.read(node, {"type"}); }),
            "c.yaml:3:1: 'num_classes' is not a known key (known: width, height)");
}

TEST(Fields, KnowOtherNamesOfAKey) {
  EXPECT_EQ(read("title: y").name, "y");
  EXPECT_EQ(read("label: z").name, "z");
  EXPECT_EQ(refusal("title: 'a'\nname: b\n"),
            "c.yaml:1:8: 'title' is another name of 'name'; give one of them");
  EXPECT_EQ(refusal("title: a\nlabel: b\n"),
            "c.yaml:2:8: 'label' is another name of 'title'; give one of them");
  EXPECT_EQ(refusal("title: []\n"), "c.yaml:1:8: 'title' must be a text, not a list of 0");
}

TEST(Fields, MissARequiredKey) {
  EXPECT_EQ(refusal<Rule>("scale: 2\n"), "c.yaml:1:1: 'match' is missing: A pattern.");
  EXPECT_EQ(refusal<Rule>("scale: 2\nmatch:\n"), "c.yaml:2:1: 'match' is missing: A pattern.");
  EXPECT_EQ(refusal("rules:\n  - {scale: 2}\n"),
            "c.yaml:2:5: 'rules.0.match' is missing: A pattern.");
}

struct Nested {
  Rule rule;
  void fields(Fields& f) { f.group("rule", rule, "One rule."); }
};

TEST(Fields, MissARequiredKeyOfAGroupThatIsNotThere) {
  EXPECT_EQ(refusal<Nested>("{}"), "c.yaml:1:1: 'rule.match' is missing: A pattern.");
  EXPECT_EQ(refusal<Nested>("rule:\n"), "c.yaml:1:1: 'rule.match' is missing: A pattern.");
  EXPECT_EQ(refusal<Nested>("\n\nrule: {}\n"), "c.yaml:3:7: 'rule.match' is missing: A pattern.");
}

// ---- groups, lists of groups, components --------------------------------------------------------

TEST(Fields, ReadAGroup) {
  const auto options = read("size: {height: 9}");
  EXPECT_EQ(options.size.width, 3);
  EXPECT_EQ(options.size.height, 9);
  EXPECT_EQ(read("size:").size.height, 4);
  EXPECT_EQ(refusal("size: 9"), "c.yaml:1:7: 'size' must be a map, not '9'");
  EXPECT_EQ(refusal("size: {height: 0}"), "c.yaml:1:16: 'size.height' must be at least 1, not 0");
}

TEST(Fields, ReadAListOfGroups) {
  const auto options = read("rules: [{match: a}, {match: b, scale: 2}]");
  ASSERT_EQ(options.rules.size(), 2u);
  EXPECT_EQ(options.rules[0].match, "a");
  EXPECT_EQ(options.rules[0].scale, 1);
  EXPECT_EQ(options.rules[1].scale, 2);
  EXPECT_TRUE(read("rules:").rules.empty());
  EXPECT_EQ(refusal("rules: {match: a}"), "c.yaml:1:8: 'rules' must be a list of maps, not a map");
  EXPECT_EQ(refusal("rules: [a]"), "c.yaml:1:9: 'rules.0' must be a map, not 'a'");
  EXPECT_EQ(refusal("rules: [{match: a, scale: 0}]"),
            "c.yaml:1:27: 'rules.0.scale' must be above 0, not 0");
}

TEST(Fields, ReadAComponentInBothForms) {
  EXPECT_EQ(read("loss: Focal").loss.type(), "Focal");
  const auto options = read("loss: {type: Focal, gamma: 2}");
  EXPECT_EQ(options.loss.type(), "Focal");
  EXPECT_EQ(options.loss.node().find("gamma")->scalar, "2");
  EXPECT_EQ(options.loss.kind(), "loss");
  EXPECT_TRUE(read("loss: null").loss.empty());
  EXPECT_EQ(refusal("loss: [Focal]"),
            "c.yaml:1:7: 'loss' must be a component ({type: NAME, ...} or NAME), not a list of 1");
  EXPECT_EQ(refusal("loss: ''"),
            "c.yaml:1:7: 'loss' must be a component ({type: NAME, ...} or NAME), not ''");
  EXPECT_EQ(refusal("loss: {gamma: 2}"),
            "c.yaml:1:7: 'loss' lacks 'type', the name of a loss (see dnc-host list loss)");
}

TEST(Fields, ReadAListOfComponents) {
  const auto options = read("losses: [Focal, {type: Dice, smooth: 1}]");
  ASSERT_EQ(options.losses.size(), 2u);
  EXPECT_EQ(options.losses[0].type(), "Focal");
  EXPECT_EQ(options.losses[1].type(), "Dice");
  EXPECT_EQ(options.losses[1].node().path, "losses.1");
  EXPECT_EQ(read("losses: Focal").losses.size(), 1u);
  EXPECT_EQ(read("losses: {type: Focal}").losses.size(), 1u);
  EXPECT_TRUE(read("losses:").losses.empty());
  EXPECT_EQ(refusal("losses: [Focal, {smooth: 1}]"),
            "c.yaml:1:17: 'losses.1' lacks 'type', the name of a loss (see dnc-host list loss)");
  EXPECT_EQ(
      refusal("losses: [[Focal]]"),
      "c.yaml:1:10: 'losses.0' must be a component ({type: NAME, ...} or NAME), not a list of "
      "1");
}

struct RequiredLoss {
  Slot<Loss> loss;
  void fields(Fields& f) { f.component("loss", loss, "What is minimised.").required(); }
};

TEST(Fields, MissARequiredComponent) {
  EXPECT_EQ(refusal<RequiredLoss>("{}"), "c.yaml:1:1: 'loss' is missing: What is minimised.");
  EXPECT_EQ(refusal<RequiredLoss>("loss:\n"), "c.yaml:1:1: 'loss' is missing: What is minimised.");
}

// ---- paths --------------------------------------------------------------------------------------

TEST(Fields, APathIsRelativeToTheFileThatWritesIt) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "base");
  put_bytes(folder / "base/data.yaml", "path: ../data\npaths: [a, /b]\nmaybe_path: c/./d/../e\n");
  put_bytes(folder / "run.yaml", "base: base/data.yaml\nname: '${path}'\n");
  Options options;
  read_node(options, load_config((folder / "run.yaml").string()));
  const auto root = folder.path().string();
  EXPECT_EQ(options.path.value, root + "/data");
  EXPECT_EQ(options.paths[0].value, root + "/base/a");
  EXPECT_EQ(options.paths[1].value, "/b");
  EXPECT_EQ(options.maybe_path->value, root + "/base/c/e");
  EXPECT_EQ(options.name, "../data");
}

TEST(Fields, APathOnTheCommandLineIsRelativeToTheCurrentFolder) {
  const TemporaryFolder folder;
  put_bytes(folder / "run.yaml", "path: data\nmaybe_path: '${path}/x'\npaths: ['${path}']\n");
  Options options;
  read_node(options, load_config((folder / "run.yaml").string(), {"path=here"}));
  const auto here = (std::filesystem::current_path() / "here").string();
  EXPECT_EQ(options.path.value, here);
  // A reference to it is the same place.
  EXPECT_EQ(options.paths[0].value, here);
  EXPECT_EQ(options.maybe_path->value, here + "/x");
}

TEST(Fields, AnEmptyPathStaysEmpty) {
  EXPECT_TRUE(read("path: ''").path.empty());
  EXPECT_EQ(refusal("path: [a]"), "c.yaml:1:7: 'path' must be a path, not a list of 1");
}

// ---- values back to nodes -----------------------------------------------------------------------

TEST(Fields, GiveTheirValuesAsNodes) {
  auto options = read(
      "flag: true\nname: '12'\nshares: [0.1, 1e-5]\nnames: ['true', x]\ncolor: red\n"
      "rules: [{match: a}]\nlosses: [Focal]\n");
  Fields fields;
  options.fields(fields);
  auto map = Node::make_map();
  for (const auto& each : fields.all()) map.set(each.name, each.value());
  EXPECT_EQ(
      to_json(map),
      R"({"flag": true, "count": 2, "share": 0.5, "name": "12", "path": "", "sizes": [1, 2], )"
      R"("shares": [0.1, 1e-05], "names": ["true", "x"], "paths": [], "maybe_flag": null, )"
      R"("maybe_count": null, "maybe_share": 0.25, "maybe_name": null, "maybe_path": null, )"
      R"("color": "red", "size": {"width": 3, "height": 4}, )"
      R"("rules": [{"match": "a", "scale": 1}], "loss": {"type": "CrossEntropy"}, )"
      R"("losses": ["Focal"]})");
}

TEST(Fields, ValuesSurviveWritingAndReading) {
  for (const double value : {0.1, 1.0 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 100000.0, 1e15,
                             1e16, 123456789.125, -2.5e-7, -3.0}) {
    struct Real {
      double value = 0;
      void fields(Fields& f) { f("value", value, "Any."); }
    } written, back;
    written.value = value;
    Fields fields;
    written.fields(fields);
    auto map = Node::make_map();
    map.set("value", fields.all().front().value());
    read_node(back, parse_config(to_yaml(map), "c.yaml"));
    EXPECT_EQ(back.value, value) << to_yaml(map);
  }
}

TEST(Fields, WriteNumbersAsPeopleDo) {
  double value = 100000;
  const Field field("value", &value, "Any.");
  EXPECT_EQ(field.value().scalar, "100000");
  value = 3;
  EXPECT_EQ(field.value().scalar, "3");
  value = 0.001;
  EXPECT_EQ(field.value().scalar, "0.001");
}

}  // namespace
}  // namespace dnc
