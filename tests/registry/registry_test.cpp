#include "registry/registry.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "registry/config.h"
#include "registry/decode_head.h"
#include "registry/error.h"
#include "registry/head.h"
#include "registry/hook.h"
#include "registry/loss.h"
#include "registry/schedule.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

// Schedules, because they are the lightest of the kinds.
struct Fixed : Schedule {
  struct Options {
    double value = 1;
    std::vector<int64_t> steps{1, 2};
    void fields(Fields& f) {
      f("value", value, "The factor.").above(0).alias("factor");
      f("steps", steps, "Any.");
    }
  };
  explicit Fixed(const Options& options) : options(options) {
    if (options.value > 100) throw OptionError("value", "is too much");
    if (options.steps.size() > 1 && options.steps[1] == 0) throw OptionError("steps.1", "is zero");
    if (options.steps.empty()) throw OptionError("", "does not like itself");
  }
  double factor(int64_t) const override { return options.value; }
  Options options;
};

// The product of others.
struct Product : Schedule {
  struct Limits {
    double low = 0;
    std::optional<int64_t> high;
    Slot<Schedule> beyond;
    void fields(Fields& f) {
      f("low", low, "Least.");
      f("high", high, "Most.");
      f.component("beyond", beyond, "Used beyond.");
    }
  };
  struct Options {
    Slot<Schedule> first{"Fixed"};
    std::vector<Slot<Schedule>> rest;
    Limits limits;
    std::vector<Limits> parts;
    void fields(Fields& f) {
      f.component("first", first, "The first.");
      f.components("rest", rest, "The others.");
      f.group("limits", limits, "Its range.");
      f.list("parts", parts, "Ranges of parts.");
    }
  };
  Product(const Options& options, const Context& context) : first(options.first.build(context)) {
    for (const auto& slot : options.rest) rest.push_back(slot.build(context));
  }
  double factor(int64_t step) const override {
    double product = first->factor(step);
    for (const auto& schedule : rest) product *= schedule->factor(step);
    return product;
  }
  std::shared_ptr<Schedule> first;
  std::vector<std::shared_ptr<Schedule>> rest;
};

// Refuses what is inside its options.
struct Picky : Schedule {
  struct Limits {
    int64_t low = 0;
    std::optional<int64_t> high;
    void fields(Fields& f) {
      f("low", low, "Least.").alias("lower");
      f("high", high, "Most.");
    }
  };
  struct Options {
    int64_t lowest = 0;
    Limits limits;
    std::vector<Limits> parts;
    void fields(Fields& f) {
      f("lowest", lowest, "Of limits.low.");
      f.group("limits", limits, "Its range.").alias("range");
      f.list("parts", parts, "Ranges of parts.").alias("pieces");
    }
  };
  explicit Picky(const Options& options) {
    const auto refuse = [](const std::string& option, int64_t value) {
      throw OptionError(option, "is " + std::to_string(value));
    };
    if (options.limits.low < options.lowest || options.limits.low == 7) {
      refuse("limits.low", options.limits.low);
    }
    for (size_t i = 0; i < options.parts.size(); ++i) {
      if (options.parts[i].low == 8) refuse("parts." + std::to_string(i) + ".low", 8);
    }
    if (options.parts.empty()) throw OptionError("parts", "is empty");
  }
  double factor(int64_t) const override { return 1; }
};

struct OfContext : Schedule {
  explicit OfContext(const Context& context) : steps(context.run.steps) {}
  double factor(int64_t) const override { return static_cast<double>(steps); }
  int64_t steps;
};

struct OfNothing : Schedule {
  double factor(int64_t) const override { return 7; }
};

struct TestHook : Hook {};

struct TestHead : Head {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings; }
};

struct OwnChannels : Head {
  struct Options {
    int64_t channels = 5;
    void fields(Fields& f) { f("in_channels", channels, "Of its own.").alias("num_classes"); }
  };
  explicit OwnChannels(const Options& options) : channels(options.channels) {}
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings; }
  int64_t channels;
};

struct Narrow : Head {
  Narrow() { throw OptionError("in_channels", "is too wide"); }
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings; }
};

struct TestDecodeHead : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back(); }
  int64_t channels() const override { return 1; }
};

