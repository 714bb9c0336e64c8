#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "host/commands/commands.h"
#include "host/train/saved_weights.h"
#include "host/weights/key_map.h"
#include "host/weights/weights_file.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

constexpr const char* kOurs = "dnc";

struct ConvertCommand {
  std::string in;
  std::string out;
  std::string names;
  std::vector<std::string> allow;

  int run() const {
    auto weights = read_weights(in);
    const auto known = names.empty() ? "" : rename(weights);
    write_weights(out, weights.tensors);
    std::cout << fmt::format("{} ({}{}) -> {}: {} tensors\n", weights.origin, weights.format, known,
                             out, weights.tensors.size());
    return 0;
  }

  // Gives the tensors the names that are asked for; says what their names were.
  std::string rename(ForeignWeights& weights) const {
    const KeyMaps maps(builtin_keymap_folder());
    check_names(maps);
    std::string known;
    if (const auto* form = maps.recognise(weights.tensors)) {
      known = ", names of " + join(form->names, "/");
      replace(weights, to_ours(weights.tensors, *form, weights.origin));
    }
    if (names == kOurs) return known;
    const auto* form = maps.find(weights.tensors, names);
    if (!form) {
      throw CheckpointError(
          fmt::format("{}: no table has the names of {} for these weights. Leave "
                      "--names out to keep the names that they have.",
                      weights.origin, names));
    }
    replace(weights, from_ours(weights.tensors, *form, weights.origin));
    return known;
  }

  void check_names(const KeyMaps& maps) const {
    auto possible = maps.names();
    possible.insert(possible.begin(), kOurs);
    if (std::find(possible.begin(), possible.end(), names) == possible.end()) {
      throw Error(fmt::format("--names: '{}' is not known{}", names, suggestion(names, possible)));
    }
  }

  void replace(ForeignWeights& weights, RenamedTensors renamed) const {
    std::vector<std::string> lost;
    for (const auto& name : renamed.unknown) {
      const bool allowed = std::any_of(allow.begin(), allow.end(), [&](const auto& pattern) {
        return matches_wildcard(name, pattern);
      });
      if (!allowed) lost.push_back(name);
    }
    if (!lost.empty()) {
      const auto count = lost.size();
      lost.resize(std::min<size_t>(count, 8));
      throw CheckpointError(fmt::format(
          "{}: {} tensors have no name there: {}{}. Leave them out with "
          "--allow PATTERN, e.g. --allow '{}'.",
          weights.origin, count, join(lost), count > lost.size() ? ", ..." : "", lost.front()));
    }
    for (const auto* left_out : {&renamed.unknown, &renamed.dropped}) {
      for (const auto& name : *left_out) std::cout << "left out: " << name << "\n";
    }
    weights.tensors = std::move(renamed.tensors);
  }
};

}  // namespace

void add_convert(CLI::App& app, Action& action) {
  auto command = std::make_shared<ConvertCommand>();
  auto* sub = app.add_subcommand("convert", "Write weights in another format or under other names");
  sub->add_option(
         "in", command->in,
         "A run (its best checkpoint), a checkpoint, or a file: .safetensors, .pth, .pt. Of "
         "a run with train.ema the averaged parameters")
      ->required()
      ->type_name("IN");
  sub->add_option("out", command->out, "A .safetensors or .pth file")->required()->type_name("OUT");
  sub->add_option(
         "--names", command->names,
         "Whose names the tensors get: dnc, torchvision, timm, mmcls, ... (default: as they "
         "are)")
      ->type_name("NAMES");
  sub->add_option(
         "--allow", command->allow,
         "Tensors that may be left out where they have no name there, e.g. 'head.*'; may be "
         "repeated")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  sub->footer(
      example("  dnc-host convert runs/resnet50 resnet50.pth --names torchvision\n"
              "  dnc-host convert swin_tiny.pth swin_tiny.safetensors --names dnc"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
