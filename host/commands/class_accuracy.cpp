#include "host/commands/class_accuracy.h"

#include <utility>

#include "registry/communicator.h"
#include "registry/error.h"
#include "registry/head.h"

namespace dnc {

void ClassCounts::add(const Batch& batch, const Model::Output& output) {
  const auto C = table.size(0);
  const auto rows = batch.labels.ne(kIgnoredLabel);
  const auto labels = batch.labels.masked_select(rows);
  const auto predictions = output.scores.argmax(1).masked_select(rows);
  table += torch::bincount(labels * C + predictions, {}, C * C).view({C, C}).cpu();
}

UseBatch ClassCounts::watch() {
  return [this](const Batch& batch, const Model::Output& output) { add(batch, output); };
}

int64_t ClassCounts::samples(int64_t label) const { return table[label].sum().item<int64_t>(); }
int64_t ClassCounts::right(int64_t label) const { return given(label, label); }
int64_t ClassCounts::given(int64_t label, int64_t prediction) const {
  return table[label][prediction].item<int64_t>();
}

Share& Share::operator+=(const Share& other) {
  right += other.right;
  samples += other.samples;
  return *this;
}

std::optional<CountedTest> count_test(OpenedRun& run,
                                      const std::function<void(const std::string&)>& warn) {
  auto& experiment = *run.experiment;
  if (!experiment.has_split("test")) {
    warn("the run has no test data, so the accuracy on its classes is not known");
    return std::nullopt;
  }
  try {
    CountedTest tested{ClassCounts(experiment.classes().size()), {}};
    tested.evaluation = evaluate_split(experiment, *run.model, "test", warn, tested.counts.watch());
    return tested;
  } catch (const Error& error) {
    warn("the test data cannot be read, so the accuracy on its classes is not known: " +
         std::string(error.what()));
    return std::nullopt;
  }
}

Share count_files(OpenedRun& run, std::shared_ptr<const Dataset> files, int64_t label) {
  auto& experiment = *run.experiment;
  const Split split{"test", std::move(files), experiment.test_transforms()};
  SingleProcess alone;
  const auto loader = evaluation_loader(split, experiment.options().data, 0, alone);
  ClassCounts counts(experiment.classes().size());
  for_each_batch(*run.model, *loader, experiment.device(), experiment.options().train.precision,
                 counts.watch());
  return {counts.right(label), counts.samples(label)};
}

}  // namespace dnc