struct TestBackbone : Backbone {
  Features forward(const torch::Tensor& images) override { return {images}; }
  std::vector<FeatureShape> shapes() const override { return {{3, 1}}; }
};

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() {
    Registrar registrar(registry_, "/plugins/own.so");
    registrar.schedule<Fixed>("Fixed", "A constant.", {"Constant", "FixedLR"});
    registrar.schedule<Product>("Product", "A product.");
    registrar.schedule<OfContext>("OfContext", "The number of steps.");
    registrar.schedule<OfNothing>("OfNothing", "Seven.");
    registrar.hook<TestHook>("Watcher", "Does nothing.");
    registrar.head<TestHead>("Identity", "Gives the embeddings back.");
    registrar.head<OwnChannels>("OwnChannels", "Has an option called in_channels.");
    registrar.decode_head<TestDecodeHead>("Last", "The last feature map.");
    registrar.backbone<TestBackbone>("Pixels", "The images themselves.");
  }

  // The value of the only key of a text.
  static Node node(const std::string& yaml) {
    return parse_config(yaml, "c.yaml").entries.front().value;
  }
  template <typename I = Schedule>
  std::shared_ptr<I> build(const std::string& yaml) const {
    return registry_.build<I>(node(yaml), context_);
  }
  template <typename I = Schedule>
  std::string refusal(const std::string& yaml) const {
    return message_of<ConfigError>([&] { build<I>(yaml); });
  }
  double value(const std::string& yaml) const { return build(yaml)->factor(0); }
  Node resolve(const std::string& yaml) const {
    return registry_.resolve(Kind::kSchedule, node(yaml));
  }

  Registry registry_;
  Context context_;
};

TEST(Kinds, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const auto kind : kAllKinds) names.insert(kind_name(kind));
  EXPECT_EQ(names, (std::set<std::string>{"backbone", "decode_head", "head", "loss", "dataset",
                                          "transform", "batch_transform", "metric", "optimizer",
                                          "schedule", "hook"}));
}

// ---- names --------------------------------------------------------------------------------------

TEST_F(RegistryTest, FindsAComponentByNameAndAlias) {
  const auto* component = registry_.find(Kind::kSchedule, "Fixed");
  ASSERT_NE(component, nullptr);
  EXPECT_EQ(component->kind, Kind::kSchedule);
  EXPECT_EQ(component->name, "Fixed");
  EXPECT_EQ(component->summary, "A constant.");
  EXPECT_EQ(component->plugin, "/plugins/own.so");
  EXPECT_EQ(registry_.find(Kind::kSchedule, "FixedLR"), component);
  EXPECT_EQ(registry_.find(Kind::kSchedule, "fixed"), nullptr);
  EXPECT_EQ(registry_.find(Kind::kHook, "Fixed"), nullptr);
  EXPECT_EQ(registry_.find(Kind::kMetric, "Fixed"), nullptr);
}

TEST_F(RegistryTest, ListsAKindByName) {
  std::vector<std::string> names;
  for (const auto* component : registry_.list(Kind::kSchedule)) names.push_back(component->name);
  EXPECT_EQ(names, (std::vector<std::string>{"Fixed", "OfContext", "OfNothing", "Product"}));
  EXPECT_TRUE(registry_.list(Kind::kMetric).empty());
}

TEST_F(RegistryTest, OneNameMayBeUsedInTwoKinds) {
  Registrar registrar(registry_, "other.so");
  registrar.hook<TestHook>("Fixed", "Another kind.");
  EXPECT_EQ(registry_.find(Kind::kHook, "Fixed")->plugin, "other.so");
  EXPECT_EQ(registry_.find(Kind::kSchedule, "Fixed")->plugin, "/plugins/own.so");
}

TEST_F(RegistryTest, RefusesANameThatIsTakenAndNamesBothFiles) {
  Registrar registrar(registry_, "/plugins/other.so");
  const auto refused = [&](const std::string& name, const Registrar::Names& aliases) {
    return message_of<PluginError>(
        [&] { registrar.schedule<OfNothing>(name, "Another.", aliases); });
  };
  const auto taken = [](const std::string& name) {
    return "schedule '" + name + "' of /plugins/other.so is already registered by /plugins/own.so";
  };
  EXPECT_EQ(refused("Fixed", {}), taken("Fixed"));
  EXPECT_EQ(refused("FixedLR", {}), taken("FixedLR"));
  EXPECT_EQ(refused("New", {"Product"}), taken("Product"));
  EXPECT_EQ(refused("New", {"Newer", "Constant"}), taken("Constant"));
  // And nothing of it stays.
  EXPECT_EQ(registry_.find(Kind::kSchedule, "New"), nullptr);
  EXPECT_EQ(registry_.find(Kind::kSchedule, "Newer"), nullptr);
  EXPECT_EQ(registry_.find(Kind::kSchedule, "FixedLR")->name, "Fixed");
}

