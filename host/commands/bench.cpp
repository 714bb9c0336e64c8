#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/commands/commands.h"
#include "host/data/endless_batches.h"
#include "host/environment.h"
#include "host/multiply_adds.h"
#include "host/program.h"
#include "host/report/format.h"
#include "host/report/statistics.h"
#include "host/train/autocast.h"
#include "host/train/phase.h"
#include "host/train/profile.h"
#include "host/train/runner.h"
#include "host/train/step.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kWarmUp = 2;  // calls that are not counted: memory and kernels are chosen in them
constexpr int64_t kProfiled = 3;  // steps in a trace

double now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

// The median time of a call, in seconds.
double median_seconds(int64_t calls, const std::function<void()>& call) {
  for (int64_t i = 0; i < kWarmUp; ++i) call();
  std::vector<double> seconds;
  for (int64_t i = 0; i < calls; ++i) {
    const double begin = now();
    call();
    seconds.push_back(now() - begin);
  }
  return report::median(seconds);
}

// The most memory so far, in MiB: of the process on a CPU, of tensors on a GPU.
double peak_mib(torch::Device device) {
  if (device.is_cpu()) return peak_memory_mib();
  const auto stats = at::accelerator::getDeviceStats(device.index());
  const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<double>(stats.allocated_bytes[all].peak) / (1 << 20);
}

// One way to use the model or the data.
struct Speed {
  double seconds = 0;  // a batch
  double peak_mib = 0;
  double per_second(int64_t batch) const { return static_cast<double>(batch) / seconds; }
};

struct Measured {
  int64_t batch = 0;
  std::vector<int64_t> image;  // [3, H, W]
  ModelSize size;
  std::vector<OperatorCost> costs;  // of the forward pass of one image
  Speed forward;
  std::optional<Speed> train;  // where the config has an optimizer
  Speed loader;
  Speed together;         // loader and train step
  double wait_share = 0;  // of the time together, for data
};

struct BenchCommand {
  std::string config;
  std::optional<int64_t> batch;
  int64_t steps = 10;
  std::string profile;  // file; empty for none
  bool nvtx = false;
  bool json = false;
  std::vector<std::string> overrides;

  int run() {
    if (batch) overrides.push_back(fmt::format("data.batch_size={}", *batch));
    check_profile();
    Program program;
    const auto owned = program.experiment(config, overrides);
    auto& experiment = *owned;
    apply_machine_options(experiment.options());
    if (!experiment.has_split("train")) {
      throw ConfigError(config + ": has no training data, whose batches are needed");
    }
    std::optional<NvtxRanges> ranges;
    if (nvtx) ranges.emplace(experiment.device());
    const auto measured = measure(experiment);
    json ? print_json(experiment, measured) : print(experiment, measured);
    return 0;
  }

  // Before minutes of measuring.
  void check_profile() const {
    const auto folder = std::filesystem::path(profile).parent_path();
    if (folder.empty() || std::filesystem::is_directory(folder)) return;
    throw Error(profile + ": the trace cannot be written there: " + folder.string() +
                " is no folder");
  }

  Measured measure(Experiment& experiment) const {
    const auto& options = experiment.options();
    const auto device = experiment.device();
    SingleProcess alone;
    Measured found;
    found.batch = options.data.batch_size;
    experiment.steps_per_epoch();  // says so where a batch is larger than the data
    const auto& data = experiment.split("train");
    const auto loading = train_loader_options(options, device, alone);
    {
      EndlessBatches batches(data.dataset, data.transforms, loading);
      found.loader.seconds = mean_seconds(steps, [&] { batches.next(); });
    }
    const auto model = experiment.build_model();
    model->to(device);
    if (options.train.channels_last) model->to_channels_last();
    found.size = model->size();
    EndlessBatches batches(data.dataset, data.transforms, loading);
    const auto one = batches.next();
    found.image = one.images.sizes().slice(1).vec();
    measure_forward(*model, one, options.train.precision, device, found);
    if (options.optimizer.empty()) {
      write_profile(device, [&] {
        const auto images = next_of(batches).images.to(device);
        pass_forward(*model, images, options.train.precision, device);
      });
      return found;
    }
    TrainStep step(experiment, model, device, alone);
    step.log_to([](const std::string& text) { std::cerr << text << "\n"; });
    model->train();
    measure_training(step, one, batches, device, found);
    return found;
  }

