#include "host/train/parameter_groups.h"

#include <fnmatch.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/instancenorm.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

struct NamedParameter {
  std::string name;
  torch::Tensor tensor;
  bool in_norm = false;
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// LibTorch's normalization layers, what derives from them, and layers of a plugin's own whose
/// class is called so: RmsNormImpl, SyncBatchNorm2d.
bool is_norm(const torch::nn::Module& module) {
  if (module.as<torch::nn::BatchNorm1d>() || module.as<torch::nn::BatchNorm2d>() ||
      module.as<torch::nn::BatchNorm3d>() || module.as<torch::nn::InstanceNorm1d>() ||
      module.as<torch::nn::InstanceNorm2d>() || module.as<torch::nn::InstanceNorm3d>() ||
      module.as<torch::nn::LayerNorm>() || module.as<torch::nn::GroupNorm>()) {
    return true;
  }
  std::string name = module.name();
  if (ends_with(name, "Impl")) name.resize(name.size() - 4);
  return ends_with(name, "Norm") || ends_with(name, "Norm1d") || ends_with(name, "Norm2d") ||
         ends_with(name, "Norm3d");
}

/// All parameters in the order of named_parameters(), a shared one by its first name.
std::vector<NamedParameter> parameters_of(const torch::nn::Module& model) {
  std::unordered_set<const c10::TensorImpl*> in_norm;
  const auto note = [&in_norm](const torch::nn::Module& module) {
    if (!is_norm(module)) return;
    for (const auto& parameter : module.parameters(/*recurse=*/false)) {
      in_norm.insert(parameter.unsafeGetTensorImpl());
    }
  };
  note(model);
  for (const auto& module : model.modules(/*include_self=*/false)) note(*module);

  std::vector<NamedParameter> parameters;
  std::unordered_set<const c10::TensorImpl*> seen;
  for (const auto& item : model.named_parameters()) {
    const auto* const identity = item.value().unsafeGetTensorImpl();
    if (!seen.insert(identity).second) continue;
    parameters.push_back({item.key(), item.value(), in_norm.count(identity) != 0});
  }
  return parameters;
}

bool matches(const std::string& pattern, const std::string& name) {
  return fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

/// Every dotted beginning of every name: "backbone", "backbone.conv1", "backbone.conv1.weight".
std::vector<std::string> prefixes_of(const std::vector<NamedParameter>& parameters) {
  std::vector<std::string> prefixes;
  std::unordered_set<std::string> seen;
  for (const auto& parameter : parameters) {
    for (size_t dot = 0; dot != std::string::npos;) {
      dot = parameter.name.find('.', dot + 1);
      const auto prefix = parameter.name.substr(0, dot);
      if (seen.insert(prefix).second) prefixes.push_back(prefix);
    }
  }
  return prefixes;
}

void check_matches(const std::string& option, const std::string& pattern,
                   const std::vector<NamedParameter>& parameters) {
  for (const auto& parameter : parameters) {
    if (matches(pattern, parameter.name)) return;
  }
  // "bakcbone.*" is compared with "backbone", "*.relpos" with nothing but whole names.
  const bool is_prefix = ends_with(pattern, ".*");
  const auto stem = is_prefix ? pattern.substr(0, pattern.size() - 2) : pattern;
  const auto prefixes = prefixes_of(parameters);
  const auto near = nearest(stem, prefixes);
  std::string text = "'" + pattern + "' matches no parameter";
  if (near) {
    const bool whole = std::any_of(parameters.begin(), parameters.end(),
                                   [&](const auto& parameter) { return parameter.name == *near; });
    text += "; did you mean '" + *near + (whole ? "'?" : ".*'?");
  }
  std::vector<std::string> roots;
  std::copy_if(prefixes.begin(), prefixes.end(), std::back_inserter(roots),
               [](const auto& prefix) { return prefix.find('.') == std::string::npos; });
  throw OptionError(option, text + " (names of parameters begin with: " + join(roots) + ")");
}

bool is_bias(const std::string& name) {
  const auto own = name.substr(name.rfind('.') + 1);
  return own == "bias" || ends_with(own, "_bias");
}

bool without_decay(const NamedParameter& parameter, const std::vector<std::string>& no_decay) {
  return std::any_of(no_decay.begin(), no_decay.end(), [&](const std::string& which) {
    if (which == "norm") return parameter.in_norm;
    if (which == "bias") return is_bias(parameter.name);
    return matches(which, parameter.name);
  });
}

}  // namespace

void ParameterRules::Rule::fields(Fields& f) {
  f("match", match, "Pattern for dotted names of parameters, e.g. \"backbone.*\".").required();
  f("lr_scale", lr_scale, "Factor on the lr.").at_least(0).alias("lr_mult");
  f("weight_decay", weight_decay, "Instead of the optimizer's.").at_least(0);
}

void ParameterRules::fields(Fields& f) {
  f("no_decay", no_decay, "No weight decay for: norm, bias, or patterns of dotted names.");
  f.list("rules", rules, "Other lr or weight decay; the first that matches a parameter counts.");
}

std::vector<ParameterGroup> make_parameter_groups(const torch::nn::Module& model,
                                                  const ParameterRules& rules) {
  const auto parameters = parameters_of(model);
  for (size_t i = 0; i < rules.rules.size(); ++i) {
    check_matches("rules." + std::to_string(i) + ".match", rules.rules[i].match, parameters);
  }
  for (size_t i = 0; i < rules.no_decay.size(); ++i) {
    const auto& which = rules.no_decay[i];
    // These two say what is meant, whether or not a model has any.
    if (which == "norm" || which == "bias") continue;
    check_matches("no_decay." + std::to_string(i), which, parameters);
  }

  std::vector<ParameterGroup> groups;
  for (const auto& parameter : parameters) {
    if (!parameter.tensor.requires_grad()) continue;
    const auto rule = std::find_if(rules.rules.begin(), rules.rules.end(),
                                   [&](const auto& r) { return matches(r.match, parameter.name); });
    double lr_scale = 1;
    std::optional<double> weight_decay;
    if (without_decay(parameter, rules.no_decay)) weight_decay = 0;
    if (rule != rules.rules.end()) {
      lr_scale = rule->lr_scale;
      if (rule->weight_decay) weight_decay = rule->weight_decay;
    }
    auto group = std::find_if(groups.begin(), groups.end(), [&](const ParameterGroup& g) {
      return g.lr_scale == lr_scale && g.weight_decay == weight_decay;
    });
    if (group == groups.end()) {
      group = groups.insert(group, ParameterGroup{{}, {}, lr_scale, weight_decay});
    }
    group->names.push_back(parameter.name);
    group->parameters.push_back(parameter.tensor);
  }
  return groups;
}

}  // namespace dnc