TEST_F(RegistryTest, ACopyIsATrial) {
  Registry trial = registry_;
  Registrar(trial, "trial.so").schedule<OfNothing>("New", "Another.", {"Newer"});
  EXPECT_NE(trial.find(Kind::kSchedule, "Newer"), nullptr);
  EXPECT_EQ(registry_.find(Kind::kSchedule, "New"), nullptr);
  EXPECT_EQ(registry_.find(Kind::kSchedule, "Newer"), nullptr);
}

TEST_F(RegistryTest, AnUnknownNameIsRefusedWithTheNearest) {
  EXPECT_EQ(refusal("lr: Fixd\n"),
            "c.yaml:1:5: 'lr' names no schedule: 'Fixd'; did you mean 'Fixed'? (known: Fixed, "
            "OfContext, OfNothing, Product)");
  EXPECT_EQ(
      refusal("lr: {value: 1, type: Magic}\n"),
      "c.yaml:1:22: 'lr.type' names no schedule: 'Magic' (known: Fixed, OfContext, OfNothing, "
      "Product)");
}

TEST_F(RegistryTest, AnUnknownNameMayBeOfAnotherKindOrOfAPluginThatFailed) {
  registry_.add_failure("bad.so", "/plugins/bad.so: was built for another dnc-host");
  EXPECT_EQ(refusal<Hook>("hook: Fixed\n"),
            "c.yaml:1:7: 'hook' names no hook: 'Fixed' (known: Watcher)\n"
            "  'Fixed' is a schedule\n"
            "  plugin bad.so did not load: /plugins/bad.so: was built for another dnc-host");
  EXPECT_EQ(refusal<Loss>("loss: Identity\n"),
            "c.yaml:1:7: 'loss' names no loss: 'Identity'\n"
            "  'Identity' is a head\n"
            "  plugin bad.so did not load: /plugins/bad.so: was built for another dnc-host");
}

// ---- building -----------------------------------------------------------------------------------

TEST_F(RegistryTest, BuildsWithEachOfTheFourConstructors) {
  context_.run.steps = 300;
  EXPECT_EQ(value("lr: {type: Fixed, value: 0.5}\n"), 0.5);
  EXPECT_EQ(value("lr: {type: Product, first: {type: Fixed, value: 3}}\n"), 3);
  EXPECT_EQ(value("lr: {type: OfContext}\n"), 300);
  EXPECT_EQ(value("lr: OfNothing\n"), 7);
}

TEST_F(RegistryTest, BuildsByAliasAndInTheShortForm) {
  EXPECT_EQ(value("lr: {type: FixedLR, factor: 2}\n"), 2);
  EXPECT_EQ(value("lr: Constant\n"), 1);
}

TEST_F(RegistryTest, BuildsComponentsInsideComponents) {
  context_.run.steps = 10;
  EXPECT_EQ(
      value("lr: {type: Product, first: {type: Fixed, value: 3}, rest: [OfNothing, OfContext, "
            "{type: Product}]}\n"),
      3 * 7 * 10);
}

TEST_F(RegistryTest, PointsAtTheKeyThatIsWrong) {
  EXPECT_EQ(
      refusal("lr: {type: Fixed, valve: 1}\n"),
      "c.yaml:1:19: 'lr.valve' is not a known key; did you mean 'value'? (known: value, factor, "
      "steps)");
  EXPECT_EQ(refusal("lr: {type: Fixed, value: 0}\n"),
            "c.yaml:1:26: 'lr.value' must be above 0, not 0");
  EXPECT_EQ(refusal("lr: {type: OfNothing, value: 1}\n"),
            "c.yaml:1:23: 'lr.value' is not a known key");
  EXPECT_EQ(refusal("lr: {type: Product, rest: [OfNothing, {type: Fixed, value: x}]}\n"),
            "c.yaml:1:60: 'lr.rest.1.value' must be a number, not 'x'");
}

TEST_F(RegistryTest, PointsAtTheOptionThatAConstructorRefuses) {
  EXPECT_EQ(refusal("lr: {type: Fixed, value: 200}\n"), "c.yaml:1:26: 'lr.value' is too much");
  EXPECT_EQ(refusal("lr: {type: Fixed, steps: [1, 0]}\n"), "c.yaml:1:30: 'lr.steps.1' is zero");
  EXPECT_EQ(refusal("lr: {type: Fixed, steps: []}\n"), "c.yaml:1:5: 'lr' does not like itself");
  EXPECT_EQ(refusal("lr: {type: Product, first: {type: Fixed, value: 200}}\n"),
            "c.yaml:1:49: 'lr.first.value' is too much");
}

