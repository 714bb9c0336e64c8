#pragma once

#include "host/data/batch.h"
#include "host/experiment.h"
#include "host/model.h"
#include "host/report/predictions.h"
#include "host/report/run_record.h"
#include "registry/communicator.h"

namespace dnc {

/// Adds the samples of a batch of images that the model took for another class, with the softmax of
/// its scores [N, classes]. Samples without a label do not count.
void add_mistakes(report::WorstMistakes& mistakes, const Batch& batch, const Model::Output& output);

/// The mistakes of all ranks together. A collective call, with tensors on the rank's device; each
/// rank gets the whole.
report::WorstMistakes gather_mistakes(const report::WorstMistakes& mistakes,
                                      Communicator& communicator, torch::Device device);

/// With names and pictures, read again from the data set. Throws DataError.
report::ShownMistakes show_mistakes(const report::WorstMistakes& mistakes, const Dataset& dataset,
                                    const ClassInfo& classes);

}  // namespace dnc
