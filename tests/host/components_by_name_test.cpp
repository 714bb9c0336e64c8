#include "host/components_by_name.h"

#include <gtest/gtest.h>

#include "host/components/components.h"
#include "registry/error.h"
#include "registry/hook.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

struct Watcher : Hook {};

class ComponentsByName : public testing::Test {
 protected:
  ComponentsByName() {
    Registrar registrar(registry_, "test");
    register_components(registrar);
    registrar.hook<Watcher>("Cosine", "A name of two kinds.");
  }
  std::string refusal(const std::string& name, const std::string& kind) const {
    return message_of<ConfigError>([&] { components_called(registry_, name, kind); });
  }

  Registry registry_;
};

TEST_F(ComponentsByName, KindsAreKnownByTheirNames) {
  for (const auto kind : kAllKinds) EXPECT_EQ(kind_from(kind_name(kind)), kind);
  EXPECT_EQ(message_of<ConfigError>([] { kind_from("heads"); }),
            "there is no kind of component 'heads'; did you mean 'head'? (known: backbone, "
            "decode_head, head, loss, dataset, transform, batch_transform, metric, optimizer, "
            "schedule, hook)");
}

TEST_F(ComponentsByName, ANameMayBelongToSeveralKinds) {
  const auto found = components_called(registry_, "Cosine", "");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0]->kind, Kind::kSchedule);
  EXPECT_EQ(found[1]->kind, Kind::kHook);
  ASSERT_EQ(components_called(registry_, "Cosine", "hook").size(), 1u);
}

TEST_F(ComponentsByName, AnAliasFindsItsComponent) {
  EXPECT_EQ(components_called(registry_, "StepLR", "").at(0)->name, "Step");
}

TEST_F(ComponentsByName, AnUnknownNameIsRefusedWithTheNearest) {
  EXPECT_EQ(refusal("SDG", "optimizer"),
            "there is no component 'SDG'; did you mean 'SGD'? (known: Adam, AdamW, LAMB, SGD)");
  EXPECT_EQ(refusal("Cosine", "optimizer"),
            "there is no component 'Cosine' (known: Adam, AdamW, LAMB, SGD)");
  EXPECT_EQ(refusal("Cosine", "nothing").substr(0, 39), "there is no kind of component 'nothing'");
}

}  // namespace
}  // namespace dnc
