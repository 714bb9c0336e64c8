#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "host/commands/commands.h"
#include "host/data/batch.h"
#include "host/data/byte_scale.h"
#include "host/data/encode_png.h"
#include "host/data/sampler.h"
#include "host/files.h"
#include "host/program.h"
#include "host/report/contact_sheet.h"
#include "host/report/format.h"
#include "host/report/label_picture.h"
#include "registry/error.h"
#include "registry/head.h"
#include "registry/random.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// One sample before and after each transform.
struct Shown {
  Sample sample;  // as the network gets it
  std::vector<Image> stages;
  std::optional<ByteScale> scale;  // of its floats, where a transform made it such
};

// The picture with its classes in their colours, half and half, where it has a label image of its
// own size.
Image with_labels(Image picture, const Sample& sample, const ClassInfo& classes) {
  const auto& labels = sample.labels;
  if (labels.height() != picture.height() || labels.width() != picture.width()) return picture;
  if (labels.empty()) return picture;
  return report::overlay(picture, labels, report::palette_of(classes));
}

// As the loader does it, with a look after each step.
Shown walk(const Split& split, int64_t index, uint64_t seed, int64_t epoch) {
  Shown shown;
  auto& sample = shown.sample;
  sample = split.dataset->load(index);
  sample.index = index;
  Random random(seed, Purpose::kAugment, static_cast<uint64_t>(epoch),
                static_cast<uint64_t>(index));
  Image before;
  const auto look = [&] {
    if (sample.image.is_float() && !shown.scale) shown.scale.emplace(before, sample.image);
    before = sample.image.is_float() ? shown.scale->to_bytes(sample.image) : sample.image;
    std::as_const(before).pixels();  // decodes this copy, and leaves the sample's own image alone
    shown.stages.push_back(with_labels(before, sample, split.dataset->classes()));
  };
  look();
  for (const auto& transform : split.transforms) {
    transform->apply(sample, random);
    look();
  }
  return shown;
}

// One image of a batch [3, H, W], normalised floats, as bytes.
Image to_image(const torch::Tensor& floats, const ByteScale& scale) {
  const auto values = floats.to(torch::kFloat32).permute({1, 2, 0}).contiguous();
  Image image(values.size(0), values.size(1), 3);
  image.to_float();
  std::copy_n(values.const_data_ptr<float>(), image.size(), image.floats());
  return scale.to_bytes(image);
}

struct BrowseCommand {
  std::string config;
  std::string split = "train";
  int64_t count = 16;
  int64_t epoch = 0;
  std::string out = "browse.html";
  std::vector<std::string> overrides;

