#include "host/components/hooks.h"

#include <torch/types.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "host/files.h"
#include "host/report/confusion.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStopFile = "stop";
constexpr const char* kMassFile = "prototypes.jsonl";
constexpr int64_t kConfusionSide = 320;  // pixels

}  // namespace

void TensorBoardHook::Options::fields(Fields& f) {
  f("every", every, "Steps between two entries of losses and lr.").at_least(1);
  f("images", images,
    "Images in the picture of the first batch and, for pixels, in that of an evaluation (image, "
    "labels and predictions of each); 0 writes no pictures, none of the confusion matrix either.")
      .between(0, 64);
}

void TensorBoardHook::before_run(RunState& state) {
  writer_ = std::make_unique<TensorBoardWriter>(state.folder);
}

void TensorBoardHook::after_step(RunState& state) {
  if (state.step % options_.every != 0) return;
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& [name, value] : state.losses) scalars.emplace_back("train/" + name, value);
  scalars.emplace_back("train/lr", state.lr);
  writer_->add_scalars(state.step, scalars);
}

void TensorBoardHook::after_evaluation(RunState& state, const Evaluation& evaluation) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& [name, value] : evaluation.figures) {
    scalars.emplace_back(evaluation.split + "/" + name, value);
  }
  if (state.prototypes) {
    for (const auto& [name, value] : state.prototypes->figures()) {
      scalars.emplace_back("prototypes/" + name, value);
    }
  }
  writer_->add_scalars(state.step, scalars);
  for (const auto& table : evaluation.tables) {
    if (options_.images == 0 || table.name != "confusion" || table.rows.empty()) continue;
    writer_->add_image(state.step, evaluation.split + "/" + table.name,
                       report::confusion_picture(table, kConfusionSide));
  }
  writer_->flush();
}

void TensorBoardHook::after_run(RunState&) { writer_->flush(); }

void TensorBoardHook::after_picture(const RunState& state, const std::string& name,
                                    const Image& picture) {
  writer_->add_image(state.step, name, picture);
}

void PrototypeMassHook::before_run(RunState& state) {
  // A resumed run does some steps again: their lines go.
  const auto path = state.folder / kMassFile;
  if (!fs::exists(path)) return;
  std::ifstream file(path);
  std::string kept;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json.value("step", int64_t{0}) <= state.step) kept += line + "\n";
  }
  write_file(path, kept);
}

void PrototypeMassHook::after_evaluation(RunState& state, const Evaluation&) {
  if (!state.prototypes) return;
  const auto mass = state.prototypes->mass().to(torch::kCPU, torch::kFloat64).contiguous();
  nlohmann::ordered_json json = {{"step", state.step}, {"mass", nlohmann::json::array()}};
  const auto* values = mass.data_ptr<double>();
  for (int64_t c = 0; c < mass.size(0); ++c, values += mass.size(1)) {
    json["mass"].push_back(std::vector<double>(values, values + mass.size(1)));
  }
  AppendFile(state.folder / kMassFile).append(json.dump());
}

void StopFileHook::before_run(RunState& state) { fs::remove(state.folder / kStopFile); }

void StopFileHook::after_step(RunState& state) {
  std::error_code error;
  if (fs::exists(state.folder / kStopFile, error)) state.stop_reason = "the file 'stop' was found";
}

}  // namespace dnc
