#pragma once

#include <string>

#include "host/experiment.h"
#include "host/model.h"
#include "host/report/run_record.h"

namespace dnc {

/// What result.json says of any run, however its weights came to be: the config's name, the size of
/// the model, its prototypes, the machine and the date. Steps, times and figures are unknown.
report::RunResult result_of(Model& model, const ExperimentOptions& options, torch::Device device,
                            const std::string& config);

}  // namespace dnc
