#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/commands/commands.h"
#include "host/commands/image_files.h"
#include "host/files.h"
#include "host/inference.h"
#include "host/rejection/confidence.h"
#include "host/rejection/thresholds.h"
#include "host/report/comparison_text.h"
#include "host/report/label_picture.h"
#include "host/run.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct Prediction {
  std::string file;
  std::vector<std::pair<std::string, double>> best;  // classes with their probabilities
  double confidence = 0;                             // with --reject: the score
  bool known = true;                                 // it reaches the threshold
};

// The class of each pixel of an image, in the image's own size.
Image label_image(const torch::Tensor& scores, const Image& image) {
  const auto labels = classes_at_size(scores.to(torch::kFloat32), {image.height(), image.width()})
                          .to(torch::kUInt8)
                          .cpu()
                          .contiguous();
  return {image.height(), image.width(), 1, labels.const_data_ptr<uint8_t>()};
}

struct PredictCommand {
  ModelSource source;
  std::vector<std::string> images;
  std::string format = "table";
  int64_t top_k = 5;
  std::string out;
  bool reject = false;
  double false_accept_rate = -1;  // below 0: the first of the file
  std::string score;
  std::optional<Threshold> threshold;  // with --reject: what an image must reach to be known

  int run() {
    const auto files = find_images(images);
    Program program;
    auto opened = open_model(program, source, NeededWeights::kModel);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    auto& experiment = *opened.experiment;
    const bool pixels = experiment.task() == Task::kPixels;
    if (reject) threshold = threshold_of(opened);
    check_out(files, pixels, experiment.classes());
    const auto& classes = experiment.classes();
    Split split{"predict", std::make_shared<ImageFiles>(files, program.images(), classes),
                experiment.test_transforms()};
    SingleProcess alone;
    auto options = experiment.options().data;
    options.max_bad_samples = static_cast<int64_t>(files.size());
    if (pixels) options.eval_batch_size = 1;  // images of any size
    auto loader = evaluation_loader(split, options, 0, alone);
    const auto count = std::min(top_k, classes.size());
    if (format == "csv") std::cout << csv_header(count);
    Views views;
    views.inference = experiment.options().model.inference;
    for_each_batch(
        *opened.model, *loader, experiment.device(), experiment.options().train.precision,
        [&](const Batch& batch, const Model::Output& output) {
          const auto shares =
              pixels ? write_pictures(files[static_cast<size_t>(batch.indices.front())],
                                      program.images(), output.scores, classes)
                     : output.scores.to(torch::kFloat32).softmax(1);
          const auto [values, indices] = shares.topk(count, 1);
          print(batch, values.cpu(), indices.cpu(), files, classes,
                confidences_of(*opened.model, output));
        },
        views);
    std::cout << std::flush;
    for (const auto& bad : loader->bad_samples()) std::cerr << "error: " << bad.reason << "\n";
    return loader->bad_samples().empty() ? 0 : 1;
  }

  // Before anything is computed.
  void check_out(const std::vector<std::string>& files, bool pixels,
                 const ClassInfo& classes) const {
    if (pixels == out.empty()) {
      throw Error(pixels
                      ? "--out: is missing; it is the folder for the pictures of a model of pixels"
                      : "--out: is for models of pixels, " + source.path + " is for images");
    }
    if (!pixels) return;
    if (classes.size() > 255) throw Error(source.path + ": label images have at most 255 classes");
    check_names_differ(files, "their pictures");
    create_folder(out);
  }

  Threshold threshold_of(const OpenedRun& opened) const {
    if (opened.experiment->task() != Task::kImages) {
      throw Error("--reject: is for models of images, not of pixels");
    }
    if (opened.folder.empty()) {
      throw Error("--reject: is for a run, in whose folder reject.json lies; " + source.path +
                  " is a config");
    }
    return find_threshold(thresholds_file(opened), digest_for_rejection(opened), score,
                          false_accept_rate);
  }

  // Of each image of a batch, [N]; undefined without --reject.
  torch::Tensor confidences_of(Model& model, const Model::Output& output) const {
    if (!threshold) return {};
    const auto scores = confidence_scores(model);
    const auto wanted = std::ranges::find(scores, threshold->score, &ConfidenceScore::name);
    if (wanted == scores.end()) {
      throw Error(source.path + ": its model has no score '" + threshold->score + "'");
    }
    return confidences(model, output)[wanted - scores.begin()];
  }

  // NAME_labels.png (class ids), NAME_overlay.png and NAME_both.png (the image, the overlay and the
  // colours) of one image; returns the share of the pixels that each class has, [1, classes].
  torch::Tensor write_pictures(const std::string& file, const ImageReader& reader,
                               const torch::Tensor& scores, const ClassInfo& classes) const {
    const auto image = reader.open(file);
    const auto labels = label_image(scores, image);
    const auto palette = report::palette_of(classes);
    const auto overlay = report::overlay(image, labels, palette);
    const auto stem = (fs::path(out) / fs::path(file).stem()).string();
    write_png(stem + "_labels.png", labels);
    write_png(stem + "_overlay.png", overlay);
    write_png(stem + "_both.png",
              report::side_by_side({image, overlay, report::colour_labels(labels, palette)}));

    auto shares = torch::zeros({1, classes.size()});
    auto counts = shares.accessor<float, 2>();
    for (int64_t i = 0; i < labels.size(); ++i) counts[0][labels.pixels()[i]] += 1;
    return shares / static_cast<double>(labels.size());
  }

