#include "host/explain/gallery.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "host/explain/principal_axes.h"
#include "host/explain/training_crop.h"
#include "host/frozen/embeddings.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

constexpr int64_t kSide = 128;               // pixels of a picture
constexpr int64_t kSmallSide = 96;           // of one of many classes
constexpr int64_t kMostOnMap = 2000;         // points
constexpr int64_t kMostNamedClasses = 24;    // on a map
constexpr int64_t kDrawnNumbers = 64 << 20;  // floats of all points that are kept for maps
constexpr size_t kMostRivals = 3;            // classes on the map of another

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(part) / static_cast<double>(whole);
}

std::vector<report::PlanePoint> plane_points(const torch::Tensor& points) {
  const auto values = points.to(torch::kFloat64).contiguous();  // [n, 2]
  const auto* at = values.const_data_ptr<double>();
  std::vector<report::PlanePoint> out;
  for (int64_t i = 0; i < values.size(0); ++i, at += 2) out.emplace_back(at[0], at[1]);
  return out;
}

std::string shares_text(const PrincipalAxes& axes) {
  return fmt::format(
      "The two directions of largest variance (PCA): {:.0f} % of it across, {:.0f} "
      "% up.",
      axes.shares[0] * 100, axes.shares[1] * 100);
}

// The class that a model gives each location of the embeddings, as scores [R, C].
torch::Tensor scores_of_rows(Model& model, const Model::Output& output) {
  if (output.embeddings.dim() == 2) return output.scores;
  const auto scores = model.head().forward(output.embeddings);  // those above are of another size
  return scores.movedim(1, -1).flatten(0, -2);
}

}  // namespace

GalleryBuilder::GalleryBuilder(OpenedRun& run, GalleryOptions options)
    : run_(run), options_(std::move(options)), transforms_(run.experiment->test_transforms()) {
  auto* head = run.model->prototypes();
  TORCH_CHECK(head != nullptr, "GalleryBuilder: the head has no prototypes");
  prototypes_ = head->prototypes().to(run.experiment->device(), torch::kFloat32);
  if (run.experiment->options().model.inference.mode == InferenceOptions::Mode::kSlide) {
    notes_.emplace_back(
        "Images are seen whole here, not in windows as predict shows them (model.inference).");
  }
  search_training_data();
  count_confusions();
  options_.progress = {};  // what it points to need not outlive the passes
}

void GalleryBuilder::search_training_data() {
  auto& experiment = *run_.experiment;
  auto& head = *run_.model->prototypes();
  const auto seed = static_cast<uint64_t>(experiment.options().seed);
  training_data_ = experiment.split("train").dataset;
  if (options_.samples > 0) training_data_ = draw_samples(training_data_, options_.samples, seed);
  auto data = experiment.options().data;
  data.max_bad_samples = training_data_->size();
  SingleProcess alone;
  const auto loader = evaluation_loader({"train", training_data_, transforms_}, data, seed, alone);
  const auto drawn =
      std::clamp<int64_t>(kDrawnNumbers / (prototypes_.size(0) * prototypes_.size(2)), 16, 200);
  members_.emplace(prototypes_, MemberOptions{options_.shown, drawn, seed});
  NearestSearch nearest(prototypes_, 1);
  int64_t done = 0;
  for_each_batch(*run_.model, *loader, experiment.device(), experiment.options().train.precision,
                 [&](const Batch& batch, const Model::Output& output) {
                   // Cosines in full precision, whatever the network runs in.
                   const c10::impl::ExcludeDispatchKeyGuard full(c10::autocast_dispatch_keyset);
                   const auto points = points_of_batch(head, output.embeddings, batch);
                   nearest.add(points);
                   members_->add(points);
                   if (options_.progress) options_.progress("train", ++done, loader->batches());
                 });
  nearest_ = nearest.result();
  const auto& bad = loader->bad_samples();
  searched_ = training_data_->size() - static_cast<int64_t>(bad.size());
  if (searched_ == 0) throw DataError(bad.front().reason + "; and no other sample is good");
  if (!bad.empty()) options_.warn(bad_samples_text("train", bad));
}

