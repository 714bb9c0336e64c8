#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/report/explanation.h"

namespace dnc::report {
namespace {

using nlohmann::ordered_json;

ordered_json to_value(const ShownSample& sample) {
  if (sample.sample < 0) return nullptr;
  ordered_json json = {
      {"index", sample.sample}, {"name", sample.name}, {"similarity", sample.similarity}};
  if (sample.place) json["place"] = *sample.place;
  return json;
}

ordered_json to_value(const ShownEvidence& shown, const Explanation& explanation) {
  return {{"class", explanation.name_of(shown.evidence.label)},
          {"sub_centroid", shown.evidence.index},
          {"similarity", shown.evidence.similarity},
          {"share", shown.evidence.share},
          {"training_sample", to_value(shown.stands_for)}};
}

ordered_json to_value(const std::optional<ShownEvidence>& shown, const Explanation& explanation) {
  return shown ? to_value(*shown, explanation) : ordered_json(nullptr);
}

constexpr int64_t kGrid = 16;  // cells of a map down and across, at most

// The means of a map over the cells of a coarse grid, rows from top to bottom.
ordered_json grid_of(const HeatMap& map) {
  const auto rows = std::min(kGrid, map.height), columns = std::min(kGrid, map.width);
  std::vector<std::vector<double>> sums(static_cast<size_t>(rows),
                                        std::vector<double>(static_cast<size_t>(columns)));
  auto counts = sums;
  for (int64_t y = 0; y < map.height; ++y) {
    for (int64_t x = 0; x < map.width; ++x) {
      const auto row = static_cast<size_t>(y * rows / map.height);
      const auto column = static_cast<size_t>(x * columns / map.width);
      sums[row][column] += map.values[static_cast<size_t>(y * map.width + x)];
      counts[row][column] += 1;
    }
  }
  for (size_t row = 0; row < sums.size(); ++row) {
    for (size_t column = 0; column < sums[row].size(); ++column) {
      sums[row][column] /= counts[row][column];
    }
  }
  return sums;
}

ordered_json to_value(const HeatMap& map, const std::string& file) {
  if (map.values.empty()) return nullptr;
  const auto strongest = std::ranges::max_element(map.values) - map.values.begin();
  return {{"width", map.width},   {"height", map.height},
          {"peak", map.peak()},   {"strongest_at", {strongest % map.width, strongest / map.width}},
          {"grid", grid_of(map)}, {"file", file}};
}

ordered_json to_value(const ShownDecision& shown, const Explanation& explanation) {
  ordered_json json;
  if (!shown.box.empty()) json["box"] = shown.box;
  json["prediction"] = explanation.name_of(shown.decision.label());
  json["classes"] = ordered_json::array();
  for (const auto& [label, share] : shown.decision.classes) {
    json["classes"].push_back({{"class", explanation.name_of(label)}, {"score", share}});
  }
  if (explanation.sub_centroids > 0) {
    json["nearest"] = ordered_json::array();
    for (const auto& one : shown.nearest) json["nearest"].push_back(to_value(one, explanation));
    json["support"] = to_value(shown.support, explanation);
    json["rival"] = to_value(shown.rival, explanation);
    json["counter_evidence"] = to_value(shown.counter, explanation);
    json["rule"] = {{"text", shown.rule}, {"applies", shown.decision.by_nearest()}};
  }
  json["map"] = to_value(shown.map, shown.map_file);
  return json;
}

ordered_json to_value(const ShownImage& image, const Explanation& explanation) {
  ordered_json json = {{"file", image.file}, {"width", image.width}, {"height", image.height}};
  json["decisions"] = ordered_json::array();
  for (const auto& one : image.decisions) json["decisions"].push_back(to_value(one, explanation));
  if (explanation.pixels) {
    json["pixels"] = ordered_json::array();
    for (const auto& choice : image.choices) {
      ordered_json one = {{"class", explanation.name_of(choice.evidence.evidence.label)},
                          {"pixels", choice.pixels},
                          {"colour", choice.colour}};
      if (explanation.sub_centroids > 0) {
        one["sub_centroid"] = choice.evidence.evidence.index;
        one["training_sample"] = to_value(choice.evidence.stands_for);
      }
      json["pixels"].push_back(std::move(one));
    }
  }
  json["files"] = image.files;
  return json;
}

}  // namespace

std::string to_json(const Explanation& explanation) {
  ordered_json json = {{"command", explanation.command},
                       {"version", explanation.version},
                       {"date", explanation.date},
                       {"checkpoint", explanation.checkpoint},
                       {"task", explanation.pixels ? "pixels" : "images"},
                       {"classes", explanation.classes},
                       {"sub_centroids", explanation.sub_centroids},
                       {"training_samples_searched", explanation.searched},
                       {"map", explanation.map},
                       {"notes", explanation.notes}};
  json["images"] = ordered_json::array();
  for (const auto& image : explanation.images) {
    json["images"].push_back(to_value(image, explanation));
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace dnc::report
