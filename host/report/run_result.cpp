#include "host/report/run_result.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/files.h"

namespace dnc::report {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json figures_json(const Figures& figures) {
  Json json = Json::object();
  for (const auto& [name, value] : figures) json[name] = number(value);
  return json;
}

Json table_json(const Table& table) {
  Json values = Json::array();
  for (const double value : table.values) values.push_back(number(value));
  return {
      {"name", table.name}, {"columns", table.columns}, {"rows", table.rows}, {"values", values}};
}

}  // namespace

void write_result(const std::filesystem::path& file, const RunResult& result) {
  Json tables = Json::array();
  for (const auto& table : result.tables) tables.push_back(table_json(table));
  Json json = {
      {"name", result.name},
      {"config", result.config},
      {"seed", result.seed},
      {"steps", number(result.steps)},
      {"epochs", number(result.epochs)},
      {"seconds", number(result.seconds)},
      {"step_ms", {{"median", number(result.step_ms_median)}, {"p90", number(result.step_ms_p90)}}},
      {"images_per_second", number(result.images_per_second)},
      {"peak_memory_mib", number(result.peak_memory_mib)},
      {"parameters",
       {{"learnable", number(result.learnable_parameters)},
        {"total", number(result.total_parameters)},
        {"buffers", number(result.buffers)}}},
      {"split", result.split},
      {"figures", figures_json(result.figures)},
      {"tables", tables},
      {"machine",
       {{"cpu", result.cpu}, {"threads", number(result.threads)}, {"device", result.device}}},
      {"version", result.version},
      {"date", result.date}};
  if (!result.mass.empty()) {
    json["prototypes"] = {{"figures", figures_json(result.prototype_figures)},
                          {"mass", result.mass}};
  }
  write_file(file, json.dump(1) + "\n");
}

void write_mistakes(const std::filesystem::path& file, const ShownMistakes& mistakes) {
  Json json = {{"in_all", mistakes.in_all}, {"worst", Json::array()}};
  for (const auto& mistake : mistakes.worst) {
    json["worst"].push_back({{"sample", mistake.sample},
                             {"label", mistake.label},
                             {"prediction", mistake.prediction},
                             {"score", number(mistake.score)},
                             {"label_score", number(mistake.label_score)},
                             {"png", mistake.picture.png}});
  }
  // The name of a file need not be UTF-8.
  write_file(file, json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace dnc::report