  void measure_training(TrainStep& step, const Batch& one, EndlessBatches& batches,
                        torch::Device device, Measured& found) const {
    int64_t done = 0;
    const auto take_step = [&](const Batch& taken) {
      step.run(taken, done++).front().second.item<double>();  // waits for the device
    };
    found.train.emplace();
    found.train->seconds = median_seconds(steps, [&] { take_step(one); });
    found.train->peak_mib = peak_mib(device);
    const double waited = batches.waited(), begin = now();
    for (int64_t i = 0; i < steps; ++i) take_step(next_of(batches));
    const double seconds = now() - begin;
    found.together.seconds = seconds / static_cast<double>(steps);
    found.wait_share = (batches.waited() - waited) / seconds;
    write_profile(device, [&] { take_step(next_of(batches)); });
  }

  static Batch next_of(EndlessBatches& batches) {
    const Phase phase("data");
    return batches.next();
  }

  // A few steps more, which nothing of the above has slowed down.
  void write_profile(torch::Device device, const std::function<void()>& step) const {
    if (profile.empty()) return;
    Profile trace(device);
    for (int64_t i = 0; i < kProfiled; ++i) step();
    trace.save(profile);
  }

  // Workers load ahead, so one batch says little: the mean of all, after the first ones.
  static double mean_seconds(int64_t calls, const std::function<void()>& call) {
    for (int64_t i = 0; i < kWarmUp; ++i) call();
    const double begin = now();
    for (int64_t i = 0; i < calls; ++i) call();
    return (now() - begin) / static_cast<double>(calls);
  }

  static void pass_forward(Model& model, const torch::Tensor& images, Precision precision,
                           torch::Device device) {
    const Phase phase("forward");
    const torch::NoGradGuard no_grad;
    const Autocast autocast(precision, device);
    model.forward(images).scores.flatten()[0].item<float>();  // waits for the device
  }

  void measure_forward(Model& model, const Batch& batch, Precision precision, torch::Device device,
                       Measured& found) const {
    model.eval();
    const auto forward = [&](const torch::Tensor& images) {
      pass_forward(model, images, precision, device);
    };
    const auto images = batch.images.to(device);
    found.costs = count_multiply_adds([&] { forward(images.narrow(0, 0, 1)); });
    found.forward.seconds = median_seconds(steps, [&] { forward(images); });
    found.forward.peak_mib = peak_mib(device);
  }

  // Loading and training share the processor's cores, so what they reach together counts; which of
  // the two holds the other back, each alone shows.
  static std::string bottleneck(const Measured& found) {
    const auto& model = found.train ? *found.train : found.forward;
    const double ratio = model.seconds / found.loader.seconds;
    const auto* const what = found.train ? "a train step" : "a forward pass";
    if (ratio >= 1) {
      return fmt::format(
          "The model is the bottleneck: {} takes {} times as long as loading its batch.", what,
          report::significant(ratio, 2));
    }
    return fmt::format(
        "The loader is the bottleneck: loading a batch takes {} times as long as {} on it. More "
        "data.workers may help, where there are cores.",
        report::significant(1 / ratio, 2), what);
  }

  void print_json(const Experiment& experiment, const Measured& found) const {
    const auto& options = experiment.options();
    const auto speed = [&](const Speed& one, const char* unit) {
      nlohmann::ordered_json json = {{"ms", one.seconds * 1e3},
                                     {unit, one.per_second(found.batch)}};
      if (one.peak_mib > 0) json["peak_mib"] = one.peak_mib;
      return json;
    };
    nlohmann::ordered_json json = {{"config", config},
                                   {"device", experiment.device().str()},
                                   {"threads", at::get_num_threads()},
                                   {"batch", found.batch},
                                   {"image", found.image},
                                   {"parameters", found.size.total},
                                   {"learnable_parameters", found.size.learnable},
                                   {"buffers", found.size.buffers},
                                   {"multiply_adds", multiply_adds(found.costs)},
                                   {"operators", nlohmann::json::array()},
                                   {"forward", speed(found.forward, "images_per_second")}};
    for (const auto& cost : found.costs) {
      json["operators"].push_back(
          {{"name", cost.name}, {"calls", cost.calls}, {"multiply_adds", cost.multiply_adds}});
    }
    if (found.train) json["train"] = speed(*found.train, "images_per_second");
    json["loader"] = speed(found.loader, "samples_per_second");
    json["loader"]["workers"] = options.data.workers;
    if (found.train) {
      json["together"] = speed(found.together, "images_per_second");
      json["together"]["wait_share"] = found.wait_share;
    }
    if (!profile.empty()) json["profile"] = profile;
    std::cout << json.dump() << "\n";
  }