void GalleryBuilder::count_confusions() {
  auto& experiment = *run_.experiment;
  auto& head = *run_.model->prototypes();
  std::optional<Split> split;
  try {
    split = experiment.split(options_.split);
  } catch (const Error& error) {
    options_.warn(std::string("there are no confusions, because the test data cannot be read: ") +
                  error.what());
    notes_.emplace_back("The test data is not there: nothing is said about confusions.");
    return;
  }
  auto data = experiment.options().data;
  data.max_bad_samples = split->dataset->size();
  SingleProcess alone;
  const auto loader = evaluation_loader(*split, data, 0, alone);
  confusions_.emplace(prototypes_);
  int64_t done = 0;
  for_each_batch(*run_.model, *loader, experiment.device(), experiment.options().train.precision,
                 [&](const Batch& batch, const Model::Output& output) {
                   const c10::impl::ExcludeDispatchKeyGuard full(c10::autocast_dispatch_keyset);
                   confusions_->add(points_of_batch(head, output.embeddings, batch),
                                    scores_of_rows(*run_.model, output));
                   if (options_.progress) {
                     options_.progress(options_.split, ++done, loader->batches());
                   }
                 });
  if (!loader->bad_samples().empty()) {
    options_.warn(bad_samples_text(options_.split, loader->bad_samples()));
  }
}

// ---- samples ------------------------------------------------------------------------------------

report::GallerySample GalleryBuilder::shown(const Member& member) const {
  report::GallerySample shown{member.sample,     training_data_->name(member.sample),
                              member.similarity, member.x,
                              member.y,          {}};
  const bool many = classes() > static_cast<int64_t>(report::kMostFullClasses);
  try {
    const auto image =
        run_.experiment->task() == Task::kPixels
            ? training_crop(*training_data_, transforms_, member.sample, member.x, member.y)
            : training_data_->load(member.sample).image;
    shown.picture = report::make_picture(image, many ? kSmallSide : kSide);
  } catch (const DataError&) {  // has gone since the pass: a sign stands in its place
  }
  return shown;
}

std::vector<report::GallerySample> GalleryBuilder::shown(const std::vector<Member>& members) const {
  std::vector<report::GallerySample> all;
  for (const auto& member : members) all.push_back(shown(member));
  return all;
}

report::GalleryPrototype GalleryBuilder::prototype_at(int64_t label, int64_t index) const {
  const auto& members = members_->of(label, index);
  report::GalleryPrototype prototype;
  prototype.index = index;
  prototype.members = members.count;
  prototype.mass = ratio(members.count, members_->count(label));
  prototype.spread = members.spread();
  prototype.typical = shown(members.typical);
  prototype.atypical = shown(members.atypical);
  if (nearest_.found(label, index)) {
    const auto place = nearest_.places[label][index][0];
    prototype.nearest = shown(Member{nearest_.samples[label][index][0].item<int64_t>(),
                                     nearest_.similarities[label][index][0].item<double>(),
                                     place[1].item<double>(), place[0].item<double>()});
  }
  if (!confusions_) return prototype;
  for (int64_t other = 0; other < classes(); ++other) {
    prototype.decided += confusions_->count(other, label, index);
  }
  prototype.right = confusions_->count(label, label, index);
  return prototype;
}

// ---- classes ------------------------------------------------------------------------------------

report::GalleryClass GalleryBuilder::class_at(int64_t label) const {
  report::GalleryClass shown;
  shown.label = label;
  shown.name = run_.experiment->classes().names.at(static_cast<size_t>(label));
  shown.samples = members_->count(label);
  double distances = 0;
  for (int64_t index = 0; index < prototypes_.size(1); ++index) {
    shown.prototypes.push_back(prototype_at(label, index));
    distances += members_->of(label, index).distances;
  }
  shown.spread = shown.samples == 0 ? std::numeric_limits<double>::quiet_NaN()
                                    : distances / static_cast<double>(shown.samples);
  if (confusions_) add_confusions(shown);
  add_map(shown);
  return shown;
}

void GalleryBuilder::add_confusions(report::GalleryClass& shown) const {
  using Counts = std::map<int64_t, std::map<int64_t, int64_t>>;  // class, sub-centroid, samples
  Counts taken_for, taken_from;
  shown.tested = confusions_->count(shown.label);
  for (const auto& [key, count] : confusions_->of(shown.label)) {
    if (key.first == shown.label) {
      shown.right += count;
    } else {
      taken_for[key.first][key.second] = count;
    }
  }
  for (int64_t other = 0; other < classes(); ++other) {
    if (other == shown.label) continue;
    for (int64_t index = 0; index < prototypes_.size(1); ++index) {
      const auto count = confusions_->count(other, shown.label, index);
      if (count > 0) taken_from[other][index] = count;
    }
  }
  const auto sorted = [&](const Counts& counts, bool own) {
    std::vector<report::GalleryConfusion> list;
    for (const auto& [label, by] : counts) {
      report::GalleryConfusion one{label, 0, 0, {by.begin(), by.end()}};
      for (const auto& [index, count] : by) one.count += count;
      one.share = ratio(one.count, own ? shown.tested : confusions_->count(label));
      std::ranges::stable_sort(one.by, std::ranges::greater{},
                               &std::pair<int64_t, int64_t>::second);
      list.push_back(std::move(one));
    }
    std::ranges::stable_sort(list, std::ranges::greater{}, &report::GalleryConfusion::count);
    return list;
  };
  shown.taken_for = sorted(taken_for, true);
  shown.taken_from = sorted(taken_from, false);
}

