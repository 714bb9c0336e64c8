#include "host/serve/image_explainer.h"

#include <algorithm>
#include <utility>

#include "host/data/encode_png.h"
#include "host/report/picture.h"
#include "host/serve/request_error.h"

namespace dnc::serve {
namespace {

using nlohmann::ordered_json;

/// The image of a request, as a data set.
class OneImage final : public Dataset {
 public:
  OneImage(const Image& image, ClassInfo classes) : image_(image), classes_(std::move(classes)) {}

  int64_t size() const override { return 1; }
  Sample load(int64_t) const override {
    Sample sample;
    sample.image = image_;
    return sample;
  }
  const ClassInfo& classes() const override { return classes_; }
  std::string name(int64_t) const override { return "the image"; }

 private:
  const Image& image_;
  ClassInfo classes_;
};

std::string name_of(ExplainOptions::Map map) {
  switch (map) {
    case ExplainOptions::Map::kNone:
      return "none";
    case ExplainOptions::Map::kOcclusion:
      return "occlusion";
    case ExplainOptions::Map::kGradient:
      break;
  }
  return "gradient";
}

report::Explanation about(OpenedRun& run, ExplainOptions::Map map) {
  auto& experiment = *run.experiment;
  report::Explanation explanation;
  explanation.pixels = experiment.task() == Task::kPixels;
  explanation.classes = experiment.classes().names;
  if (auto* head = run.model->prototypes()) {
    explanation.sub_centroids = head->prototypes().size(1);
  }
  explanation.map = name_of(map);
  return explanation;
}

constexpr const char* kPng = "data:image/png;base64,";

void add_picture(const report::Picture& picture, ordered_json& json) {
  if (!picture.png.empty()) json["picture"] = kPng + picture.png;
}

// The training image of each sub-centroid, and the map, beside what is said of them.
void add_pictures(const report::ShownDecision& shown, ordered_json& json) {
  for (size_t i = 0; i < shown.nearest.size(); ++i) {
    add_picture(shown.nearest[i].stands_for.picture, json["nearest"][i]);
  }
  if (shown.counter) {
    add_picture(shown.counter->stands_for.picture, json["counter_evidence"]);
  }
  add_picture(shown.picture, json);
  if (!shown.map_picture.png.empty()) {
    json["map"].erase("file");
    add_picture(shown.map_picture, json["map"]);
  }
  if (!shown.verdict.empty()) json["rule"]["verdict"] = shown.verdict;
}

}  // namespace

std::string data_uri(const Image& picture) { return kPng + report::base64(encode_png(picture)); }

ImageExplainer::ImageExplainer(OpenedRun& run, ExplainOptions options,
                               std::optional<PrototypeSamples> samples)
    : explainer_(run, options, std::move(samples)), about_(about(run, options.map)) {
  about_.notes = explainer_.notes();
}

ordered_json ImageExplainer::explain(const Image& image, Clock::time_point deadline) {
  const std::unique_lock lock(mutex_, deadline);
  if (!lock) throw RequestError(503, "other images are being explained; try again later");
  const OneImage files(image, {about_.classes, {}});
  auto explained = explainer_.explain(files, 0);
  auto explanation = about_;
  explanation.images.push_back(std::move(explained.shown));
  const auto& shown = explanation.images.front();
  auto json = ordered_json::parse(to_json(explanation))["images"][0];
  json.erase("file");
  json.erase("files");
  for (size_t i = 0; i < shown.decisions.size(); ++i) {
    add_pictures(shown.decisions[i], json["decisions"][i]);
  }
  add_picture(shown.picture, json);
  json["sheet"] = data_uri(
      std::ranges::find(explained.pictures, "explained", &std::pair<std::string, Image>::first)
          ->second);
  json["notes"] = about_.notes;
  return json;
}

}  // namespace dnc::serve