  std::string csv_header(int64_t count) const {
    std::vector<std::string> names{"file"};
    if (reject) names.insert(names.end(), {"known", "confidence"});
    for (int64_t k = 1; k <= count; ++k) {
      names.push_back(fmt::format("class_{}", k));
      names.push_back(fmt::format("score_{}", k));
    }
    return report::csv_line(names);
  }

  void print(const Batch& batch, const torch::Tensor& values, const torch::Tensor& indices,
             const std::vector<std::string>& files, const ClassInfo& classes,
             const torch::Tensor& confidences) const {
    for (int64_t i = 0; i < batch.size(); ++i) {
      Prediction prediction;
      prediction.file = files[static_cast<size_t>(batch.indices[static_cast<size_t>(i)])];
      for (int64_t k = 0; k < values.size(1); ++k) {
        const auto label = indices[i][k].item<int64_t>();
        prediction.best.emplace_back(classes.names[static_cast<size_t>(label)],
                                     values[i][k].item<double>());
      }
      if (threshold) {
        prediction.confidence = confidences[i].item<double>();
        prediction.known = prediction.confidence >= threshold->threshold;
      }
      std::cout << text(prediction);
    }
  }

  std::string text(const Prediction& prediction) const {
    if (format == "csv") {
      std::vector<std::string> fields{prediction.file};
      if (threshold) {
        fields.insert(fields.end(),
                      {prediction.known ? "1" : "0", fmt::format("{:.6f}", prediction.confidence)});
      }
      for (const auto& [name, score] : prediction.best) {
        fields.push_back(name);
        fields.push_back(fmt::format("{:.6f}", score));
      }
      return report::csv_line(fields);
    }
    if (format == "jsonl") {
      nlohmann::ordered_json json = {{"file", prediction.file}};
      if (threshold) {
        json.update({{"known", prediction.known},
                     {"score", threshold->score},
                     {"confidence", prediction.confidence},
                     {"threshold", threshold->threshold}});
      }
      for (const auto& [name, score] : prediction.best) {
        json["predictions"].push_back({{"class", name}, {"score", score}});
      }
      return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    std::string line = prediction.file;
    if (!prediction.known) {
      line += fmt::format("  unknown ({} {:.3f} < {:.3f})", threshold->score, prediction.confidence,
                          threshold->threshold);
    }
    for (const auto& [name, score] : prediction.best) {
      line += fmt::format("  {} {:.1f} %", name, score * 100);
    }
    return line + "\n";
  }
};

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  auto command = std::make_shared<PredictCommand>();
  auto* sub = app.add_subcommand("predict", "Classify image files, or each of their pixels");
  add_model_source(*sub, command->source);
  sub->add_option("images", command->images, "Image files, or folders of them")
      ->required()
      ->type_name("IMAGE...");
  sub->add_option("--format", command->format, "table, jsonl (one object a line) or csv")
      ->check(CLI::IsMember({"table", "jsonl", "csv"}))
      ->capture_default_str();
  sub->add_option("-k,--top-k", command->top_k, "Classes for each image")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_option(
         "-o,--out", command->out,
         "Folder for the pictures of a model of pixels: NAME_labels.png, NAME_overlay.png, "
         "NAME_both.png; what is printed are shares of the pixels")
      ->type_name("DIR");
  auto* reject = sub->add_flag("--reject", command->reject,
                               "Say of images that they are of no class, by the thresholds that "
                               "`dnc-host test RUN --unknown CONFIG --far 0.05` chose");
  sub->add_option("--far", command->false_accept_rate,
                  "Share of unknown images that may pass as known; one that the thresholds were "
                  "chosen for (default the first of them)")
      ->check(CLI::Range(1e-6, 0.999999))
      ->needs(reject)
      ->type_name("SHARE");
  sub->add_option("--score", command->score,
                  "What decides (default similarity, without sub-centroids probability)")
      ->check(CLI::IsMember({"similarity", "probability", "energy"}))
      ->needs(reject);
  sub->footer(
      example("  dnc-host predict runs/resnet8_dnc photos/ --format csv --top-k 3\n"
              "  dnc-host predict runs/resnet8_dnc photos/ --reject --far 0.05\n"
              "  dnc-host predict runs/fcn_dnc street.jpg --out pictures\n"
              "  dnc-host predict configs/imagenet/resnet50_linear.yaml photos/ --weights "
              "resnet50.pth --classes imagenet.txt\n"
              "A file that cannot be read is named on standard error; the others are "
              "classified, and the exit code is 1."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