  static std::string million(int64_t count) {
    const auto number = static_cast<double>(count);
    return number >= 1e9 ? fmt::format("{} billion", report::significant(number / 1e9, 4))
                         : fmt::format("{} million", report::significant(number / 1e6, 4));
  }

  static void print_speed(const char* name, const Speed& one, int64_t batch,
                          const std::string& more) {
    std::cout << fmt::format("{:<14} {:>9} images/s, {} ms a batch{}\n", name,
                             report::grouped(one.per_second(batch)),
                             report::significant(one.seconds * 1e3, 3), more);
  }

  void print(const Experiment& experiment, const Measured& found) const {
    const auto& options = experiment.options();
    const auto device = experiment.device();
    std::cout << fmt::format("{}: {}, {} threads, batches of {} x {}\n\n", config, device.str(),
                             at::get_num_threads(), found.batch, fmt::join(found.image, " x "));
    const auto count = [](int64_t number) { return report::grouped(static_cast<double>(number)); };
    std::cout << fmt::format("{:<14} {}, of them learnable {}; {} numbers in buffers\n",
                             "parameters", count(found.size.total), count(found.size.learnable),
                             count(found.size.buffers));
    const auto all = multiply_adds(found.costs);
    std::cout << fmt::format("{:<14} {} an image", "multiply-adds", million(all));
    for (const auto& cost : found.costs) {
      std::cout << fmt::format(
          "{} {} {} %", &cost == &found.costs.front() ? ":" : ",", cost.name,
          report::fixed(100.0 * static_cast<double>(cost.multiply_adds) / static_cast<double>(all),
                        1));
    }
    std::cout << "\n";
    const auto peak = [&](const Speed& one) {
      return fmt::format(", peak {} MiB{}", report::grouped(one.peak_mib),
                         device.is_cpu() ? " of the process" : " on the device");
    };
    print_speed("forward", found.forward, found.batch, peak(found.forward));
    if (found.train) print_speed("train step", *found.train, found.batch, peak(*found.train));
    print_speed("loader", found.loader, found.batch,
                fmt::format(", {} workers", options.data.workers));
    if (found.train) {
      print_speed(
          "together", found.together, found.batch,
          fmt::format(", {} % of it waiting for data", report::fixed(found.wait_share * 100, 1)));
    }
    std::cout << "\n" << bottleneck(found) << "\n";
    if (profile.empty()) return;
    std::cout << fmt::format(
        "{} has {} steps more; open it in https://ui.perfetto.dev or chrome://tracing.\n", profile,
        kProfiled);
  }
};

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto command = std::make_shared<BenchCommand>();
  auto* sub = app.add_subcommand(
      "bench", "Measure a config: speed, memory, multiply-adds, and whether data keeps up");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  sub->add_option("--batch", command->batch, "Short for --set data.batch_size=N")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  sub->add_option("--steps", command->steps, "Batches of each measurement")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--profile", command->profile,
                  "Write a Chrome trace of a few steps more: phases, operators, GPU kernels")
      ->type_name("FILE");
  sub->add_flag("--nvtx", command->nvtx,
                "Phases and operators as NVTX ranges, for Nsight Systems; needs a GPU")
      ->excludes("--profile");
  sub->add_flag("--json", command->json, "One JSON object instead of text");
  add_overrides(*sub, command->overrides);
  sub->footer(
      example("  dnc-host bench configs/fashion_mnist/resnet8_dnc.yaml\n"
              "  dnc-host bench configs/imagenet/resnet50_dnc.yaml --batch 16 --set \\\n"
              "    'data.train.dataset={type: Synthetic, classes: 1000, size: 256}'\n"
              "  dnc-host bench configs/fashion_mnist/resnet8_dnc.yaml --profile trace.json\n"
              "  nsys profile dnc-host bench configs/fashion_mnist/resnet8_dnc.yaml --nvtx"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
