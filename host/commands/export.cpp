#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/export/torch_script.h"
#include "host/files.h"
#include "host/run.h"
#include "registry/config.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// The size that an image has after transforms.
PixelSize size_after(const std::vector<std::shared_ptr<const Transform>>& transforms) {
  Sample sample;
  sample.image = Image(256, 256, 3);
  Random random(0, Purpose::kAugment, 0, 0);
  for (const auto& transform : transforms) transform->apply(sample, random);
  return {sample.image.height(), sample.image.width()};
}

struct ExportCommand {
  ModelSource source;
  std::string out;
  std::vector<int64_t> size;

  int run() const {
    if (fs::path(out).extension() != ".pt") {
      throw Error("--out: '" + out + "' must end with .pt, as TorchScript files do");
    }
    Program program;
    auto opened = open_model(program, source, NeededWeights::kModel);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    auto& experiment = *opened.experiment;
    const auto& options = experiment.options().model;
    ExportInfo info;
    info.classes = experiment.classes();
    info.task = experiment.task();
    info.preprocess = {options.preprocess.mean, options.preprocess.std};
    info.config = to_yaml(experiment.resolved());
    info.size = size.empty() ? size_after(experiment.test_transforms())
                             : PixelSize{size.front(), size.back()};
    auto& model = *opened.model;
    model.to(torch::kCPU);
    const auto exported = to_torch_script(model, info);
    write_torch_script(exported.module, model, info, out);
    std::cout << fmt::format("{} -> {} ({}): images [N, 3, {}], {} classes; equal to the model\n",
                             source.path, out, format_size(fs::file_size(out)),
                             exported.fixed_by.empty()
                                 ? std::string("H, W")
                                 : fmt::format("{}, {}", info.size.height, info.size.width),
                             info.classes.size());
    if (!exported.fixed_by.empty()) {
      std::cout << fmt::format("note: {} keeps it to images of this size; --size gives another\n",
                               exported.fixed_by);
    }
    if (options.inference.mode != InferenceOptions::Mode::kWhole) {
      std::cout << "note: model.inference shows this model images in windows; the exported one "
                   "looks at an image whole\n";
    }
    return 0;
  }
};

}  // namespace

void add_export(CLI::App& app, Action& action) {
  auto command = std::make_shared<ExportCommand>();
  auto* sub = app.add_subcommand(
      "export", "Write a model as one TorchScript file that runs without this program");
  add_model_source(*sub, command->source);
  sub->add_option("-o,--out", command->out, "The file, *.pt")->required()->type_name("FILE");
  sub->add_option("--size", command->size,
                  "Height and width, or one number for both, of the images that it is recorded "
                  "with (default: what the test transforms make of an image of 256 x 256)")
      ->expected(1, 2)
      ->check(CLI::Range(1, 8192))
      ->type_name("N");
  sub->footer(example(
      "  dnc-host export runs/resnet8_dnc --out resnet8_dnc.pt\n"
      "  dnc-host export runs/fcn_dnc --out fcn_dnc.pt --size 180 240\n"
      "  python3 -c \"import torch; print(torch.jit.load('resnet8_dnc.pt').class_names)\""));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
