#include "host/report/prototype_images.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "host/files.h"
#include "host/report/picture.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

constexpr int64_t kPictureSide =
    256;  // pixels; larger photos would make a report of hundreds of MB

// The nearest sample of each prototype so far, [C * K].
struct Nearest {
  std::vector<double> similarity;
  std::vector<int64_t> sample;
};

// Cosines of each point with the prototypes of its own class, [N, K].
torch::Tensor own_similarities(const torch::Tensor& points, const torch::Tensor& prototypes,
                               const torch::Tensor& labels) {
  return torch::bmm(prototypes.index_select(0, labels), points.unsqueeze(2)).squeeze(2);
}

void keep_nearest(const torch::Tensor& similarities, const Batch& batch, Nearest& nearest) {
  const auto values = similarities.to(torch::kCPU, torch::kFloat64).contiguous();
  const auto labels = batch.labels.cpu();
  const auto count = values.size(1);
  for (int64_t i = 0; i < values.size(0); ++i) {
    const auto label = labels.data_ptr<int64_t>()[i];
    if (label == kIgnoredLabel) continue;
    for (int64_t k = 0; k < count; ++k) {
      const auto at = static_cast<size_t>(label * count + k);
      const double value = values.data_ptr<double>()[i * count + k];
      if (value <= nearest.similarity[at]) continue;
      nearest.similarity[at] = value;
      nearest.sample[at] = batch.indices[static_cast<size_t>(i)];
    }
  }
}

nlohmann::ordered_json entry(const Dataset& dataset, int64_t sample) {
  const auto picture = report::make_picture(dataset.load(sample).image, kPictureSide);
  return {{"sample", sample},
          {"name", dataset.name(sample)},
          {"width", picture.width},
          {"height", picture.height},
          {"png", picture.png}};
}

}  // namespace

void write_prototype_images(OpenedRun& run, const std::function<void(int64_t, int64_t)>& progress) {
  auto* head = run.model->prototypes();
  if (!head || run.experiment->task() != Task::kImages) return;
  auto& experiment = *run.experiment;
  const auto& train = experiment.split("train");
  Split as_tested = train;
  if (experiment.has_split("test")) as_tested.transforms = experiment.split("test").transforms;

  const torch::NoGradGuard no_grad;
  const auto prototypes = head->prototypes().to(experiment.device());
  const auto classes = prototypes.size(0);
  const auto count = prototypes.size(1);
  Nearest nearest{std::vector<double>(static_cast<size_t>(classes * count),
                                      -std::numeric_limits<double>::infinity()),
                  std::vector<int64_t>(static_cast<size_t>(classes * count), -1)};
  SingleProcess alone;
  const auto loader = evaluation_loader(as_tested, experiment.options().data, 0, alone);
  int64_t done = 0;
  for_each_batch(*run.model, *loader, experiment.device(), experiment.options().train.precision,
                 [&](const Batch& batch, const Model::Output& output) {
                   const auto points = head->project(output.embeddings);
                   const auto own = own_similarities(points, prototypes, batch.labels.clamp_min(0));
                   keep_nearest(own, batch, nearest);
                   progress(++done, loader->batches());
                 });

  const auto mass = head->mass().to(torch::kCPU, torch::kFloat64).contiguous();
  nlohmann::ordered_json json = {{"classes", experiment.classes().names}};
  json["prototypes"] = nlohmann::ordered_json::array();
  for (int64_t at = 0; at < classes * count; ++at) {
    const auto sample = nearest.sample[static_cast<size_t>(at)];
    if (sample < 0) continue;  // a class without training images
    nlohmann::ordered_json one = {{"class", at / count},
                                  {"index", at % count},
                                  {"mass", mass.data_ptr<double>()[at]},
                                  {"similarity", nearest.similarity[static_cast<size_t>(at)]}};
    one.update(entry(*train.dataset, sample));
    json["prototypes"].push_back(std::move(one));
  }
  write_file(run.folder / "prototypes.json", json.dump() + "\n");
}

}  // namespace dnc
