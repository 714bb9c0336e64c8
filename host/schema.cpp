#include "host/schema.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/experiment.h"
#include "registry/config.h"

namespace dnc {
namespace {

using Json = nlohmann::ordered_json;

Json schema_of(const Fields& fields);

// A value may always be a reference, "${a.b}", which is resolved before it is read.
Json or_reference(Json schema) {
  return {{"anyOf", Json::array({std::move(schema), {{"type", "string"}, {"pattern", "\\$\\{"}}})}};
}

struct TypeSchema {
  const Field& field;

  Json number(const char* type) const {
    Json json = {{"type", type}};
    if (std::isfinite(field.low)) json[field.low_open ? "exclusiveMinimum" : "minimum"] = field.low;
    if (std::isfinite(field.high)) {
      json[field.high_open ? "exclusiveMaximum" : "maximum"] = field.high;
    }
    return or_reference(json);
  }
  Json operator()(bool*) const { return or_reference({{"type", "boolean"}}); }
  Json operator()(int64_t*) const { return number("integer"); }
  Json operator()(double*) const { return number("number"); }
  Json operator()(std::string*) const { return {{"type", Json::array({"string", "number"})}}; }
  Json operator()(Path*) const { return {{"type", "string"}}; }
  template <typename T>
  Json operator()(std::optional<T>*) const {
    return {{"anyOf", Json::array({(*this)(static_cast<T*>(nullptr)), {{"type", "null"}}})}};
  }
  template <typename T>
  Json operator()(std::vector<T>*) const {
    const Json item = (*this)(static_cast<T*>(nullptr));
    return {{"anyOf", Json::array({item, {{"type", "array"}, {"items", item}}})}};
  }
  Json operator()(const Field::Choice& choice) const {
    return or_reference({{"enum", choice.names}});
  }
  Json operator()(const Field::Group& group) const { return schema_of(*group.fields); }
  Json operator()(const Field::List& list) const {
    return or_reference({{"type", "array"}, {"items", schema_of(*list.sample)}});
  }
  Json operator()(const Field::Components& components) const {
    const Json one = {{"$ref", "#/definitions/" + components.kind}};
    if (!components.list) return {{"allOf", Json::array({one})}};  // a $ref has no siblings
    return {{"anyOf", Json::array({one, {{"type", "array"}, {"items", one}}})}};
  }
};

Json schema_of(const Fields& fields) {
  Json properties = Json::object();
  for (const auto& field : fields.all()) {
    Json schema = std::visit(TypeSchema{field}, field.target);
    schema["description"] = field.doc;
    for (const auto& alias : field.aliases) {
      Json other = schema;
      other["description"] = "Another name of " + field.name + ". " + field.doc;
      properties[alias] = other;
    }
    properties[field.name] = std::move(schema);
  }
  properties["_delete_"] = {{"type", "boolean"}, {"description", "Drop what a base says here."}};
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

Json schema_of(const Registry& registry, Kind kind) {
  Json names = Json::array();
  Json alternatives = Json::array();
  for (const auto* component : registry.list(kind)) {
    Json own = {component->name};
    for (const auto& alias : component->aliases) own.push_back(alias);
    for (const auto& name : own) names.push_back(name);
    component->with_fields([&](Fields& fields) {
      Json then = schema_of(fields);
      then["properties"]["type"] = {{"enum", own}, {"description", component->summary}};
      for (const auto& key : detail::repeatable_keys(kind)) {
        if (!then["properties"].contains(key)) then["properties"][key] = {{"type", "integer"}};
      }
      alternatives.push_back(
          {{"if", {{"properties", {{"type", {{"enum", own}}}}}, {"required", {"type"}}}},
           {"then", then}});
    });
  }
  const Json map = {
      {"type", "object"}, {"properties", {{"type", {{"enum", names}}}}}, {"allOf", alternatives}};
  return {{"anyOf", Json::array({{{"enum", names}}, map})}};
}

}  // namespace

std::string config_schema(const Registry& registry) {
  ExperimentOptions options;
  Fields fields;
  options.fields(fields);
  Json schema = schema_of(fields);
  schema["properties"]["base"] = {
      {"anyOf",
       Json::array({{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}})},
      {"description", "Files that this one builds on, relative to it."}};
  schema["properties"]["_base_"] = schema["properties"]["base"];
  Json defs = Json::object();
  for (const auto kind : kAllKinds) defs[kind_name(kind)] = schema_of(registry, kind);
  Json whole = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                {"title", "dnc-host config"}};
  whole.update(schema);
  whole["definitions"] = defs;
  return whole.dump(1) + "\n";
}

}  // namespace dnc