  int run() const {
    const auto suffix = fs::path(out).extension();
    if (suffix != ".html" && suffix != ".png") {
      throw Error("--out: '" + out + "' must end with .html or .png");
    }
    Program program;
    const auto owned = program.experiment(config, overrides);
    auto& experiment = *owned;
    const auto& data = experiment.split(split);
    const auto shown = walk_samples(experiment, data);
    auto sheet = make_sheet(experiment, data, shown);
    if (split == "train") add_batch_transforms(experiment, data, shown, sheet);
    if (suffix == ".png") {
      const auto bytes = encode_png(report::to_image(sheet));
      write_file(out, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    } else {
      write_file(out, report::to_html(sheet));
    }
    std::cout << fmt::format("{}: {} samples of {}, {} columns\n", out, sheet.rows.size(), split,
                             sheet.columns.size());
    return 0;
  }

  // The first samples in the order in which a training with this seed would see them.
  std::vector<Shown> walk_samples(const Experiment& experiment, const Split& data) const {
    const auto seed = static_cast<uint64_t>(experiment.options().seed);
    Sampler sampler;
    sampler.size = data.dataset->size();
    sampler.shuffle = true;
    sampler.seed = seed;
    sampler.shards = data.dataset->shards();
    std::vector<Shown> shown;
    std::string damaged;
    for (const auto index : sampler.order(epoch)) {
      if (static_cast<int64_t>(shown.size()) == count) break;
      try {
        shown.push_back(walk(data, index, seed, epoch));
      } catch (const DataError& error) {
        std::cerr << "warning: " << error.what() << "\n";
        damaged = error.what();
      }
    }
    if (shown.empty()) throw DataError(damaged + "; and no other sample is good");
    return shown;
  }

  report::ContactSheet make_sheet(const Experiment& experiment, const Split& data,
                                  const std::vector<Shown>& shown) const {
    report::ContactSheet sheet;
    sheet.title = fmt::format("{} of {}", split, config);
    sheet.text = fmt::format(
        "{} of {} samples as the network sees them in epoch {} with seed {}: the original, then "
        "after each transform. Normalised images are shown in their own colours.",
        shown.size(), report::grouped(static_cast<double>(data.dataset->size())), epoch,
        experiment.options().seed);
    sheet.columns.push_back("original");
    for (const auto& slot : experiment.split_options(split).transforms) {
      sheet.columns.push_back(slot.type());
    }
    const auto& names = data.dataset->classes().names;
    for (const auto& each : shown) {
      const auto label = each.sample.label;
      const bool known = data.dataset->task() == Task::kImages && label != kIgnoredLabel;
      sheet.rows.push_back({data.dataset->name(each.sample.index),
                            known ? names.at(static_cast<size_t>(label)) : "", each.stages});
    }
    return sheet;
  }

  // What is done to whole batches, in one more column each: to the samples of the sheet as one
  // batch.
  void add_batch_transforms(Experiment& experiment, const Split& data,
                            const std::vector<Shown>& shown, report::ContactSheet& sheet) const {
    const auto& slots = experiment.options().data.train.batch_transforms;
    if (slots.empty()) return;
    BatchBuilder builder(*data.dataset, static_cast<int64_t>(shown.size()), /*pin=*/false);
    for (const auto& each : shown) builder.add(each.sample);
    auto batch = builder.finish();
    const auto& preprocess = experiment.options().model.preprocess;
    const auto three = [](const std::vector<double>& numbers) {
      return std::array<double, 3>{numbers[0], numbers[1], numbers[2]};
    };
    const ByteScale usual(three(preprocess.mean), three(preprocess.std));
    if (batch.images.scalar_type() == torch::kUInt8) {
      const auto numbers = [](const std::vector<double>& values) {
        return torch::tensor(values, torch::kFloat32).view({1, 3, 1, 1});
      };
      batch.images =
          (batch.images.to(torch::kFloat32) - numbers(preprocess.mean)) / numbers(preprocess.std);
    }
    Random random(static_cast<uint64_t>(experiment.options().seed), Purpose::kAugment,
                  static_cast<uint64_t>(epoch), static_cast<uint64_t>(data.dataset->size()));
    const auto transforms = experiment.build_batch_transforms();
    for (size_t t = 0; t < transforms.size(); ++t) {
      transforms[t]->apply(batch, random);
      sheet.columns.push_back(slots[t].type());
      for (size_t i = 0; i < shown.size(); ++i) {
        const auto& scale = shown[i].scale ? *shown[i].scale : usual;
        sheet.rows[i].images.push_back(to_image(batch.images[static_cast<int64_t>(i)], scale));
      }
    }
    if (!batch.soft_labels.defined()) return;
    for (size_t i = 0; i < shown.size(); ++i) {
      sheet.rows[i].caption +=
          " → " + shares_text(batch.soft_labels[static_cast<int64_t>(i)], data.dataset->classes());
    }
  }

  // "cat 70 %, dog 30 %"
  static std::string shares_text(const torch::Tensor& shares, const ClassInfo& classes) {
    const auto [values, labels] = shares.topk(std::min<int64_t>(2, shares.size(0)));
    std::string text;
    for (int64_t k = 0; k < values.size(0); ++k) {
      const double share = values[k].item<double>();
      if (share < 0.005) continue;
      text += fmt::format("{}{} {} %", text.empty() ? "" : ", ",
                          classes.names.at(static_cast<size_t>(labels[k].item<int64_t>())),
                          report::fixed(share * 100, 0));
    }
    return text;
  }
};

}  // namespace

void add_browse(CLI::App& app, Action& action) {
  auto command = std::make_shared<BrowseCommand>();
  auto* sub = app.add_subcommand(
      "browse", "Write a contact sheet of samples before and after each transform");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  sub->add_option("-o,--out", command->out, "A page (.html), or a picture without text (.png)")
      ->type_name("FILE")
      ->capture_default_str();
  sub->add_option("--count", command->count, "Samples")
      ->check(CLI::Range(1, 10'000))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--split", command->split, "train, val or test")->capture_default_str();
  sub->add_option("--epoch", command->epoch, "Each epoch has other samples and random numbers")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str();
  add_overrides(*sub, command->overrides);
  sub->footer(
      example("  dnc-host browse configs/cifar10/resnet18_dnc.yaml --out sheet.html --count 8"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
