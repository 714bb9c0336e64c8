#include "registry/node.h"

#include <gtest/gtest.h>

#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

Node scalar_at(const std::string& text, Origin origin) {
  auto node = Node::make_scalar(text);
  node.origin = std::move(origin);
  return node;
}

TEST(Origin, NamesFileLineAndColumnAsFarAsTheyAreKnown) {
  EXPECT_EQ((Origin{"a.yaml", 3, 14}).where(), "a.yaml:3:14");
  EXPECT_EQ((Origin{"--set lr=1", 0, 0}).where(), "--set lr=1");
  EXPECT_EQ(Origin().where(), "");
}

TEST(Node, MapKeepsTheOrderOfItsKeysAndEachKeyOnce) {
  auto map = Node::make_map();
  map.set("b", Node::make_scalar("1"));
  map.set("a", Node::make_scalar("2"));
  map.set("b", Node::make_scalar("3"));
  EXPECT_EQ(map.keys(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(map.find("b")->scalar, "3");
  EXPECT_EQ(map.find("c"), nullptr);
  map.erase("b");
  EXPECT_EQ(map.keys(), (std::vector<std::string>{"a"}));
}

TEST(Node, SetTakesTheOriginOfTheValueForANewKeyOnly) {
  auto map = Node::make_map();
  map.set("a", scalar_at("1", {"x", 1, 2}));
  map.set("a", scalar_at("2", {"y", 3, 4}));
  EXPECT_EQ(map.entries.front().origin.where(), "x:1:2");
  EXPECT_EQ(map.find("a")->origin.where(), "y:3:4");
}

TEST(Node, TypeIsTheNameOfAComponentInBothForms) {
  EXPECT_EQ(Node::make_scalar("Linear").type(), "Linear");
  auto map = Node::make_map();
  EXPECT_EQ(map.type(), "");
  map.set("type", Node::make_list());
  EXPECT_EQ(map.type(), "");
  map.set("type", Node::make_scalar("DNC"));
  EXPECT_EQ(map.type(), "DNC");
  EXPECT_EQ(Node::make_list().type(), "");
  EXPECT_EQ(Node().type(), "");
}

TEST(Node, DescribesItselfForMessages) {
  EXPECT_EQ(Node().describe(), "nothing");
  EXPECT_EQ(Node::make_scalar("0.1").describe(), "'0.1'");
  EXPECT_EQ(Node::make_map().describe(), "a map");
  auto list = Node::make_list();
  list.items.resize(3);
  EXPECT_EQ(list.describe(), "a list of 3");
}

// model (x.yaml:2:3) with one key, head (x.yaml:3:9).
Node model() {
  auto map = Node::make_map();
  map.origin = {"x.yaml", 2, 3};
  map.path = "model";
  auto head = Node::make_map();
  head.origin = {"x.yaml", 3, 9};
  head.path = "model.head";
  map.set("head", head);
  return map;
}

TEST(Node, FailsAtItsOwnPlace) {
  EXPECT_EQ(message_of<ConfigError>([] { model().fail("is wrong"); }),
            "x.yaml:2:3: 'model' is wrong");
  EXPECT_EQ(message_of<ConfigError>([] { Node().fail("nothing is known"); }), "nothing is known");
}

TEST(Node, FailsAtAnItemOfAListByItsIndex) {
  auto map = model();
  auto list = Node::make_list();
  list.origin = {"x.yaml", 4, 9};
  list.items = {scalar_at("1", {"x.yaml", 4, 10}), scalar_at("2", {"x.yaml", 4, 13})};
  map.set("steps", list);
  EXPECT_EQ(message_of<ConfigError>([&] { map.fail("steps.1", "is wrong"); }),
            "x.yaml:4:13: 'model.steps.1' is wrong");
  for (const std::string no_item : {"2", "-1", "first", ""}) {
    EXPECT_EQ(message_of<ConfigError>([&] { map.fail("steps." + no_item, "is wrong"); }),
              "x.yaml:4:9: 'model.steps." + no_item + "' is wrong");
  }
}

TEST(Node, FailsBesideADefaultWhichWasWrittenNowhere) {
  auto map = model();
  map.find("head")->set("k", Node::make_scalar("4"));
  EXPECT_EQ(message_of<ConfigError>([&] { map.fail("head.k", "is too few"); }),
            "x.yaml:3:9: 'model.head.k' is too few");
}

TEST(Node, FailsAtAsMuchOfAKeyAsIsThere) {
  EXPECT_EQ(message_of<ConfigError>([] { model().fail("head", "is wrong"); }),
            "x.yaml:3:9: 'model.head' is wrong");
  EXPECT_EQ(message_of<ConfigError>([] { model().fail("head.k", "is missing"); }),
            "x.yaml:3:9: 'model.head.k' is missing");
  EXPECT_EQ(message_of<ConfigError>([] { model().fail("neck.k", "is missing"); }),
            "x.yaml:2:3: 'model.neck.k' is missing");
  EXPECT_EQ(message_of<ConfigError>([] { model().fail("", "is wrong as a whole"); }),
            "x.yaml:2:3: 'model' is wrong as a whole");
}

}  // namespace
}  // namespace dnc
