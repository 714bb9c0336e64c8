#include "host/report/prototype_images.h"

#include <torch/torch.h>

#include <nlohmann/json.hpp>

#include "host/explain/prototype_samples.h"
#include "host/files.h"
#include "host/report/picture.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

constexpr int64_t kPictureSide =
    256;  // pixels; larger photos would make a report of hundreds of MB

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
  SampleSearch search;
  search.progress = progress;
  const auto found = find_prototype_samples(run, search);
  const auto& nearest = found.nearest;
  const auto& dataset = *run.experiment->split("train").dataset;
  const auto mass = head->mass().to(torch::kCPU, torch::kFloat64).contiguous();
  nlohmann::ordered_json json = {{"classes", run.experiment->classes().names}};
  json["prototypes"] = nlohmann::ordered_json::array();
  for (int64_t label = 0; label < mass.size(0); ++label) {
    for (int64_t index = 0; index < mass.size(1); ++index) {
      if (!nearest.found(label, index)) continue;  // a class without training images
      nlohmann::ordered_json one = {
          {"class", label},
          {"index", index},
          {"mass", mass[label][index].item<double>()},
          {"similarity", nearest.similarities[label][index][0].item<double>()}};
      one.update(entry(dataset, nearest.samples[label][index][0].item<int64_t>()));
      json["prototypes"].push_back(std::move(one));
    }
  }
  write_file(run.folder / "prototypes.json", json.dump() + "\n");
}

}  // namespace dnc
