#pragma once

#include <torch/nn/module.h>

#include <string>

#include "host/weights/safetensors.h"

namespace dnc {

/// The parameters and buffers of a module and of those inside it, by their dotted names
/// ("backbone.conv1.weight"), in the module's order. They are the module's own tensors, not copies.
TensorMap state_of(const torch::nn::Module& module);

/// Copies `source` into `target`, name by name, in place and without gradients. Strict: both have
/// the same names, and under each the same shape and type; devices may differ. Where anything does
/// not fit, nothing is changed, and a CheckpointError lists all of it: "ORIGIN: does not fit WHAT:
/// missing: ...; unexpected: ...; of another shape: ...; of another type: ...".
void copy_tensors(const TensorMap& source, const TensorMap& target, const std::string& origin,
                  const std::string& what);

/// copy_tensors() into the state of a module. `origin` is the file that the tensors come from.
void load_state(torch::nn::Module& module, const TensorMap& tensors, const std::string& origin);

}  // namespace dnc
