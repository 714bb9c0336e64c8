#include "host/predict/inference_model.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/script.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/export/recording.h"
#include "host/inference.h"
#include "host/out_of_memory.h"
#include "host/train/autocast.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
namespace jit = torch::jit;

using Transforms = std::vector<std::shared_ptr<const Transform>>;

// Seed and sample do not matter: the transforms of a test draw nothing.
void apply(const Transforms& transforms, Sample& sample) {
  Random random(0, Purpose::kAugment, 0, 0);
  for (const auto& transform : transforms) transform->apply(sample, random);
}

PixelSize size_after(const Transforms& transforms) {
  Sample sample;
  sample.image = Image(256, 256, 3);
  apply(transforms, sample);
  return {sample.image.height(), sample.image.width()};
}

// What a library says about images that a network does not take; the stack below is noise.
std::string first_line(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

std::string describe(const torch::Tensor& images) {
  return fmt::format("images of {} x {} pixels (height x width)", images.size(2), images.size(3));
}

// "runs/a", "runs/a/" and, from inside it, "." are all "a".
std::string name_of(const fs::path& folder) {
  const auto whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

// ---- a run -------------------------------------------------------------------------------------

InferenceInfo info_of(OpenedRun& run) {
  auto& experiment = *run.experiment;
  InferenceInfo info;
  info.name = run.folder.empty() ? "model" : name_of(run.folder);
  info.platform = "dnc_host";
  info.version = std::max<int64_t>(run.step, 1);
  info.classes = experiment.classes();
  info.task = experiment.task();
  info.sub_centroids = info.task == Task::kImages && run.model->prototypes() != nullptr;
  return info;
}

class RunModel final : public InferenceModel {
 public:
  explicit RunModel(OpenedRun& run)
      : InferenceModel(info_of(run), run.experiment->options().model.preprocess,
                       run.experiment->test_transforms()),
        run_(run),
        model_(*run.model) {
    if (info_.sub_centroids) {
      prototypes_ = model_.prototypes()->prototypes().to(run.experiment->device(), torch::kFloat32);
    }
    // Once by one thread alone: at its first call the model moves its mean to the device.
    const torch::NoGradGuard no_grad;
    model_.normalise(torch::zeros({1, 3, 1, 1}, torch::kUInt8).to(run.experiment->device()));
  }

  Answer infer(const torch::Tensor& images, bool nearest) override {
    const c10::InferenceMode no_gradients;
    const auto& experiment = *run_.experiment;
    try {
      const auto input = images.is_floating_point() ? normalise(images) : images;
      Model::Output output;
      {
        const Autocast autocast(experiment.options().train.precision, experiment.device());
        output =
            dnc::infer(model_, input.to(experiment.device()), experiment.options().model.inference);
      }
      Answer answer;
      answer.scores = output.scores.to(torch::kFloat32).cpu();
      if (nearest && info_.sub_centroids) add_nearest(output, answer);
      return answer;
    } catch (const c10::Error& error) {
      if (is_out_of_memory(error)) throw;
      throw Error(
          fmt::format("the model does not take {}: {}", describe(images), first_line(error)));
    }
  }

 private:
  void add_nearest(const Model::Output& output, Answer& answer) const {
    const auto points = model_.prototypes()->project(output.embeddings).to(torch::kFloat32);
    const auto own = prototypes_.index_select(0, output.scores.argmax(1));  // [N, K, D]
    const auto [similarities, indices] = own.matmul(points.unsqueeze(-1)).squeeze(-1).max(1);
    answer.nearest = indices.cpu();
    answer.similarities = similarities.cpu();
  }

  OpenedRun& run_;
  Model& model_;
  torch::Tensor prototypes_;  // [C, K, D]
};

// ---- an exported file --------------------------------------------------------------------------

constexpr int64_t kLargestSide = 8192;  // of the images that `dnc-host export` records with

struct Exported {
  jit::Module module;
  InferenceInfo info;
  Preprocess preprocess;
  Transforms transforms;
};

class ExportedModel final : public InferenceModel {
 public:
  explicit ExportedModel(Exported exported)
      : InferenceModel(std::move(exported.info), exported.preprocess,
                       std::move(exported.transforms)),
        module_(std::move(exported.module)) {
    // Which executor a method gets is decided when it is first run.
    const PlainExecutor plain;
    infer(torch::zeros({1, 3, info_.size.height, info_.size.width}, torch::kUInt8), false);
  }

  Answer infer(const torch::Tensor& images, bool) override {
    const c10::InferenceMode no_gradients;
    check_size(images);
    Answer answer;
    try {
      answer.scores = module_.forward({images}).toTensor();
    } catch (const std::exception& error) {  // the interpreter has a type of its own
      if (is_out_of_memory(error)) throw;
      const std::string what = error.what();
      const auto reason = what.substr(what.find_last_of('\n', what.size() - 2) + 1);
      throw Error(fmt::format("the model does not take {}: {}", describe(images), reason));
    }
    check_scores(answer.scores, images);
    return answer;
  }

 private:
  // Whoever asked uses them as they are said to be.
  void check_scores(const torch::Tensor& scores, const torch::Tensor& images) const {
    const int64_t dimensions = info_.task == Task::kPixels ? 4 : 2;
    const bool fits = scores.dim() == dimensions && scores.size(0) == images.size(0) &&
                      scores.size(1) == info_.classes.size() &&
                      scores.scalar_type() == torch::kFloat32;
    if (fits) return;
    throw Error(c10::str("the model gives scores ", scores.sizes(), " of ", scores.scalar_type(),
                         " for ", images.size(0), " images and ", info_.classes.size(),
                         " classes: it is no file of `dnc-host export`, or was changed"));
  }

  void check_size(const torch::Tensor& images) const {
    const auto& [height, width] = info_.size;
    if (info_.any_size || (images.size(2) == height && images.size(3) == width)) return;
    throw Error(fmt::format("the model was exported for images of {} x {} pixels, got {}", height,
                            width, describe(images)));
  }

  jit::Module module_;
};

// The description that export writes beside the network.
void read_description(const std::string& file, const std::string& text, Exported& exported) {
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.at("format") != "dnc-host export 1") {
      throw Error(file + ": is of another version of dnc-host: " + json.at("format").dump());
    }
    auto& info = exported.info;
    info.classes.names = json.at("classes").get<std::vector<std::string>>();
    info.classes.palette = json.at("palette").get<std::vector<std::array<uint8_t, 3>>>();
    info.task = json.at("task") == "pixels" ? Task::kPixels : Task::kImages;
    const auto size = json.at("size").get<std::array<int64_t, 2>>();
    info.size = {size[0], size[1]};
    info.any_size = json.at("any_size");
    exported.preprocess.mean = json.at("mean").get<std::vector<double>>();
    exported.preprocess.std = json.at("std").get<std::vector<double>>();
    const auto is_size = [](int64_t side) { return side >= 1 && side <= kLargestSide; };
    if (exported.preprocess.mean.size() != 3 || exported.preprocess.std.size() != 3 ||
        info.classes.names.empty() || !is_size(size[0]) || !is_size(size[1])) {
      throw Error(file + ": its description (dnc.json) is damaged");
    }
  } catch (const nlohmann::json::exception& error) {
    throw Error(file + ": its description (dnc.json) is damaged: " + error.what());
  }
}

