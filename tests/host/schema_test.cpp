#include "host/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/components/components.h"
#include "host/plugin_loader.h"
#include "registry/config.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Judges a value by as much of JSON Schema (draft 7) as the host uses; any other keyword is an
// error of the test.
class Validator {
 public:
  explicit Validator(Json root) : root_(std::move(root)) {}

  const Json& root() const { return root_; }
  bool accepts(const Json& value) const { return accepts(root_, value); }

 private:
  bool accepts(const Json& schema, const Json& value) const {
    return std::all_of(schema.items().begin(), schema.items().end(), [&](const auto& item) {
      return accepts(schema, item.key(), item.value(), value);
    });
  }

  bool accepts(const Json& schema, const std::string& keyword, const Json& rule,
               const Json& value) const {
    const auto accepted = [&](const Json& one) { return accepts(one, value); };
    if (keyword == "$ref")
      return accepts(root_["definitions"].at(rule.get<std::string>().substr(14)), value);
    if (keyword == "anyOf") return std::any_of(rule.begin(), rule.end(), accepted);
    if (keyword == "allOf") return std::all_of(rule.begin(), rule.end(), accepted);
    if (keyword == "if") return !accepted(rule) || accepted(schema.at("then"));
    if (keyword == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (keyword == "type") return is_a(rule, value);
    if (keyword == "pattern") {
      return !value.is_string() ||
             std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()));
    }
    if (keyword == "minimum") return !value.is_number() || value >= rule;
    if (keyword == "maximum") return !value.is_number() || value <= rule;
    if (keyword == "exclusiveMinimum") return !value.is_number() || value > rule;
    if (keyword == "exclusiveMaximum") return !value.is_number() || value < rule;
    if (keyword == "required") {
      return !value.is_object() || std::all_of(rule.begin(), rule.end(), [&](const Json& key) {
        return value.contains(key.get<std::string>());
      });
    }
    if (keyword == "items") {
      return !value.is_array() || std::all_of(value.begin(), value.end(), [&](const Json& item) {
        return accepts(rule, item);
      });
    }
    if (keyword == "properties" || keyword == "additionalProperties") {
      return properties(schema, value);
    }
    for (const char* other : {"then", "description", "title", "$schema", "definitions"}) {
      if (keyword == other) return true;
    }
    throw std::runtime_error("the test does not know the keyword " + keyword);
  }

  bool properties(const Json& schema, const Json& value) const {
    if (!value.is_object()) return true;
    const auto& known = schema.at("properties");
    for (const auto& [key, inner] : value.items()) {
      if (!known.contains(key)) {
        if (schema.contains("additionalProperties")) return false;
      } else if (!accepts(known.at(key), inner)) {
        return false;
      }
    }
    return true;
  }

  static bool is_a(const Json& type, const Json& value) {
    if (type.is_array()) {
      return std::any_of(type.begin(), type.end(),
                         [&](const Json& one) { return is_a(one, value); });
    }
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "number") return value.is_number();
    if (type == "integer") return value.is_number_integer();
    throw std::runtime_error("the test does not know the type " + type.dump());
  }

  Json root_;
};

std::vector<fs::path> config_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(DNC_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  EXPECT_GE(files.size(), 100u);
  return files;
}

class SchemaTest : public testing::Test {
 protected:
  // The schema with all the plugins that come with the program.
  static const Validator& schema() {
    static const Validator validator = [] {
      Registry registry;
      Registrar own(registry, "dnc-host");
      register_components(own);
      PluginLoader(registry).load_folder(DNC_PLUGIN_DIR);
      return Validator(Json::parse(config_schema(registry)));
    }();
    return validator;
  }
  static bool accepts(const std::string& yaml) {
    return schema().accepts(Json::parse(to_json(parse_config(yaml, "c.yaml"))));
  }
};

TEST_F(SchemaTest, SaysWhatItIs) {
  EXPECT_EQ(schema().root().at("$schema"), "http://json-schema.org/draft-07/schema#");
  EXPECT_EQ(schema().root().at("type"), "object");
}

