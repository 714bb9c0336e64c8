#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <cmath>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/program.h"
#include "host/train/evaluate.h"
#include "host/train/start_model.h"
#include "host/train/step.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {
namespace {

std::string shape(const torch::Tensor& tensor) {
  return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()),
                     fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "));
}

// Builds all that a config names, takes one step on one batch, and says what it saw.
struct CheckCommand {
  std::string config;
  std::vector<std::string> overrides;

  int run() const {
    Program program;
    const auto owned = program.experiment(config, overrides);
    auto& experiment = *owned;
    apply_machine_options(experiment.options());
    std::cout << config << ": the config is valid\n";
    SingleProcess alone;
    const auto device = experiment.device();
    if (experiment.has_split("train")) check_training(experiment, device, alone);
    const bool has_val = experiment.has_split("val");
    if (has_val) check_evaluation(experiment, "val", device, alone);
    // Without a dataset of its own it stands for the other, which was looked at.
    const bool is_val =
        has_val && &experiment.split_options("test") == &experiment.split_options("val");
    if (experiment.has_split("test") && !is_val) {
      check_evaluation(experiment, "test", device, alone);
    }
    std::cout << "all is well\n";
    return 0;
  }

  static void check_training(Experiment& experiment, torch::Device device, Communicator& alone) {
    const auto& options = experiment.options();
    const auto& train = experiment.split("train");
    std::cout << fmt::format("train data: {} samples, {} classes\n", train.dataset->size(),
                             experiment.classes().size());
    std::cout << fmt::format("length: {} steps, {} an epoch, batch {}\n", experiment.steps(),
                             experiment.steps_per_epoch(), options.data.batch_size);
    auto model = experiment.build_model();
    model->to(device);
    if (options.train.channels_last) model->to_channels_last();
    const auto size = model->size();
    std::cout << fmt::format("model: {} learnable parameters, {} numbers in buffers\n",
                             size.learnable, size.buffers);
    if (const auto text = start_model(experiment, *model); !text.empty()) std::cout << text << "\n";
    TrainStep step(experiment, model, device, alone);
    LoaderOptions one;
    one.batch_size = std::min(options.data.batch_size, train.dataset->size());
    one.shuffle = true;
    one.seed = static_cast<uint64_t>(options.seed);
    Loader loader(train.dataset, train.transforms, one);
    loader.start(0);
    auto batch = loader.next();
    {
      const torch::NoGradGuard no_grad;
      model->eval();
      const auto output = model->forward(batch->images.to(device));
      std::cout << fmt::format("shapes: images {}, labels {}, embeddings {}, scores {}\n",
                               shape(batch->images), shape(batch->labels), shape(output.embeddings),
                               shape(output.scores));
    }
    model->train();
    for (const auto& [name, value] : step.run(std::move(*batch), 0)) {
      std::cout << fmt::format("first step: {} {:.4f}\n", name, value.item<double>());
      if (!std::isfinite(value.item<double>())) {
        throw Error(name +
                    " is not finite on the first batch; look at the data and its preprocess");
      }
    }
  }

  static void check_evaluation(Experiment& experiment, const std::string& name,
                               torch::Device device, Communicator& alone) {
    const auto& split = experiment.split(name);
    auto loader = evaluation_loader(split, experiment.options().data, 0, alone);
    loader->start(0);
    const auto batch = loader->next();
    if (batch->size() == 0) throw DataError(loader->bad_samples().front().reason);
    auto model = experiment.build_model();
    model->to(device);
    model->eval();
    const torch::NoGradGuard no_grad;
    Views views;
    views.inference = experiment.options().model.inference;
    const auto output =
        forward_views(*model, batch->images.to(device), views, label_size(batch->labels));
    const auto metrics = experiment.build_metrics();
    for (const auto& metric : metrics) {
      metric->reset();
      metric->update(output.scores, batch->labels.to(device));
    }
    std::cout << fmt::format("{} data: {} samples, images {}, scores {}\n", name,
                             split.dataset->size(), shape(batch->images), shape(output.scores));
  }
};

}  // namespace

void add_check(CLI::App& app, Action& action) {
  auto command = std::make_shared<CheckCommand>();
  auto* sub = app.add_subcommand(
      "check", "Build all that a config names and run one batch through, without training");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  add_overrides(*sub, command->overrides);
  sub->footer(example("  dnc-host check configs/fashion_mnist/resnet8_dnc.yaml"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
