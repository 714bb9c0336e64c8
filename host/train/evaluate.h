#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "host/data/loader.h"
#include "host/experiment.h"
#include "host/model.h"
#include "host/train/views.h"
#include "registry/communicator.h"
#include "registry/hook.h"
#include "registry/metric.h"

namespace dnc {

/// A loader that goes once over a split, in its order. It leaves nothing out but damaged samples,
/// where `max_bad_samples` lets them pass.
std::unique_ptr<Loader> evaluation_loader(const Split& split, const DataOptions& options,
                                          uint64_t seed, const Communicator& communicator);

/// Gets a batch, on the device, with what the model made of it.
using UseBatch = std::function<void(const Batch&, const Model::Output&)>;

/// Runs the model over every batch that is not empty in evaluation mode, without gradients, and
/// leaves its mode as it was.
void for_each_batch(Model& model, Loader& loader, torch::Device device, Precision precision,
                    const UseBatch& use, const Views& views = {});

/// Tells all ranks of the damaged samples that each has met, so that they count together.
/// Collective. Throws DataError, on all ranks, where there are more than may be.
void share_bad_samples(Loader& loader, Communicator& communicator);

/// Counts all metrics over a split, of all ranks; `also_use` gets what they get on this one. Throws
/// DataError where no sample of it is good.
Evaluation evaluate(Model& model, Loader& loader, const std::string& split,
                    const std::vector<std::shared_ptr<Metric>>& metrics, torch::Device device,
                    Precision precision, Communicator& communicator, const Views& views = {},
                    const UseBatch& also_use = {});

}  // namespace dnc
