#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/data/image_decoder.h"
#include "host/experiment.h"
#include "host/plugin_loader.h"
#include "registry/node.h"
#include "registry/registry.h"

namespace dnc {

/// What every command starts from: the registry with the host's own components and those of the
/// plugins beside the program, and the image decoder.
class Program {
 public:
  /// Loads the plugins beside the program. One that fails is noted, not fatal.
  Program();

  Registry& registry() { return registry_; }
  PluginLoader& plugins() { return plugins_; }
  const ImageReader& images() const { return images_; }

  /// Reads a config with overrides and loads the plugins it names. Throws ConfigError, PluginError.
  Node load(const std::string& config, const std::vector<std::string>& overrides);
  /// The same, checked whole.
  std::unique_ptr<Experiment> experiment(const std::string& config,
                                         const std::vector<std::string>& overrides);
  /// From now on `prepare` is called with each experiment before anything of it is built.
  void prepare_experiments(std::function<void(Experiment&)> prepare) {
    prepare_ = std::move(prepare);
  }

 private:
  Registry registry_;
  PluginLoader plugins_{registry_};
  ImageDecoder images_;
  std::function<void(Experiment&)> prepare_;
};

/// `threads` and `deterministic` of a config, for this process.
void apply_machine_options(const ExperimentOptions& options);

}  // namespace dnc
