#pragma once

#include <string>

#include "host/experiment.h"

namespace dnc {

/// Copies the weights that the config names (load_from, load_part, load_allow) into a new model and
/// says what was done, see start_from_weights(). A last line says so where the head has prototypes
/// that were not among them. Without load_from nothing is done and nothing said. Throws
/// CheckpointError, FileError.
std::string start_model(const Experiment& experiment, Model& model);

}  // namespace dnc
