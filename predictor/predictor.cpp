#include "predictor/predictor.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>

#include "host/data/image_decoder.h"
#include "host/inference.h"
#include "host/predict/inference_model.h"
#include "host/program.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

void check(const ImagePixels& image) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const bool sized =
      image.height > 0 && image.width > 0 && image.height <= kMost && image.width <= kMost / 3;
  if (!image.pixels || !sized || (image.row_bytes != 0 && image.row_bytes < 3 * image.width)) {
    throw Error(fmt::format(
        "an image of {} x {} pixels (height x width) with {} bytes from row to row{} is none",
        image.height, image.width, image.row_bytes, image.pixels ? "" : " and no pixels"));
  }
}

// [3, H, W], on the caller's memory.
torch::Tensor view_of(const ImagePixels& image) {
  const auto row = image.row_bytes == 0 ? 3 * image.width : image.row_bytes;
  return torch::from_blob(const_cast<uint8_t*>(image.pixels), {3, image.height, image.width},
                          {1, row, 3}, torch::kUInt8);
}

Image copy_of(const ImagePixels& image) {
  if (image.row_bytes == 0 || image.row_bytes == 3 * image.width) {
    return {image.height, image.width, 3, image.pixels};
  }
  Image copy(image.height, image.width, 3);
  for (int64_t y = 0; y < image.height; ++y) {
    std::copy_n(image.pixels + y * image.row_bytes, 3 * image.width,
                copy.pixels() + y * 3 * image.width);
  }
  return copy;
}

// An image on its way: what the network sees, and the size that labels of its pixels are wanted in.
struct Prepared {
  torch::Tensor input;  // [3, H, W]
  PixelSize size;
};

bool alike(const Prepared& a, const Prepared& b) {
  return a.input.sizes() == b.input.sizes() && a.input.scalar_type() == b.input.scalar_type();
}

std::vector<ClassScore> best_of(const torch::Tensor& shares, int64_t top_k) {
  const auto [values, labels] = shares.topk(std::min(top_k, shares.size(0)));
  const auto* const value = values.const_data_ptr<float>();
  const auto* const label = labels.const_data_ptr<int64_t>();
  std::vector<ClassScore> best;
  for (int64_t i = 0; i < values.size(0); ++i) best.push_back({label[i], value[i]});
  return best;
}

Prediction of_pixels(const torch::Tensor& scores, PixelSize size, int64_t top_k) {
  const auto labels = classes_at_size(scores.unsqueeze(0), size).flatten().to(torch::kInt32);
  Prediction prediction;
  prediction.height = size.height;
  prediction.width = size.width;
  const auto* const first = labels.const_data_ptr<int32_t>();
  prediction.labels.assign(first, first + labels.numel());
  const auto counts = labels.bincount({}, scores.size(0)).to(torch::kFloat64);
  const auto shares = counts / static_cast<double>(labels.numel());
  prediction.classes = best_of(shares.to(torch::kFloat32), top_k);
  return prediction;
}

}  // namespace

struct Predictor::Implementation {
  Implementation(const std::string& path, const Options& options) {
    if (is_exported_file(path)) {
      if (!options.overrides.empty()) {
        throw Error(path + ": is an exported model; overrides are for a run's config");
      }
      model = open_exported_model(program, path, note);
      return;
    }
    if (fs::is_regular_file(path)) {
      throw Error(path + ": is neither a run's folder nor a file of `dnc-host export`");
    }
    run = open_run(program, path, options.checkpoint, options.overrides);
    model = inference_model(*run);
  }

  Prepared prepare(const Image& image) const {
    return {model->prepare(image), {image.height(), image.width()}};
  }

  // Images that look alike are one batch.
  std::vector<Prediction> predict(const std::vector<Prepared>& images, const Ask& ask) const {
    if (ask.top_k < 1) throw Error(fmt::format("top_k must be at least 1, not {}", ask.top_k));
    const c10::InferenceMode no_gradients;
    std::vector<Prediction> predictions(images.size());
    std::vector<bool> done(images.size());
    for (size_t i = 0; i < images.size(); ++i) {
      if (done[i]) continue;
      std::vector<size_t> batch;
      std::vector<torch::Tensor> inputs;
      for (size_t j = i; j < images.size(); ++j) {
        if (done[j] || !alike(images[i], images[j])) continue;
        done[j] = true;
        batch.push_back(j);
        inputs.push_back(images[j].input);
      }
      answer(batch, model->infer(stack_images(inputs), ask.nearest), images, ask, predictions);
    }
    return predictions;
  }

  void answer(const std::vector<size_t>& batch, const InferenceModel::Answer& answer,
              const std::vector<Prepared>& images, const Ask& ask,
              std::vector<Prediction>& predictions) const {
    const bool pixels = model->info().task == Task::kPixels;
    const auto shares = pixels ? answer.scores : answer.scores.softmax(1);
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      auto& prediction = predictions[batch[i]];
      if (pixels) {
        prediction = of_pixels(answer.scores[row], images[batch[i]].size, ask.top_k);
        continue;
      }
      prediction.classes = best_of(shares[row], ask.top_k);
      if (!answer.nearest.defined()) continue;
      prediction.sub_centroid = answer.nearest[row].item<int64_t>();
      prediction.similarity = answer.similarities[row].item<float>();
    }
  }

  Program program;
  std::optional<OpenedRun> run;
  std::string note;
  std::unique_ptr<InferenceModel> model;  // last: it refers to the run
};

Predictor::Predictor(const std::string& path) : Predictor(path, Options()) {}
Predictor::Predictor(const std::string& path, const Options& options)
    : implementation_(std::make_unique<Implementation>(path, options)) {}
Predictor::~Predictor() = default;
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;

const std::vector<std::string>& Predictor::classes() const {
  return implementation_->model->info().classes.names;
}

bool Predictor::for_pixels() const { return implementation_->model->info().task == Task::kPixels; }

bool Predictor::has_sub_centroids() const { return implementation_->model->info().sub_centroids; }

const std::string& Predictor::note() const { return implementation_->note; }

std::vector<Prediction> Predictor::predict(std::span<const ImagePixels> images) const {
  return predict(images, Ask());
}

std::vector<Prediction> Predictor::predict(std::span<const ImagePixels> images,
                                           const Ask& ask) const {
  std::vector<Prepared> prepared;
  for (const auto& image : images) {
    check(image);
    prepared.push_back(ask.transforms ? implementation_->prepare(copy_of(image))
                                      : Prepared{view_of(image), {image.height, image.width}});
  }
  return implementation_->predict(prepared, ask);
}

std::vector<Prediction> Predictor::predict(std::span<const EncodedBytes> images) const {
  return predict(images, Ask());
}

std::vector<Prediction> Predictor::predict(std::span<const EncodedBytes> images,
                                           const Ask& ask) const {
  std::vector<Prepared> prepared;
  for (const auto& image : images) {
    prepared.push_back(implementation_->prepare(implementation_->program.images().open(
        {image.bytes.begin(), image.bytes.end()}, std::string(image.name))));
  }
  return implementation_->predict(prepared, ask);
}

std::vector<Prediction> Predictor::predict_files(std::span<const std::string> files) const {
  return predict_files(files, Ask());
}

std::vector<Prediction> Predictor::predict_files(std::span<const std::string> files,
                                                 const Ask& ask) const {
  std::vector<Prepared> prepared;
  for (const auto& file : files) {
    prepared.push_back(implementation_->prepare(implementation_->program.images().open(file)));
  }
  return implementation_->predict(prepared, ask);
}

}  // namespace dnc
