#include "host/commands/commands.h"

#include <filesystem>

#include "host/run.h"

namespace dnc {

void add_overrides(CLI::App& command, std::vector<std::string>& overrides) {
  command
      .add_option("--set,--cfg-options", overrides,
                  "Change a key of the config, e.g. --set optimizer.lr=0.05; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void add_model_source(CLI::App& command, ModelSource& source) {
  command
      .add_option("model", source.path,
                  "Folder of a run or of one of its checkpoints; or a config, with --weights")
      ->required()
      ->type_name("RUN|CONFIG");
  command
      .add_option("--checkpoint", source.checkpoint,
                  "Of a run: best, newest, or a name like step_00000391")
      ->capture_default_str();
  command
      .add_option(
          "--weights", source.weights,
          "Of a config, in place of its load_from: a run, or a file of PyTorch, torchvision, "
          "timm, mmcls, ...")
      ->type_name("FILE");
  command
      .add_option("--classes", source.classes,
                  "Of a config whose data is not at hand: the class names, one a line, or a run's "
                  "classes.json")
      ->type_name("FILE");
  add_overrides(command, source.overrides);
}

std::string example(const std::string& lines) { return "Example:\n" + lines; }

std::string program_file() { return std::filesystem::canonical("/proc/self/exe").string(); }

}  // namespace dnc
