#include "host/train/start_model.h"

#include <torch/types.h>

#include "host/train/saved_weights.h"
#include "host/weights/initial_weights.h"
#include "host/weights/state.h"

namespace dnc {
namespace {

/// "model.head.start: data", for a head that has an option of that name.
std::string start_of_prototypes(const Experiment& experiment) {
  const auto* head = experiment.resolved().find("model")->find("head");
  const auto* start = head->is_map() ? head->find("start") : nullptr;
  return start && start->is_scalar() ? " (model.head.start: " + start->scalar + ")" : "";
}

}  // namespace

std::string start_model(const Experiment& experiment, Model& model) {
  const auto& options = experiment.options();
  if (options.load_from.empty()) return "";
  const auto* head = model.prototypes();
  const auto before = head ? head->prototypes() : torch::Tensor();
  auto text = start_from_weights(state_of(model), read_weights(options.load_from.value),
                                 options.load_allow, options.load_part);
  if (head && head->prototypes().equal(before)) {
    text += "\nthe prototypes of the head are not among them: they start anew" +
            start_of_prototypes(experiment);
  }
  return text;
}

}  // namespace dnc