jit::Module load_module(const std::string& file, jit::ExtraFilesMap& extra) {
  try {
    auto module = jit::load(file, torch::kCPU, extra);
    module.eval();
    return module;
  } catch (const c10::Error& error) {
    throw Error(file + ": is no TorchScript file, or a damaged one: " + first_line(error));
  } catch (const std::exception& error) {
    throw Error(file + ": is no TorchScript file, or a damaged one: " + error.what());
  }
}

// Those of the config in the file. Plugins that it names are not loaded: a file of weights should
// not choose which libraries run.
Transforms transforms_of(Program& program, const std::string& file, const std::string& config,
                         std::string& note) {
  try {
    Experiment experiment(program.registry(), program.images(), parse_config(config, file));
    return experiment.test_transforms();
  } catch (const Error& error) {
    note = fmt::format(
        "warning: {}: its test transforms cannot be built, so images must come in the size that "
        "the network takes: {}",
        file, error.what());
    return {};
  }
}

}  // namespace

// ---- what both share ---------------------------------------------------------------------------

InferenceModel::~InferenceModel() = default;

InferenceModel::InferenceModel(InferenceInfo info, const Preprocess& preprocess,
                               Transforms transforms)
    : info_(std::move(info)), transforms_(std::move(transforms)) {
  if (info_.size == PixelSize{}) info_.size = size_after(transforms_);
  mean_ = torch::tensor(preprocess.mean, torch::kFloat32).view({3, 1, 1});
  std_ = torch::tensor(preprocess.std, torch::kFloat32).view({3, 1, 1});
}

torch::Tensor InferenceModel::normalise(const torch::Tensor& images) const {
  return (images.to(torch::kFloat32) * 255 - mean_) / std_;
}

torch::Tensor InferenceModel::prepare(const Image& image) const {
  Sample sample;
  sample.image = image;
  apply(transforms_, sample);
  if (sample.image.channels() != 3) sample.image = sample.image.to_channels(3);
  const auto& done = std::as_const(sample.image);
  const std::array<int64_t, 3> sizes{done.height(), done.width(), 3};
  if (!done.is_float()) {
    const auto bytes = torch::empty(sizes, torch::kUInt8);
    std::copy_n(done.pixels(), done.size(), bytes.mutable_data_ptr<uint8_t>());
    return bytes.permute({2, 0, 1});
  }
  const auto floats = torch::empty(sizes, torch::kFloat32);
  std::copy_n(done.floats(), done.size(), floats.mutable_data_ptr<float>());
  // A transform has normalised it already, and infer() will do so.
  return (floats.permute({2, 0, 1}) * std_ + mean_) / 255;
}

std::unique_ptr<InferenceModel> inference_model(OpenedRun& run) {
  return std::make_unique<RunModel>(run);
}

bool is_exported_file(const std::string& path) {
  if (!fs::is_regular_file(path)) return false;
  std::array<char, 4> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  return start == std::array<char, 4>{'P', 'K', 3, 4};
}

std::unique_ptr<InferenceModel> open_exported_model(Program& program, const std::string& file,
                                                    std::string& note) {
  jit::ExtraFilesMap extra{{"dnc.json", ""}, {"config.yaml", ""}};
  Exported exported;
  exported.module = load_module(file, extra);
  if (extra["dnc.json"].empty()) {
    throw Error(file +
                ": was not written by `dnc-host export`: it does not say what its classes are");
  }
  read_description(file, extra["dnc.json"], exported);
  exported.info.name = fs::path(file).stem().string();
  exported.info.platform = "pytorch_torchscript";
  exported.transforms = transforms_of(program, file, extra["config.yaml"], note);
  return std::make_unique<ExportedModel>(std::move(exported));
}

torch::Tensor stack_images(const std::vector<torch::Tensor>& images) {
  // Stacked as rows of pixels: only then is the batch channels-last, a batch of one too.
  std::vector<torch::Tensor> rows;
  for (const auto& image : images) rows.push_back(image.permute({1, 2, 0}));
  const auto batch = rows.size() == 1 ? rows.front().unsqueeze(0) : torch::stack(rows);
  return batch.permute({0, 3, 1, 2});
}

}  // namespace dnc
