#include "host/program.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include "host/components/components.h"
#include "registry/config.h"

namespace dnc {

Program::Program() {
  Registrar own(registry_, "dnc-host");
  register_components(own);
  plugins_.load_folder(builtin_plugin_folder());
}

Node Program::load(const std::string& config, const std::vector<std::string>& overrides) {
  Node node = load_config(config, overrides);
  for (const auto& plugin : Experiment::plugins_of(node)) plugins_.load_named(plugin);
  return node;
}

std::unique_ptr<Experiment> Program::experiment(const std::string& config,
                                                const std::vector<std::string>& overrides) {
  auto experiment = std::make_unique<Experiment>(registry_, images_, load(config, overrides));
  if (prepare_) prepare_(*experiment);
  return experiment;
}

void apply_machine_options(const ExperimentOptions& options) {
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));
  at::globalContext().setDeterministicCuDNN(options.deterministic);
  at::globalContext().setBenchmarkCuDNN(!options.deterministic);
}

}  // namespace dnc