// ---- maps ---------------------------------------------------------------------------------------

void GalleryBuilder::add_map(report::GalleryClass& shown) const {
  const auto drawn = members_->drawn(shown.label);
  const auto own = prototypes_[shown.label].cpu();
  const auto axes = principal_axes(torch::cat({drawn.values, own}));
  auto& map = shown.map;
  map.title = "Map of " + shown.name;
  for (int64_t index = 0; index < own.size(0); ++index) map.clouds.push_back({index, {}});
  const auto points = plane_points(axes.project(drawn.values));
  for (size_t i = 0; i < points.size(); ++i) {
    map.clouds[static_cast<size_t>(drawn.indices[i])].points.push_back(points[i]);
  }
  const auto centres = plane_points(axes.project(own));
  for (size_t index = 0; index < centres.size(); ++index) {
    map.marks.push_back({centres[index], static_cast<int64_t>(index), false,
                         fmt::format("{}", index), fmt::format("sub-centroid {}", index), ""});
  }
  for (size_t i = 0; i < std::min(kMostRivals, shown.taken_for.size()); ++i) {
    const auto rival = shown.taken_for[i].label;
    const auto& name = run_.experiment->classes().names[static_cast<size_t>(rival)];
    // Of its sub-centroids the one that won most.
    const auto index = shown.taken_for[i].by.front().first;
    const auto at = plane_points(axes.project(prototypes_[rival][index].cpu().unsqueeze(0)));
    map.marks.push_back({at.front(), 7, true, name,
                         fmt::format("sub-centroid {} of {}", index, name),
                         report::gallery_file(rival)});
  }
  shown.map_shares = shares_text(axes);
}

void GalleryBuilder::add_map(report::Gallery& gallery) const {
  const auto C = prototypes_.size(0), K = prototypes_.size(1);
  const bool named = C <= kMostNamedClasses;
  const auto all = prototypes_.flatten(0, 1).cpu();
  std::vector<torch::Tensor> points{named ? all : prototypes_.mean(1).cpu()};
  const auto each = kMostOnMap / C;
  for (int64_t label = 0; named && label < C; ++label) {
    const auto drawn = members_->drawn(label).values;
    points.push_back(drawn.narrow(0, 0, std::min(each, drawn.size(0))));
  }
  const auto axes = principal_axes(torch::cat(points));
  gallery.map.title = "Map of all classes";
  for (int64_t label = 0; label < C; ++label) {
    const auto& name = gallery.name_of(label);
    const auto link = report::gallery_file(label);
    if (!named) {
      const auto at = plane_points(axes.project(points[0].narrow(0, label, 1)));
      gallery.map.marks.push_back({at.front(), 0, false, "", name, link});
      continue;
    }
    const auto cloud = axes.project(points[static_cast<size_t>(label + 1)]);
    gallery.map.clouds.push_back({label, plane_points(cloud)});
    const auto centres = plane_points(axes.project(all.narrow(0, label * K, K)));
    for (size_t index = 0; index < centres.size(); ++index) {
      gallery.map.marks.push_back({centres[index], label, false, index == 0 ? name : "",
                                   fmt::format("sub-centroid {} of {}", index, name), link});
    }
  }
  gallery.map_shares = shares_text(axes);
}

report::Gallery GalleryBuilder::about() const {
  report::Gallery gallery;
  gallery.pixels = run_.experiment->task() == Task::kPixels;
  gallery.classes = run_.experiment->classes().names;
  gallery.searched = searched_;
  gallery.notes = notes_;
  if (confusions_) {
    int64_t tested = 0, right = 0;
    for (int64_t label = 0; label < classes(); ++label) {
      tested += confusions_->count(label);
      for (int64_t index = 0; index < prototypes_.size(1); ++index) {
        right += confusions_->count(label, label, index);
      }
    }
    gallery.test_split = options_.split;
    gallery.accuracy = ratio(right, tested);
  }
  add_map(gallery);
  return gallery;
}

}  // namespace dnc
