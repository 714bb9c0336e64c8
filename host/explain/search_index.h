#pragma once

#include <torch/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/data/loader.h"
#include "host/explain/prototype_samples.h"
#include "host/run.h"

namespace dnc {

/// The training images of a model as points, to be searched for the nearest.
struct SearchIndex {
  torch::Tensor points;   // float32 [N, D], of length 1
  torch::Tensor labels;   // int64 [N]; kIgnoredLabel where there is none
  torch::Tensor samples;  // int64 [N], in the training data
  std::vector<std::string> names;
  std::vector<BadSample> bad_samples;  // met in the pass that made it; not kept in a file

  int64_t size() const { return samples.size(0); }
  /// Those of some classes alone.
  SearchIndex of_classes(const std::vector<int64_t>& labels) const;
};

/// Images of a split as points: the embedding as the head compares it with its prototypes, else the
/// embedding itself, of length 1. In one pass, as in a test. What is damaged, or has an embedding
/// that is not finite, is left out. The model is one of images. Throws DataError where no image is
/// left.
SearchIndex embed_images(OpenedRun& run, const Split& split,
                         const std::function<void(int64_t done, int64_t all)>& progress = {});

/// The index of the training data. A run's folder keeps it (search_index.safetensors, N x D x 4
/// bytes); the next search for the same weights, data and options reads it there and needs no data.
/// A file that is damaged or of another search is made anew, and `search.warn` is told. Of
/// `search`, `samples` counts. Throws DataError and ConfigError where the training data is not
/// there.
SearchIndex training_index(OpenedRun& run, const SampleSearch& search);

/// One file, with `digest` inside. Throws FileError.
void write_index(const std::filesystem::path& file, const std::string& digest,
                 const SearchIndex& index);
/// Reads it back. Throws Error, beginning with the file, where it is damaged or of another digest.
SearchIndex read_index(const std::filesystem::path& file, const std::string& digest);

}  // namespace dnc
