#include <cmath>
#include <nlohmann/json.hpp>

#include "host/report/gallery.h"

namespace dnc::report {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json to_json(const GallerySample& sample, bool pixels) {
  if (sample.sample < 0) return {};
  Json json = {
      {"index", sample.sample}, {"name", sample.name}, {"similarity", number(sample.similarity)}};
  if (pixels) json["place"] = {sample.x, sample.y};
  return json;
}

Json to_json(const std::vector<GallerySample>& samples, bool pixels) {
  auto list = Json::array();
  for (const auto& sample : samples) list.push_back(to_json(sample, pixels));
  return list;
}

Json to_json(const GalleryPrototype& prototype, bool pixels) {
  return {{"index", prototype.index},
          {"members", prototype.members},
          {"mass", number(prototype.mass)},
          {"spread", number(prototype.spread)},
          {"decided", prototype.decided},
          {"right", prototype.right},
          {"nearest", to_json(prototype.nearest, pixels)},
          {"typical", to_json(prototype.typical, pixels)},
          {"atypical", to_json(prototype.atypical, pixels)}};
}

Json to_json(const std::vector<GalleryConfusion>& confusions, const Gallery& gallery) {
  auto list = Json::array();
  for (const auto& one : confusions) {
    Json json = {{"class", gallery.name_of(one.label)},
                 {"count", one.count},
                 {"share", number(one.share)},
                 {"by", Json::array()}};
    for (const auto& [index, count] : one.by) {
      json["by"].push_back({{"sub_centroid", index}, {"count", count}});
    }
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace

std::string to_json(const Gallery& gallery, const std::vector<GalleryClass>& classes) {
  Json json = {{"checkpoint", gallery.checkpoint},
               {"task", gallery.pixels ? "pixels" : "images"},
               {"training_samples_searched", gallery.searched}};
  json["test_split"] = gallery.test_split.empty() ? Json() : Json(gallery.test_split);
  if (!gallery.test_split.empty()) json["accuracy"] = number(gallery.accuracy);
  json["classes"] = Json::array();
  for (const auto& one : classes) {
    Json shown = {{"class", one.name},
                  {"page", gallery_file(one.label)},
                  {"samples", one.samples},
                  {"tested", one.tested},
                  {"right", one.right},
                  {"spread", number(one.spread)},
                  {"sub_centroids", Json::array()}};
    for (const auto& prototype : one.prototypes) {
      shown["sub_centroids"].push_back(to_json(prototype, gallery.pixels));
    }
    shown["taken_for"] = to_json(one.taken_for, gallery);
    shown["taken_from"] = to_json(one.taken_from, gallery);
    json["classes"].push_back(std::move(shown));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dnc::report
