#include "host/explain/anchors.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "host/explain/assignment.h"
#include "host/frozen/embeddings.h"
#include "host/report/comparison_text.h"
#include "host/train/evaluate.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

// More than any difference of sums of similarities: only for want of another way.
constexpr double kNotNear = 1e4;  // a sample that is not among the nearest of a prototype
constexpr double kNone = 1e3;     // no sample

// For each of K prototypes, with samples and similarities [K, M], which of its M is taken; -1 for
// none.
std::vector<int64_t> choose(const torch::Tensor& samples, const torch::Tensor& similarities) {
  const auto K = samples.size(0), M = samples.size(1);
  const auto sample = samples.accessor<int64_t, 2>();
  const auto similarity = similarities.accessor<float, 2>();
  std::map<int64_t, int64_t> column_of;
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t m = 0; m < M; ++m) {
      if (sample[k][m] >= 0) {
        column_of.emplace(sample[k][m], static_cast<int64_t>(column_of.size()));
      }
    }
  }
  const auto found = static_cast<int64_t>(column_of.size());
  const auto columns = found + K;  // one "none" for each prototype
  std::vector<double> costs(static_cast<size_t>(K * columns), kNotNear);
  const auto cost = [&](int64_t k, int64_t column) -> double& {
    return costs[static_cast<size_t>(k * columns + column)];
  };
  for (int64_t k = 0; k < K; ++k) {
    cost(k, found + k) = kNone;
    for (int64_t m = 0; m < M; ++m) {
      if (sample[k][m] >= 0) cost(k, column_of.at(sample[k][m])) = -similarity[k][m];
    }
  }
  const auto taken = cheapest_assignment(costs, K, columns);
  std::vector<int64_t> chosen(static_cast<size_t>(K), -1);
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t m = 0; m < M; ++m) {
      if (sample[k][m] >= 0 && column_of.at(sample[k][m]) == taken[static_cast<size_t>(k)]) {
        chosen[static_cast<size_t>(k)] = m;
      }
    }
  }
  return chosen;
}

// The first sample of each name, as numbers; empty where no two have the same.
std::vector<int64_t> different_samples(const Dataset& dataset) {
  std::unordered_set<std::string> names;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    if (names.insert(dataset.name(i)).second) indices.push_back(i);
  }
  if (static_cast<int64_t>(indices.size()) == dataset.size()) indices.clear();
  return indices;
}

// Numbers in a part of the data become those in the whole, with names.
void name_samples(PrototypeSamples& samples, const Dataset& whole,
                  const std::vector<int64_t>& indices) {
  auto* const numbers = samples.nearest.samples.data_ptr<int64_t>();
  for (int64_t i = 0; i < samples.nearest.samples.numel(); ++i) {
    if (numbers[i] >= 0 && !indices.empty()) numbers[i] = indices[static_cast<size_t>(numbers[i])];
    samples.names.push_back(numbers[i] < 0 ? "" : whole.name(numbers[i]));
  }
}

void place(Prototypes& head, const NearestSamples& anchors, torch::Device device) {
  const auto where = anchors.samples.squeeze(2).ge(0).nonzero();  // [n, 2]
  const auto classes = where.select(1, 0), indices = where.select(1, 1);
  const auto points = anchors.points.squeeze(2).index({classes, indices});
  head.set_prototypes(classes.to(device), indices.to(device), points.to(device));
}

template <typename Use>
void for_each(const Anchors& anchors, const Use& use) {
  const auto& nearest = anchors.samples.nearest;
  size_t number = 0;
  for (int64_t c = 0; c < nearest.samples.size(0); ++c) {
    for (int64_t k = 0; k < nearest.samples.size(1); ++k)
      use(c, k, anchors.samples.names[number++]);
  }
}

torch::Tensor similarities_of(const Anchors& anchors) {
  const auto& nearest = anchors.samples.nearest;
  return nearest.similarities.masked_select(nearest.samples.ge(0)).to(torch::kFloat64);
}

}  // namespace

int64_t Anchors::count() const { return similarities_of(*this).numel(); }
double Anchors::mean_similarity() const { return similarities_of(*this).mean().item<double>(); }
double Anchors::least_similarity() const { return similarities_of(*this).min().item<double>(); }

