#include "host/report/predictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/report/comparison_text.h"

namespace dnc::report {
namespace {

bool is_worse(const Mistake& a, const Mistake& b) {
  return a.score != b.score ? a.score > b.score : a.index < b.index;
}

}  // namespace

std::string to_json_line(const Prediction& prediction) {
  nlohmann::ordered_json json = {{"index", prediction.index},
                                 {"name", prediction.name},
                                 {"label", prediction.label},
                                 {"prediction", prediction.best.front().first}};
  if (prediction.label.empty()) json["label"] = nullptr;
  for (const auto& [name, score] : prediction.best) {
    json["predictions"].push_back({{"class", name}, {"score", score}});
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string prediction_csv_header(int64_t classes) {
  std::vector<std::string> names{"index", "name", "label", "prediction"};
  for (int64_t k = 1; k <= classes; ++k) {
    names.push_back(fmt::format("class_{}", k));
    names.push_back(fmt::format("score_{}", k));
  }
  return csv_line(names);
}

std::string to_csv_line(const Prediction& prediction) {
  std::vector<std::string> fields{fmt::format("{}", prediction.index), prediction.name,
                                  prediction.label, prediction.best.front().first};
  for (const auto& [name, score] : prediction.best) {
    fields.push_back(name);
    fields.push_back(fmt::format("{:.6f}", score));
  }
  return csv_line(fields);
}

void WorstMistakes::add(const Mistake& mistake) {
  ++count_;
  kept_.push_back(mistake);
  std::ranges::push_heap(kept_, is_worse);
  if (kept_.size() <= most_) return;
  std::ranges::pop_heap(kept_, is_worse);
  kept_.pop_back();
}

std::vector<Mistake> WorstMistakes::sorted() const {
  auto mistakes = kept_;
  std::ranges::sort(mistakes, is_worse);
  return mistakes;
}

}  // namespace dnc::report
