#pragma once

#include <torch/nn/module.h>

#include <optional>
#include <string>
#include <vector>

#include "registry/fields.h"
#include "registry/optimizer.h"

namespace dnc {

/// Which parameters get another learning rate or weight decay than the optimizer's.
///
/// Patterns are for a parameter's whole dotted name, e.g. "backbone.layer1.*": `*` stands for any
/// characters, dots too, `?` for one, `[abc]` for one of them.
struct ParameterRules {
  struct Rule {
    std::string match;
    double lr_scale = 1;
    std::optional<double> weight_decay;
    void fields(Fields& f);
  };

  /// No weight decay for these: "norm", the parameters of normalization layers; "bias", parameters
  /// that are called bias or ..._bias; or a pattern.
  std::vector<std::string> no_decay;
  /// The first that matches a parameter counts. Its weight decay, where it has one, goes before
  /// no_decay.
  std::vector<Rule> rules;
  void fields(Fields& f);
};

/// The parameters of a model that require a gradient, each once, in groups with the same lr and
/// weight decay; both groups and members are in the model's order.
///
/// Throws OptionError ("rules.N.match" or "no_decay.N") for a pattern that matches no parameter at
/// all, not even a frozen one: it is a typing error, or was written for another model.
std::vector<ParameterGroup> make_parameter_groups(const torch::nn::Module& model,
                                                  const ParameterRules& rules);

}  // namespace dnc