NearestSamples choose_distinct(const NearestSamples& nearest) {
  const auto C = nearest.samples.size(0), K = nearest.samples.size(1);
  auto chosen = torch::full({C, K, 1}, -1, torch::kLong);
  for (int64_t c = 0; c < C; ++c) {
    const auto found = choose(nearest.samples[c], nearest.similarities[c]);
    std::copy(found.begin(), found.end(), chosen.data_ptr<int64_t>() + c * K);
  }
  const auto index = chosen.clamp_min(0);
  const auto none = chosen.lt(0);
  const auto rows = [&](const torch::Tensor& values) {
    return values.gather(2, index.unsqueeze(3).expand({-1, -1, -1, values.size(3)}))
        .masked_fill(none.unsqueeze(3), 0);
  };
  return {nearest.samples.gather(2, index).masked_fill(none, -1),
          nearest.similarities.gather(2, index).masked_fill(
              none, -std::numeric_limits<double>::infinity()),
          rows(nearest.places), rows(nearest.points)};
}

Anchors anchor_prototypes(Model& model, const Split& data, const ExperimentOptions& options,
                          torch::Device device, Communicator& communicator,
                          const std::function<void(int64_t done, int64_t all)>& progress) {
  auto* head = model.prototypes();
  TORCH_CHECK(head != nullptr, "anchor_prototypes: the head has no prototypes");
  const auto indices = different_samples(*data.dataset);
  auto part = data;
  if (!indices.empty()) part.dataset = part_of(data.dataset, indices);
  auto loading = options.data;
  loading.max_bad_samples = part.dataset->size();
  const auto loader =
      evaluation_loader(part, loading, static_cast<uint64_t>(options.seed), communicator);
  const auto K = head->prototypes().size(1);
  const auto nearest =
      find_nearest_samples(model, *loader, device, options.train.precision, K, progress);
  Anchors anchors;
  anchors.bad_samples = loader->bad_samples();
  anchors.samples.searched =
      part.dataset->size() - static_cast<int64_t>(anchors.bad_samples.size());
  anchors.samples.nearest = choose_distinct(gather_nearest(nearest, device, communicator));
  if (anchors.count() == 0) {
    throw DataError(anchors.bad_samples.empty()
                        ? part.dataset->name(0) + ": neither it nor another sample has a label"
                        : anchors.bad_samples.front().reason + "; and no other sample is good");
  }
  name_samples(anchors.samples, *data.dataset, indices);
  place(*head, anchors.samples.nearest, device);
  return anchors;
}

std::string to_json(const Anchors& anchors, const ClassInfo& classes, Task task,
                    const std::vector<std::pair<std::string, report::Figures>>& figures) {
  const auto& nearest = anchors.samples.nearest;
  nlohmann::ordered_json out = {{"sub_centroids", nearest.samples.size(1)},
                                {"training_samples_searched", anchors.samples.searched}};
  for (const auto& [when, values] : figures) {
    for (const auto& [name, value] : values) out["figures"][when][name] = value;
  }
  out["anchors"] = nlohmann::ordered_json::array();
  for_each(anchors, [&](int64_t c, int64_t k, const std::string& name) {
    nlohmann::ordered_json anchor = {{"class", classes.names.at(static_cast<size_t>(c))},
                                     {"sub_centroid", k},
                                     {"index", nullptr}};
    if (nearest.found(c, k)) {
      anchor["index"] = nearest.samples[c][k][0].item<int64_t>();
      anchor["name"] = name;
      anchor["similarity"] = nearest.similarities[c][k][0].item<double>();
      const auto place = nearest.places[c][k][0];
      if (task == Task::kPixels) {
        anchor["place"] = {place[1].item<double>(), place[0].item<double>()};
      }
    }
    out["anchors"].push_back(std::move(anchor));
  });
  // The name of a file need not be UTF-8.
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string to_csv(const Anchors& anchors, const ClassInfo& classes) {
  const auto& nearest = anchors.samples.nearest;
  auto text =
      report::csv_line({"class", "sub_centroid", "index", "name", "similarity", "across", "down"});
  for_each(anchors, [&](int64_t c, int64_t k, const std::string& name) {
    std::vector<std::string> fields{classes.names.at(static_cast<size_t>(c)), std::to_string(k)};
    fields.resize(7);
    if (nearest.found(c, k)) {
      const auto place = nearest.places[c][k][0];
      fields[2] = std::to_string(nearest.samples[c][k][0].item<int64_t>());
      fields[3] = name;
      fields[4] = fmt::format("{:.6f}", nearest.similarities[c][k][0].item<double>());
      fields[5] = fmt::format("{:.4f}", place[1].item<double>());
      fields[6] = fmt::format("{:.4f}", place[0].item<double>());
    }
    text += report::csv_line(fields);
  });
  return text;
}

}  // namespace dnc
