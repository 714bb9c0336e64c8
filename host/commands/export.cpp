#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/export/onnx.h"
#include "host/export/torch_script.h"
#include "host/export/weights.h"
#include "host/files.h"
#include "host/run.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/text.h"

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

/// What is written, and how the file's name ends; the first ending of a format chooses it.
struct Format {
  std::string name;
  std::vector<std::string> suffixes;
};

const std::vector<Format>& formats() {
  static const std::vector<Format> all{{"torchscript", {".pt"}},
                                       {"onnx", {".onnx"}},
                                       {"safetensors", {".safetensors"}},
                                       {"pt2-weights", {".pth", ".pt"}}};
  return all;
}

struct ExportCommand {
  ModelSource source;
  std::string out;
  std::string format;
  std::vector<int64_t> size;

  int run() const {
    const auto& chosen = choose_format();
    if (fs::is_directory(out)) {
      throw Error(fmt::format("--out: '{}' is a folder; give the name of a file", out));
    }
    Program program;
    auto opened = open_model(program, source, NeededWeights::kModel);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    auto& model = *opened.model;
    model.to(torch::kCPU);
    model.eval();
    const auto info = describe(*opened.experiment);
    const auto text = write(chosen.name, model, info);
    std::cout << fmt::format("{} -> {} ({}): {}\n", source.path, out,
                             format_size(fs::file_size(out)), text);
    const auto& inference = opened.experiment->options().model.inference;
    if (inference.mode != InferenceOptions::Mode::kWhole) {
      std::cout << "note: model.inference shows this model images in windows; the exported one "
                   "looks at an image whole\n";
    }
    return 0;
  }

  /// That of --format, or the one that the file's name ends with.
  const Format& choose_format() const {
    const auto suffix = fs::path(out).extension().string();
    std::vector<std::string> names;
    for (const auto& each : formats()) {
      names.push_back(each.name);
      if (format.empty() && each.suffixes.front() == suffix) return each;
      if (each.name != format) continue;
      if (std::find(each.suffixes.begin(), each.suffixes.end(), suffix) != each.suffixes.end()) {
        return each;
      }
      throw Error(fmt::format("--out: '{}' must end with {}, as files of {} do", out,
                              join(each.suffixes, " or "), format));
    }
    if (format.empty()) {
      throw Error(
          fmt::format("--out: '{}' must end with .pt, .onnx, .safetensors or .pth, which "
                      "says what is written",
                      out));
    }
    throw Error(fmt::format("--format: '{}' is not known{}", format, suggestion(format, names)));
  }

  ExportInfo describe(Experiment& experiment) const {
    const auto& preprocess = experiment.options().model.preprocess;
    ExportInfo info;
    info.classes = experiment.classes();
    info.task = experiment.task();
    info.preprocess = {preprocess.mean, preprocess.std};
    info.config = to_yaml(experiment.resolved());
    info.size = size.empty() ? size_after(experiment.test_transforms())
                             : PixelSize{size.front(), size.back()};
    return info;
  }

  /// Writes the file; says what is in it.
  std::string write(const std::string& name, Model& model, const ExportInfo& info) const {
    if (name == "safetensors" || name == "pt2-weights") {
      if (name == "safetensors") {
        write_exported_safetensors(model, info, out);
      } else {
        write_state_dict(model, info, out);
      }
      return fmt::format("{} tensors, {} classes", exported_tensors(model).size(),
                         info.classes.size());
    }
    std::string fixed_by;
    if (name == "onnx") {
      const auto exported = to_onnx(model, info);
      write_onnx_file(exported, model, info, out);
      fixed_by = exported.fixed_by;
    } else {
      const auto exported = to_torch_script(model, info);
      write_torch_script(exported.module, model, info, out);
      fixed_by = exported.fixed_by;
    }
    const auto of_size = fixed_by.empty()
                             ? std::string("H, W")
                             : fmt::format("{}, {}", info.size.height, info.size.width);
    const auto note =
        fixed_by.empty()
            ? ""
            : fmt::format("\nnote: {} keeps it to images of this size; --size gives another",
                          fixed_by);
    return fmt::format("images [N, 3, {}], {} classes; equal to the model{}", of_size,
                       info.classes.size(), note);
  }
};

}  // namespace

void add_export(CLI::App& app, Action& action) {
  auto command = std::make_shared<ExportCommand>();
  auto* sub =
      app.add_subcommand("export", "Write a model as one file that runs without this program");
  add_model_source(*sub, command->source);
  sub->add_option("-o,--out", command->out, "The file, *.pt, *.onnx, *.safetensors or *.pth")
      ->required()
      ->type_name("FILE");
  sub->add_option(
         "--format", command->format,
         "torchscript: the whole model, for LibTorch and PyTorch. onnx: the whole model, for other "
         "runtimes. safetensors: the weights, with classes and config. pt2-weights: the weights "
         "for programs of torch.export (default: by the name of the file)")
      ->type_name("FORMAT");
  sub->add_option("--size", command->size,
                  "Height and width, or one number for both, of the images that it is recorded "
                  "with (default: what the test transforms make of an image of 256 x 256)")
      ->expected(1, 2)
      ->check(CLI::Range(1, 8192))
      ->type_name("N");
  sub->footer(example(
      "  dnc-host export runs/resnet8_dnc --out resnet8_dnc.pt\n"
      "  dnc-host export runs/resnet8_dnc --out resnet8_dnc.onnx\n"
      "  dnc-host export runs/fcn_dnc --out fcn_dnc.pt --size 180 240\n"
      "  dnc-host export runs/resnet8_dnc --out weights.pt --format pt2-weights\n"
      "  python3 -c \"import torch; print(torch.jit.load('resnet8_dnc.pt').class_names)\""));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
