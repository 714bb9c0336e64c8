#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/explain/nearest_samples.h"
#include "host/run.h"

namespace dnc {

/// The training samples that a model's prototypes stand for.
struct PrototypeSamples {
  NearestSamples nearest;          // samples are numbers in the training data
  std::vector<std::string> names;  // of the samples, [C * K * M]; empty where there is none
  int64_t searched = 0;            // samples of the training data that were looked at
};

/// How they are looked for.
struct SampleSearch {
  int64_t count = 1;    // M
  int64_t samples = 0;  // look at so many of the training data, drawn by the seed; 0: at all
  std::function<void(int64_t done, int64_t all)> progress;  // batches
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

/// Looks in one pass over the training data, with the transforms of a test, and keeps what it finds
/// in a run's folder (prototype_samples.safetensors). The next search for the same weights, data
/// and options reads it there and needs no data. Such a file that is damaged or of another search
/// is made anew; `warn` is told, as it is of damaged samples. The run's head has prototypes. Throws
/// DataError and ConfigError where the training data is not there.
PrototypeSamples find_prototype_samples(OpenedRun& run, const SampleSearch& search);

/// What a search's result depends on, as text: a checksum of the weights, and of what the config
/// says of the training data and of how images are made the network's input.
std::string search_digest(const OpenedRun& run, const SampleSearch& search);

/// One file, with `digest` inside. Throws FileError.
void write_prototype_samples(const std::filesystem::path& file, const std::string& digest,
                             const PrototypeSamples& samples);
/// Reads it back for prototypes of the `sizes` [C, K, M, D]. Throws Error, beginning with the file,
/// where it is damaged or of another digest.
PrototypeSamples read_prototype_samples(const std::filesystem::path& file,
                                        const std::string& digest,
                                        const std::vector<int64_t>& sizes);

}  // namespace dnc
