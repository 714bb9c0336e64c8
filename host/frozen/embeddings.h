#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "host/data/loader.h"
#include "host/experiment.h"
#include "host/model.h"
#include "registry/random.h"

namespace dnc {

/// What a frozen network makes of a part of the data: what its head would get. N are the samples,
/// or, where their labels are images, the positions of their maps of embeddings.
struct Embeddings {
  torch::Tensor values;  // float32 [N, D]
  torch::Tensor labels;  // int64 [N], from 0
};

/// Told after each batch how many are done, and how many there are.
using Progressed = std::function<void(int64_t done, int64_t all)>;

/// Goes once through what the loader gives, in evaluation mode and without gradients, and hands
/// over the embeddings of each batch, on the device. Those without a label are left out. A position
/// of a map has the nearest pixel's label. Throws
/// DataError for an embedding that is not finite, beginning with the name of its sample, and where
/// no sample is good.
void for_each_embedding(Model& model, Loader& loader, torch::Device device, Precision precision,
                        const std::function<void(const Embeddings&)>& use,
                        const Progressed& progressed = {});

/// All of them together, on the CPU: N x D x 4 bytes. For images.
Embeddings collect_embeddings(Model& model, Loader& loader, torch::Device device,
                              Precision precision, const Progressed& progressed = {});

/// At most `per_batch` of each batch, one of each of as many equal parts of it, on the CPU. For
/// pixels, of which a data set has more than fit.
Embeddings sample_embeddings(Model& model, Loader& loader, torch::Device device,
                             Precision precision, int64_t per_batch, Random random,
                             const Progressed& progressed = {});

/// `count` numbers below `size`, drawn without repetition by the seed, rising; all of them where
/// there are no more.
std::vector<int64_t> draw_indices(int64_t size, int64_t count, uint64_t seed);

/// The samples of these numbers, in this order, as a data set of their own.
std::shared_ptr<const Dataset> part_of(std::shared_ptr<const Dataset> dataset,
                                       std::vector<int64_t> indices);

/// `count` samples of a data set, drawn without repetition by the seed, in the order of the set;
/// the set itself where it has no more.
std::shared_ptr<const Dataset> draw_samples(std::shared_ptr<const Dataset> dataset, int64_t count,
                                            uint64_t seed);

}  // namespace dnc