class RefusedOptionTest : public RegistryTest {
 protected:
  RefusedOptionTest() {
    Registrar registrar(registry_, "/plugins/picky.so");
    registrar.schedule<Picky>("Picky", "Refuses what is inside its options.");
    registrar.head<Narrow>("Narrow", "Refuses each width.");
  }
};

TEST_F(RefusedOptionTest, PointsAtTheKeyUnderWhicheverNameItIsGiven) {
  EXPECT_EQ(refusal("lr:\n  type: Fixed\n  factor: 200\n"), "c.yaml:3:11: 'lr.value' is too much");
  EXPECT_EQ(refusal("lr: {type: Picky, range: {lower: 7}}\n"), "c.yaml:1:34: 'lr.limits.low' is 7");
  EXPECT_EQ(refusal("lr: {type: Picky, limits: {low: 7}}\n"), "c.yaml:1:33: 'lr.limits.low' is 7");
  EXPECT_EQ(refusal("lr: {type: Picky, pieces: [{}, {lower: 8}]}\n"),
            "c.yaml:1:40: 'lr.parts.1.low' is 8");
}

TEST_F(RefusedOptionTest, PointsAtTheMapAroundADefault) {
  EXPECT_EQ(refusal("lr: {type: Picky, lowest: 1}\n"), "c.yaml:1:5: 'lr.limits.low' is 0");
  EXPECT_EQ(refusal("lr: {type: Picky, lowest: 1, limits: {high: 3}}\n"),
            "c.yaml:1:38: 'lr.limits.low' is 0");
  EXPECT_EQ(refusal("lr: Picky\n"), "c.yaml:1:5: 'lr.parts' is empty");
}

TEST_F(RefusedOptionTest, PointsAtASizeThatIsRepeated) {
  context_.channels = 64;
  EXPECT_EQ(refusal<Head>("head: {type: Narrow, in_channels: 64}\n"),
            "c.yaml:1:35: 'head.in_channels' is too wide");
  EXPECT_EQ(refusal<Head>("head: {type: Narrow}\n"), "c.yaml:1:7: 'head.in_channels' is too wide");
}

// ---- sizes that the host knows ------------------------------------------------------------------

TEST_F(RegistryTest, ARepeatedSizeMustAgree) {
  context_.classes.names = {"a", "b", "c"};
  context_.channels = 64;
  context_.features = {{32, 4}, {512, 8}};
  EXPECT_NO_THROW(build<Head>("head: {type: Identity, num_classes: 3, in_channels: 64}\n"));
  EXPECT_EQ(refusal<Head>("head: {type: Identity, num_classes: 10}\n"),
            "c.yaml:1:37: 'head.num_classes' is '10', but the data has 3; leave the key out");
  EXPECT_EQ(refusal<Head>("head: {type: Identity, in_channels: 65}\n"),
            "c.yaml:1:37: 'head.in_channels' is '65', but the features have 64; leave the key out");
  EXPECT_EQ(
      refusal<Head>("head: {type: Identity, in_channels: [64]}\n"),
      "c.yaml:1:37: 'head.in_channels' is a list of 1, but the features have 64; leave the key "
      "out");
  EXPECT_NO_THROW(build<DecodeHead>("neck: {type: Last, num_classes: 3, in_channels: 512}\n"));
  EXPECT_EQ(
      refusal<DecodeHead>("neck: {type: Last, in_channels: 32}\n"),
      "c.yaml:1:33: 'neck.in_channels' is '32', but the features have 512; leave the key out");
  EXPECT_NO_THROW(build<Backbone>("body: {type: Pixels, in_channels: 3}\n"));
  EXPECT_EQ(refusal<Backbone>("body: {type: Pixels, in_channels: 4}\n"),
            "c.yaml:1:35: 'body.in_channels' is '4', but the images have 3; leave the key out");
}

TEST_F(RegistryTest, AnOptionOfThatNameBelongsToTheComponent) {
  context_.classes.names = {"a", "b", "c"};
  context_.channels = 64;
  const auto own = [&](const std::string& yaml) {
    return std::dynamic_pointer_cast<OwnChannels>(build<Head>(yaml))->channels;
  };
  EXPECT_EQ(own("head: {type: OwnChannels, in_channels: 9}\n"), 9);
  EXPECT_EQ(own("head: {type: OwnChannels, num_classes: 8}\n"), 8);
}

TEST_F(RegistryTest, OnlyHeadsMayRepeatSizes) {
  EXPECT_EQ(refusal("lr: {type: Fixed, num_classes: 3}\n"),
            "c.yaml:1:19: 'lr.num_classes' is not a known key (known: value, factor, steps)");
}

