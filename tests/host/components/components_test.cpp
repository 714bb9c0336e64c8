#include "host/components/components.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "registry/plugin.h"

namespace dnc {
namespace {

class HostComponents : public testing::Test {
 protected:
  HostComponents() {
    Registrar registrar(registry_, "dnc-host");
    register_components(registrar);
    context_.registry = &registry_;
    context_.classes.names = {"a", "b", "c"};
    context_.run.steps = 60;
    context_.run.steps_per_epoch = 6;
  }

  static Node node(const std::string& type) {
    auto map = Node::make_map();
    map.set("type", Node::make_scalar(type));
    return map;
  }

  Registry registry_;
  Context context_;
};

TEST_F(HostComponents, AreFoundByNameAndByTheirOpenMmLabNames) {
  const std::map<std::string, std::pair<Kind, std::string>> aliases = {
      {"CrossEntropyLoss", {Kind::kLoss, "CrossEntropy"}},
      {"Accuracy", {Kind::kMetric, "Accuracy"}},
      {"ClassReport", {Kind::kMetric, "ClassReport"}},
      {"Confusion", {Kind::kMetric, "Confusion"}},
      {"SGD", {Kind::kOptimizer, "SGD"}},
      {"Adam", {Kind::kOptimizer, "Adam"}},
      {"AdamW", {Kind::kOptimizer, "AdamW"}},
      {"Lamb", {Kind::kOptimizer, "LAMB"}},
      {"Constant", {Kind::kSchedule, "Constant"}},
      {"StepLR", {Kind::kSchedule, "Step"}},
      {"MultiStepLR", {Kind::kSchedule, "MultiStep"}},
      {"CosineAnnealing", {Kind::kSchedule, "Cosine"}},
      {"PolyLR", {Kind::kSchedule, "Poly"}},
      {"OneCycleLR", {Kind::kSchedule, "OneCycle"}},
      {"Exp", {Kind::kSchedule, "Exponential"}}};
  for (const auto& [alias, target] : aliases) {
    const auto* component = registry_.find(target.first, alias);
    ASSERT_NE(component, nullptr) << alias;
    EXPECT_EQ(component->name, target.second);
  }
}

TEST_F(HostComponents, HaveASentenceForThemselvesAndForEachOption) {
  int options = 0;
  for (const auto kind : kAllKinds) {
    for (const auto* component : registry_.list(kind)) {
      EXPECT_TRUE(component->summary.ends_with(".")) << component->name;
      component->with_fields([&](Fields& fields) {
        for (const auto& field : fields.all()) {
          ++options;
          EXPECT_TRUE(field.doc.ends_with(".")) << component->name << "." << field.name;
        }
      });
    }
  }
  EXPECT_GT(options, 25);
}

TEST_F(HostComponents, AreBuiltWithTheirDefaults) {
  int built = 0;
  for (const auto kind : {Kind::kLoss, Kind::kMetric, Kind::kOptimizer, Kind::kSchedule}) {
    for (const auto* component : registry_.list(kind)) {
      auto options = node(component->name);
      if (component->name == "MultiStep") options.set("milestones", Node::make_scalar("3"));
      EXPECT_NE(component->build(options, context_), nullptr) << component->name;
      ++built;
    }
  }
  EXPECT_EQ(built, 22);
}

TEST_F(HostComponents, ReadOptionsUnderTheirOwnNames) {
  auto options = node("CosineAnnealing");
  options.set("min_lr_ratio", Node::make_scalar("0.25"));
  options.set("by", Node::make_scalar("epoch"));
  const auto schedule = registry_.build<Schedule>(options, context_);
  EXPECT_EQ(schedule->factor(5), 1);
  EXPECT_DOUBLE_EQ(schedule->factor(60), 0.25);

  options = node("AdamW");
  options.set("lr", Node::make_scalar("0.125"));
  EXPECT_EQ(registry_.build<Optimizer>(options, context_)->base_lr(), 0.125);
}

TEST_F(HostComponents, PointAtTheOptionThatAConstructorRefuses) {
  auto options = node("CrossEntropy");
  auto weights = Node::make_list();
  weights.items.push_back(Node::make_scalar("1"));
  options.set("class_weights", weights);
  options.origin = {"config.yaml", 3, 5};
  options.find("class_weights")->origin = {"config.yaml", 4, 9};
  try {
    registry_.build<Loss>(options, context_);
    FAIL() << "did not throw";
  } catch (const ConfigError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("config.yaml:4:9: ")) << error.what();
    EXPECT_TRUE(
        std::string(error.what()).ends_with("needs one number for each of the 3 classes, not 1"))
        << error.what();
  }
}

}  // namespace
}  // namespace dnc