TEST_F(SchemaTest, AcceptsEveryConfigThatIsShipped) {
  for (const auto& file : config_files()) {
    const auto json = to_json(load_config(file.string()));
    EXPECT_TRUE(schema().accepts(Json::parse(json))) << file << "\n" << json;
  }
}

// As an editor sees it: without its bases, and with its references.
TEST_F(SchemaTest, AcceptsEveryFileOfAConfigByItself) {
  for (const auto& file : config_files()) {
    std::ifstream lines(file);
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("base:")) text += line + "\n";
    }
    const auto json = to_json(parse_config(text, file.string()));
    EXPECT_TRUE(schema().accepts(Json::parse(json))) << file << "\n" << json;
  }
}

TEST_F(SchemaTest, EveryConfigNamesItForEditors) {
  const auto schema = fs::path(DNC_SOURCE_DIR) / "configs" / "dnc-host.schema.json";
  const std::string begin = "# yaml-language-server: $schema=";
  for (const auto& file : config_files()) {
    std::ifstream lines(file);
    std::string first;
    std::getline(lines, first);
    ASSERT_TRUE(first.starts_with(begin)) << file << ": the first line names the schema, as in "
                                          << "configs/base/sgd_cosine.yaml";
    const auto named = file.parent_path() / first.substr(begin.size());
    EXPECT_EQ(named.lexically_normal(), schema.lexically_normal()) << file;
  }
}

TEST_F(SchemaTest, KnowsBases) {
  for (const char* json : {R"({"base": "a.yaml"})", R"({"base": ["a.yaml", "b.yaml"]})",
                           R"({"_base_": ["a.yaml"]})"}) {
    EXPECT_TRUE(schema().accepts(Json::parse(json))) << json;
  }
  EXPECT_FALSE(schema().accepts(Json::parse(R"({"base": {"file": "a.yaml"}})")));
  EXPECT_TRUE(schema().accepts(Json::parse(R"({"model": {"_delete_": true}})")));
}

TEST_F(SchemaTest, RefusesKeysThatNobodyKnows) {
  EXPECT_TRUE(accepts("seed: 1\n"));
  EXPECT_FALSE(accepts("sede: 1\n"));
  EXPECT_FALSE(accepts("train: {epoch: 1}\n"));
  EXPECT_FALSE(accepts("train: {type: EpochBased}\n"));
  EXPECT_FALSE(accepts("model: {head: {type: DNC, sub_centroid: 4}}\n"));
}

TEST_F(SchemaTest, RefusesWrongTypesAndBounds) {
  EXPECT_TRUE(accepts("data: {batch_size: 1}\n"));
  EXPECT_FALSE(accepts("data: {batch_size: 0}\n"));
  EXPECT_FALSE(accepts("data: {batch_size: 1.5}\n"));
  EXPECT_FALSE(accepts("data: {batch_size: many}\n"));
  EXPECT_FALSE(accepts("data: {batch_size: [1]}\n"));
  EXPECT_TRUE(accepts("train: {epochs: 0.5}\n"));
  EXPECT_TRUE(accepts("train: {epochs: null}\n"));
  EXPECT_FALSE(accepts("train: {epochs: 0}\n"));
  EXPECT_FALSE(accepts("train: {ema: sometimes}\n"));
  EXPECT_TRUE(accepts("train: {precision: bfloat16}\n"));
  EXPECT_FALSE(accepts("train: {precision: half}\n"));
  EXPECT_TRUE(accepts("model: {preprocess: {mean: [1, 2, 3.5]}}\n"));
  EXPECT_FALSE(accepts("model: {preprocess: {mean: [1, x, 3]}}\n"));
}