// ---- resolving ----------------------------------------------------------------------------------

TEST_F(RegistryTest, ResolvesToAllOptionsWithTheirDefaults) {
  EXPECT_EQ(to_json(resolve("lr: FixedLR\n")), R"({"type": "Fixed", "value": 1, "steps": [1, 2]})");
  EXPECT_EQ(to_json(resolve("lr: {type: Product, rest: [{type: Constant, factor: 2}, OfNothing], "
                            "parts: [{high: 3}, {beyond: OfNothing}]}\n")),
            R"({"type": "Product", "first": {"type": "Fixed", "value": 1, "steps": [1, 2]}, )"
            R"("rest": [{"type": "Fixed", "value": 2, "steps": [1, 2]}, {"type": "OfNothing"}], )"
            R"("limits": {"low": 0, "high": null, "beyond": null}, )"
            R"("parts": [{"low": 0, "high": 3, "beyond": null}, )"
            R"({"low": 0, "high": null, "beyond": {"type": "OfNothing"}}]})");
}

TEST_F(RegistryTest, WhatIsResolvedBuildsTheSame) {
  context_.run.steps = 10;
  const auto resolved =
      resolve("lr: {type: Product, first: {type: Fixed, factor: 3}, rest: [OfContext]}\n");
  auto root = Node::make_map();
  root.set("lr", resolved);
  const auto back = parse_config(to_yaml(root), "resolved.yaml");
  EXPECT_EQ(registry_.build<Schedule>(*back.find("lr"), context_)->factor(0), 30);
  EXPECT_EQ(to_json(registry_.resolve(Kind::kSchedule, *back.find("lr"))), to_json(resolved));
}

// Every node below one, by its path.
void collect(const Node& node, std::map<std::string, std::string>& origins) {
  origins[node.path] = node.origin.where();
  for (const auto& item : node.items) {
    if (item.is_map()) collect(item, origins);
  }
  for (const auto& entry : node.entries) collect(entry.value, origins);
}

TEST_F(RegistryTest, ResolvedValuesKnowTheirPathAndWhereTheyWereWritten) {
  std::map<std::string, std::string> origins;
  collect(
      resolve("lr: {type: Product, rest: [{type: Constant, factor: 2}], limits: {low: 1}, parts: "
              "[{high: 3}]}\n"),
      origins);
  EXPECT_EQ(origins, (std::map<std::string, std::string>{{"lr", "c.yaml:1:5"},
                                                         {"lr.type", "c.yaml:1:12"},
                                                         {"lr.first", ""},
                                                         {"lr.first.type", ""},
                                                         {"lr.first.value", ""},
                                                         {"lr.first.steps", ""},
                                                         {"lr.rest", "c.yaml:1:27"},
                                                         {"lr.rest.0", "c.yaml:1:28"},
                                                         {"lr.rest.0.type", "c.yaml:1:35"},
                                                         {"lr.rest.0.value", "c.yaml:1:53"},
                                                         {"lr.rest.0.steps", ""},
                                                         {"lr.limits", "c.yaml:1:66"},
                                                         {"lr.limits.low", "c.yaml:1:72"},
                                                         {"lr.limits.high", ""},
                                                         {"lr.limits.beyond", ""},
                                                         {"lr.parts", "c.yaml:1:83"},
                                                         {"lr.parts.0", "c.yaml:1:84"},
                                                         {"lr.parts.0.low", ""},
                                                         {"lr.parts.0.high", "c.yaml:1:91"},
                                                         {"lr.parts.0.beyond", ""}}));
}

TEST_F(RegistryTest, ResolvingChecksComponentsInsideComponents) {
  const auto refused = [&](const std::string& yaml) {
    return message_of<ConfigError>([&] { resolve(yaml); });
  };
  EXPECT_EQ(refused("lr: {type: Product, first: {type: Fixed, value: -1}}\n"),
            "c.yaml:1:49: 'lr.first.value' must be above 0, not -1");
  EXPECT_EQ(refused("lr: {type: Product, parts: [{beyond: Nobody}]}\n").substr(0, 57),
            "c.yaml:1:38: 'lr.parts.0.beyond' names no schedule: 'Nobo");
}

TEST_F(RegistryTest, ResolvingLeavesRepeatedSizesOut) {
  const auto head = registry_.resolve(
      Kind::kHead, node("head: {type: Identity, num_classes: 3, in_channels: 5}\n"));
  EXPECT_EQ(to_json(head), R"({"type": "Identity"})");
}

}  // namespace
}  // namespace dnc
