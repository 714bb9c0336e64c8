#include "host/explain/members.h"

#include <torch/torch.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "registry/head.h"
#include "registry/random.h"

namespace dnc {
namespace {

constexpr int64_t kBlock = 1 << 24;  // numbers of the prototypes that are compared at once

// Keeps the best of each sample, at most `most`, the best first. `better(a, b)`: a before b.
template <typename Better>
void keep(std::vector<Member>& list, const Member& member, int64_t most, const Better& better) {
  if (static_cast<int64_t>(list.size()) == most && (most == 0 || !better(member, list.back()))) {
    return;
  }
  const auto same = std::ranges::find(list, member.sample, &Member::sample);
  if (same != list.end()) {
    if (!better(member, *same)) return;
    list.erase(same);
  }
  list.insert(std::ranges::upper_bound(list, member, better), member);
  if (static_cast<int64_t>(list.size()) > most) list.pop_back();
}

}  // namespace

double PrototypeMembers::spread() const {
  return count == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : distances / static_cast<double>(count);
}

std::pair<torch::Tensor, torch::Tensor> nearest_of_class(const torch::Tensor& values,
                                                         const torch::Tensor& labels,
                                                         const torch::Tensor& prototypes) {
  const auto rows = std::max<int64_t>(1, kBlock / (prototypes.size(1) * prototypes.size(2)));
  std::vector<torch::Tensor> indices, cosines;
  for (int64_t first = 0; first < values.size(0); first += rows) {
    const auto count = std::min(rows, values.size(0) - first);
    const auto own = prototypes.index_select(0, labels.narrow(0, first, count));  // [n, K, D]
    const auto points = values.narrow(0, first, count).to(own.scalar_type()).unsqueeze(2);
    const auto [cosine, index] = own.bmm(points).squeeze(2).max(1);
    indices.push_back(index);
    cosines.push_back(cosine);
  }
  if (indices.empty()) return {torch::empty({0}, labels.options()), torch::empty({0})};
  return {torch::cat(indices), torch::cat(cosines)};
}

MemberSearch::MemberSearch(const torch::Tensor& prototypes, const MemberOptions& options)
    : prototypes_(prototypes.to(torch::kFloat32)),
      options_(options),
      members_(static_cast<size_t>(prototypes.size(0) * prototypes.size(1))),
      drawn_(static_cast<size_t>(prototypes.size(0))) {}

void MemberSearch::add(const NearestSearch::Points& batch) {
  const auto good = batch.values.isfinite()
                        .all(1)
                        .logical_and(batch.labels.ne(kIgnoredLabel))
                        .nonzero()
                        .squeeze(1);
  const auto values = batch.values.index_select(0, good);
  const auto on_cpu = [&](const torch::Tensor& of_all) {
    return of_all.index_select(0, good).cpu().contiguous();
  };
  const auto own_labels = batch.labels.index_select(0, good);
  const auto [own_indices, own_cosines] = nearest_of_class(values, own_labels, prototypes_);
  const auto labels = own_labels.cpu(), indices = own_indices.cpu(), cosines = own_cosines.cpu();
  const auto samples = on_cpu(batch.samples), places = on_cpu(batch.places);
  const auto* label = labels.const_data_ptr<int64_t>();
  const auto* index = indices.const_data_ptr<int64_t>();
  const auto* cosine = cosines.const_data_ptr<float>();
  const auto* sample = samples.const_data_ptr<int64_t>();
  const auto* place = places.const_data_ptr<float>();
  for (int64_t i = 0; i < labels.size(0); ++i, place += 2) {
    add_member(label[i], index[i], {sample[i], cosine[i], place[1], place[0]});
    draw(label[i], index[i], values[i]);
  }
}

void MemberSearch::add_member(int64_t label, int64_t index, const Member& member) {
  auto& members = members_[static_cast<size_t>(label * prototypes_.size(1) + index)];
  ++members.count;
  members.distances += 1 - member.similarity;
  keep(members.typical, member, options_.shown,
       [](const Member& a, const Member& b) { return a.similarity > b.similarity; });
  keep(members.atypical, member, options_.shown,
       [](const Member& a, const Member& b) { return a.similarity < b.similarity; });
}

void MemberSearch::draw(int64_t label, int64_t index, const torch::Tensor& point) {
  auto& drawn = drawn_[static_cast<size_t>(label)];
  const auto row = rows_++;
  const auto ticket =
      Random(options_.seed, Purpose::kSample, 0, static_cast<uint64_t>(row)).uniform();
  const bool full = static_cast<int64_t>(drawn.size()) == options_.drawn;
  if (full && (options_.drawn == 0 || ticket >= drawn.front().ticket)) return;
  const auto by_ticket = [](const Drawn& a, const Drawn& b) { return a.ticket < b.ticket; };
  drawn.push_back({ticket, row, index, point.to(torch::kCPU, torch::kFloat32).clone()});
  std::ranges::push_heap(drawn, by_ticket);
  if (!full) return;
  std::ranges::pop_heap(drawn, by_ticket);
  drawn.pop_back();
}

const PrototypeMembers& MemberSearch::of(int64_t label, int64_t index) const {
  return members_.at(static_cast<size_t>(label * prototypes_.size(1) + index));
}

int64_t MemberSearch::count(int64_t label) const {
  int64_t count = 0;
  for (int64_t index = 0; index < prototypes_.size(1); ++index) count += of(label, index).count;
  return count;
}

DrawnPoints MemberSearch::drawn(int64_t label) const {
  auto drawn = drawn_.at(static_cast<size_t>(label));
  std::ranges::sort(drawn, {}, &Drawn::row);
  DrawnPoints points;
  points.values = torch::empty({static_cast<int64_t>(drawn.size()), prototypes_.size(2)});
  for (size_t i = 0; i < drawn.size(); ++i) {
    points.values[static_cast<int64_t>(i)].copy_(drawn[i].point);
    points.indices.push_back(drawn[i].index);
  }
  return points;
}

}  // namespace dnc