TEST_F(SchemaTest, KnowsComponentsWithTheirOptions) {
  EXPECT_TRUE(accepts("model: {head: DNC}\n"));
  EXPECT_TRUE(accepts("model: {head: {type: DNC, sub_centroids: 4}}\n"));
  EXPECT_FALSE(accepts("model: {head: {type: DNC, sub_centroids: 0}}\n"));
  EXPECT_FALSE(accepts("model: {head: Magic}\n"));
  EXPECT_FALSE(accepts("model: {head: {type: Magic}}\n"));
  // An option of another head.
  EXPECT_FALSE(accepts("model: {head: {type: Linear, sub_centroids: 4}}\n"));
  // A part of what a base says: the type is not known here.
  EXPECT_TRUE(accepts("model: {head: {sub_centroids: 4}}\n"));
  EXPECT_TRUE(accepts("model: {losses: CrossEntropy}\n"));
  EXPECT_TRUE(accepts("model: {losses: [CrossEntropy, {type: CrossEntropy}]}\n"));
  EXPECT_FALSE(accepts("model: {losses: [CrossEntropy, {type: Magic}]}\n"));
  EXPECT_TRUE(
      accepts("data: {train: {batch_transforms: {type: RandomChoice, transforms: Mixup}}}\n"));
  EXPECT_FALSE(accepts("data: {train: {batch_transforms: [{type: Mixup, alpha: 0}]}}\n"));
  EXPECT_FALSE(accepts("data: {test: {batch_transforms: Mixup}}\n"));
}

TEST_F(SchemaTest, KnowsOtherNames) {
  EXPECT_TRUE(accepts("model: {neck: GlobalAveragePooling, loss: CrossEntropyLoss}\n"));
  EXPECT_TRUE(accepts("model: {head: {type: LinearClsHead}}\n"));
}

TEST_F(SchemaTest, KnowsSizesThatAConfigMayRepeat) {
  EXPECT_TRUE(accepts("model: {head: {type: DNC, num_classes: 10, in_channels: 64}}\n"));
  EXPECT_FALSE(accepts("model: {head: {type: DNC, num_classes: ten}}\n"));
  EXPECT_FALSE(accepts("model: {backbone: {type: ResNetCifar, num_classes: 10}}\n"));
}

TEST_F(SchemaTest, AcceptsAReferenceForAnyValue) {
  for (const char* json :
       {R"({"data": {"batch_size": "${data.eval_batch_size}"}})", R"({"train": {"ema": "${a.b}"}})",
        R"({"train": {"precision": "${a.b}", "epochs": "${a.b}"}})",
        R"({"model": {"preprocess": {"mean": ["${a.b}", 1, 2], "std": "${a.b}"}}})",
        R"({"device": "${env:DEVICE:cpu}"})"}) {
    EXPECT_TRUE(schema().accepts(Json::parse(json))) << json;
  }
}

// Collects the places of properties without a description.
void undocumented(const Json& schema, const std::string& place, std::vector<std::string>& found) {
  if (schema.is_array()) {
    for (size_t i = 0; i < schema.size(); ++i) {
      undocumented(schema[i], place + "/" + std::to_string(i), found);
    }
  }
  if (!schema.is_object()) return;
  // The condition of an `if` describes nothing; what follows does.
  const bool describes = schema.contains("additionalProperties");
  for (const auto& [key, inner] : schema.items()) {
    if (key == "properties" && describes) {
      for (const auto& [name, property] : inner.items()) {
        const bool repeated = name == "num_classes" || name == "in_channels";
        if (!repeated && property.value("description", "").empty())
          found.push_back(place + "." + name);
      }
    }
    undocumented(inner, place + "/" + key, found);
  }
}

TEST_F(SchemaTest, DescribesEveryKey) {
  std::vector<std::string> found;
  undocumented(schema().root(), "", found);
  EXPECT_THAT(found, testing::IsEmpty());
}

TEST_F(SchemaTest, ListsEveryComponentOfEveryKind) {
  Registry registry;
  Registrar own(registry, "dnc-host");
  register_components(own);
  const auto schema = Json::parse(config_schema(registry));
  for (const auto kind : kAllKinds) {
    const auto& names = schema.at("definitions").at(kind_name(kind)).at("anyOf").at(0).at("enum");
    size_t known = 0;
    for (const auto* component : registry.list(kind)) {
      EXPECT_NE(std::find(names.begin(), names.end(), component->name), names.end());
      known += 1 + component->aliases.size();
    }
    EXPECT_EQ(names.size(), known);
  }
}

}  // namespace
}  // namespace dnc
