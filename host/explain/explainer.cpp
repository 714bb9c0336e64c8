#include "host/explain/explainer.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "host/explain/attribution.h"
#include "host/explain/network_input.h"
#include "host/explain/training_crop.h"
#include "host/report/explanation_picture.h"
#include "host/report/format.h"
#include "host/train/autocast.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

constexpr int64_t kDefaultPlaces = 3;
constexpr int64_t kShownSide = 640;              // of an image on the page
constexpr int64_t kTrainingSide = 256;           // of a training image
constexpr int64_t kOcclusionPixels = 2'000'000;  // pixels of a batch of occluded images, about

Image shrunk(const Image& image, int64_t longest) {
  const auto side = std::max(image.height(), image.width());
  if (side <= longest) return image.to_channels(3);
  const double scale = static_cast<double>(longest) / static_cast<double>(side);
  const auto scaled = [&](int64_t size) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(size) * scale));
  };
  return image.to_channels(3).resize(scaled(image.height()), scaled(image.width()),
                                     Interpolation::kBilinear);
}

// A region of an image, on a picture of it in another size; a pixel as a box that can be seen.
Box box_on(const Image& picture, const Region& region, PixelSize size) {
  const auto scale = [](int64_t value, int64_t to, int64_t from) { return value * to / from; };
  Box box;
  box.left = scale(region.x, picture.width(), size.width);
  box.top = scale(region.y, picture.height(), size.height);
  box.width = std::max<int64_t>(1, scale(region.width, picture.width(), size.width));
  box.height = std::max<int64_t>(1, scale(region.height, picture.height(), size.height));
  const auto margin = region.is_pixel() ? std::max<int64_t>(2, picture.width() / 120) : 0;
  return {box.top - margin, box.left - margin, box.height + 2 * margin, box.width + 2 * margin};
}

report::HeatMap heat_map(const torch::Tensor& map) {
  const auto values = map.contiguous();
  report::HeatMap heat{values.size(0), values.size(1), {}};
  heat.values.assign(values.const_data_ptr<float>(),
                     values.const_data_ptr<float>() + values.numel());
  return heat;
}

std::string input_text(const std::optional<Region>& region) {
  if (!region) return "";
  if (region->is_pixel()) return fmt::format("Pixel {}, {}", region->x, region->y);
  return fmt::format("Region of {} x {} pixels at {}, {}", region->width, region->height, region->x,
                     region->y);
}

}  // namespace

Explainer::Explainer(OpenedRun& run, ExplainOptions options,
                     std::optional<PrototypeSamples> samples)
    : run_(run), options_(std::move(options)), samples_(std::move(samples)) {
  auto& experiment = *run_.experiment;
  transforms_ = experiment.test_transforms();
  if (auto* head = run_.model->prototypes()) {
    prototypes_ = head->prototypes().to(experiment.device(), torch::kFloat32);
  }
  if (!samples_) return;
  try {
    training_data_ = experiment.split("train").dataset;
  } catch (const Error&) {  // names and numbers are known from an earlier search
  }
}

std::vector<std::string> Explainer::notes() const {
  std::vector<std::string> notes;
  const auto& options = run_.experiment->options();
  if (!prototypes_.defined()) {
    notes.emplace_back(
        "The head has no sub-centroids, so no training images stand for its classes: there are no "
        "nearest images, no rule and no counter-evidence. What can be said: the shares of the "
        "classes, and where in the image a score comes from.");
  } else if (!samples_) {
    notes.emplace_back(
        "The training data is not there, so sub-centroids have numbers in place of images.");
  } else if (!training_data_) {
    notes.emplace_back(
        "The training data is not there: the names of its images are from an earlier search, their "
        "pictures are missing.");
  }
  if (prototypes_.defined() && samples_ &&
      options.model.inference.mode == InferenceOptions::Mode::kSlide) {
    notes.emplace_back(
        "Images are seen in windows here, as predict shows them (model.inference); the search saw "
        "the training images whole.");
  }
  return notes;
}

torch::Tensor Explainer::points_of(const torch::Tensor& embeddings) {
  const auto last = embeddings.movedim(1, -1);
  const auto rows = run_.model->prototypes()->project(last.flatten(0, -2)).to(torch::kFloat32);
  return rows.view(last.sizes()).movedim(-1, 1);
}

Explainer::Output Explainer::run_model(const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  const auto& options = run_.experiment->options();
  std::vector<torch::Tensor> embeddings;
  Output output;
  output.points.windows = windows_of({images.size(2), images.size(3)}, options.model.inference);
  {
    const Autocast autocast(options.train.precision, run_.experiment->device());
    const auto keep = [&](const Model::Output& found) { embeddings.push_back(found.embeddings); };
    if (options.model.inference.mode == InferenceOptions::Mode::kSlide) {
      output.scores = slide(*run_.model, images, output.points.windows, keep);
    } else {
      const auto found = run_.model->forward(images);
      keep(found);
      output.scores = found.scores;
    }
  }
  output.scores = output.scores.to(torch::kFloat32);
  if (!prototypes_.defined()) return output;
  for (const auto& each : embeddings) output.points.grids.push_back(points_of(each));
  return output;
}

// [N, T] or [N, T, h, w]: the similarities to the targets' prototypes, or the scores of their
// classes.
torch::Tensor Explainer::target_values(const torch::Tensor& images,
                                       const std::vector<Target>& targets) {
  if (prototypes_.defined()) {
    std::vector<torch::Tensor> wanted;
    for (const auto& target : targets) wanted.push_back(prototypes_[target.label][target.index]);
    const auto points = points_of(run_.model->embed(images));
    return points.movedim(1, -1).matmul(torch::stack(wanted).t()).movedim(-1, 1);
  }
  std::vector<int64_t> labels;
  for (const auto& target : targets) labels.push_back(target.label);
  const auto scores = run_.model->forward(images).scores.to(torch::kFloat32);
  return scores.index_select(1, torch::tensor(labels, torch::kLong).to(scores.device()));
}

// The same of each target's region, [N, T]. Windows that see no region are not looked at.
torch::Tensor Explainer::values_of(const torch::Tensor& images, const std::vector<Target>& targets,
                                   PixelSize size) {
  if (run_.experiment->task() == Task::kImages) return target_values(images, targets);
  const auto windows =
      windows_of({images.size(2), images.size(3)}, run_.experiment->options().model.inference);
  std::vector<torch::Tensor> sums(targets.size());
  for (size_t i = 0; i < windows.count(); ++i) {
    const auto seen = [&](const Target& target) { return sees(windows, i, *target.region, size); };
    if (std::ranges::none_of(targets, seen)) continue;
    const auto values = target_values(part_of(images, windows.at(i)), targets);
    for (size_t t = 0; t < targets.size(); ++t) {
      if (!seen(targets[t])) continue;
      const auto share = share_of_mean(values.narrow(1, static_cast<int64_t>(t), 1), windows, i,
                                       *targets[t].region, size);
      sums[t] = sums[t].defined() ? sums[t] + share : share;
    }
  }
  return torch::cat(sums, 1);
}

// ---- what prototypes stand for ----------------------------------------------------------------

Explainer::Known Explainer::look_up(int64_t label, int64_t index) {
  Known known;
  if (!samples_ || !samples_->nearest.found(label, index)) return known;
  const auto& nearest = samples_->nearest;
  const auto first = (label * nearest.samples.size(1) + index) * nearest.samples.size(2);
  auto& sample = known.shown;
  sample.sample = nearest.samples[label][index][0].item<int64_t>();
  sample.name = samples_->names.at(static_cast<size_t>(first));
  sample.similarity = nearest.similarities[label][index][0].item<double>();
  const bool pixels = run_.experiment->task() == Task::kPixels;
  const auto place = nearest.places[label][index][0];
  const double y = place[0].item<double>(), x = place[1].item<double>();
  if (pixels) sample.place = {x, y};
  if (!training_data_ || sample.sample >= training_data_->size()) return known;
  try {
    if (pixels) {
      known.image = training_crop(*training_data_, transforms_, sample.sample, x, y);
    } else {
      known.image = shrunk(training_data_->load(sample.sample).image, kTrainingSide);
    }
    sample.picture = report::make_picture(known.image, kTrainingSide);
  } catch (const DataError&) {  // has gone since the search: a number stands in its place
  }
  return known;
}

const Explainer::Known& Explainer::known(int64_t label, int64_t index) {
  const auto key = std::pair(label, index);
  const auto found = known_.find(key);
  if (found != known_.end()) return found->second;
  return known_.emplace(key, look_up(label, index)).first->second;
}

// ---- decisions --------------------------------------------------------------------------------

report::ShownEvidence Explainer::shown(const Evidence& evidence) {
  return {evidence, known(evidence.label, evidence.index).shown};
}

report::ShownDecision Explainer::shown(Decision decision, const std::optional<Region>& region) {
  const auto each = [&](const std::optional<Evidence>& evidence) {
    return evidence ? std::optional(shown(*evidence)) : std::nullopt;
  };
  report::ShownDecision out;
  out.input = input_text(region);
  if (region) out.box = {region->x, region->y, region->width, region->height};
  for (const auto& one : decision.nearest) out.nearest.push_back(shown(one));
  out.support = each(decision.support);
  out.rival = each(decision.rival);
  out.counter = each(decision.counter);
  out.decision = std::move(decision);
  if (out.support) say_why(out, region);
  return out;
}

void Explainer::say_why(report::ShownDecision& decision, const std::optional<Region>& region) {
  const auto& names = run_.experiment->classes().names;
  const auto name = [&](const report::ShownEvidence& shown) {
    return fmt::format("sub-centroid {} of {}", shown.evidence.index,
                       names[static_cast<size_t>(shown.evidence.label)]);
  };
  const auto& support = *decision.support;
  RuleWords words;
  words.input = !region ? "the image" : region->is_pixel() ? "the pixel" : "the region";
  words.support = support.stands_for.text();
  words.label = names[static_cast<size_t>(support.evidence.label)];
  words.prototype = name(support);
  decision.rule = rule_text(words);
  if (!decision.rival) return;
  const auto own = report::fixed(support.evidence.similarity, 3);
  const auto other = report::fixed(decision.rival->evidence.similarity, 3);
  if (decision.decision.by_nearest()) {
    decision.verdict =
        fmt::format("It is: {} against at most {} ({}).", own, other, name(*decision.rival));
    return;
  }
  decision.verdict = fmt::format(
      "It is not: {} is nearer, {} against {}. So the scores say more than the similarities do: {}",
      name(*decision.rival), other, own,
      region ? "the place lies at the border of classes, or the head weighs its classes."
             : "the head weighs its classes.");
}

// ---- maps and pictures --------------------------------------------------------------------------

void Explainer::add_maps(std::vector<report::ShownDecision>& decisions, const torch::Tensor& images,
                         PixelSize size, const std::vector<Target>& targets) {
  if (options_.map == ExplainOptions::Map::kNone) return;
  const Targets values = [&](const torch::Tensor& shown) {
    return values_of(shown, targets, size);
  };
  torch::Tensor maps;
  if (options_.map == ExplainOptions::Map::kGradient) {
    maps = gradient_maps(run_.model->normalise(images), values, options_.grid);
  } else {
    OcclusionOptions occlusion;
    occlusion.grid = options_.grid;
    occlusion.batch_size =
        std::clamp<int64_t>(kOcclusionPixels / (images.size(2) * images.size(3)), 1, 64);
    occlusion.progress = options_.progress;
    maps = occlusion_maps(images, values, occlusion);
  }
  for (size_t i = 0; i < decisions.size(); ++i) {
    decisions[i].map = heat_map(maps[static_cast<int64_t>(i)]);
  }
}

// Which prototype each pixel chose, in shades of its class's colour over the image.
void Explainer::add_choices(const Output& output, const Image& image, Explained& explained) {
  const PixelSize size{image.height(), image.width()};
  const auto choice = choose_prototypes(output.points, output.scores, prototypes_, size);
  const auto palette = report::palette_of(run_.experiment->classes());
  const auto count = prototypes_.defined() ? prototypes_.size(1) : 1;
  std::vector<report::Palette> shades;
  for (const auto& colour : palette) shades.push_back(report::shades_of(colour, count));

  std::map<std::pair<int64_t, int64_t>, int64_t> pixels;
  auto picture = image.to_channels(3);
  auto* out = picture.pixels();
  const auto* labels = choice.labels.const_data_ptr<int64_t>();
  const auto* indices = choice.indices.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < choice.labels.numel(); ++i, out += 3) {
    ++pixels[{labels[i], indices[i]}];
    const auto& colour = shades[static_cast<size_t>(labels[i])][static_cast<size_t>(indices[i])];
    for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>((out[c] + 2 * colour[c]) / 3);
  }
  auto& choices = explained.shown.choices;
  for (const auto& [key, number] : pixels) {
    const auto& colour = shades[static_cast<size_t>(key.first)][static_cast<size_t>(key.second)];
    choices.push_back({shown(Evidence{key.first, key.second, 0, 0}), number, colour});
  }
  std::ranges::stable_sort(choices, std::ranges::greater{}, &report::ShownChoice::pixels);
  explained.shown.choice_picture = report::make_picture(picture, kShownSide);
  explained.pictures.emplace_back(prototypes_.defined() ? "sub_centroids" : "classes",
                                  std::move(picture));
}

// All pictures on one sheet, for each decision in groups: the input and the map, the nearest, the
// counter-evidence.
void Explainer::add_sheet(const std::vector<Image>& inputs, const std::vector<Image>& maps,
                          Explained& explained) {
  std::vector<report::PictureRow> rows;
  const auto& decisions = explained.shown.decisions;
  for (size_t i = 0; i < decisions.size(); ++i) {
    report::PictureRow row(3);
    row[0].push_back(inputs[i]);
    if (!maps.empty()) row[0].push_back(maps[i]);
    const auto add = [&](const report::ShownEvidence& shown, std::vector<Image>& group) {
      const auto& image = known(shown.evidence.label, shown.evidence.index).image;
      if (!image.empty()) group.push_back(image);
    };
    for (const auto& one : decisions[i].nearest) add(one, row[1]);
    if (decisions[i].counter) add(*decisions[i].counter, row[2]);
    rows.push_back(std::move(row));
  }
  explained.pictures.emplace_back("explained", report::picture_sheet(rows));
}

Explained Explainer::explain_image(const torch::Tensor& images, const Image& picture) {
  const auto output = run_model(images);
  const auto point = prototypes_.defined() ? output.points.grids[0][0] : torch::Tensor();
  auto decision = decide(output.scores[0], point, prototypes_, options_.nearest);
  const Target target{decision.label(), decision.support ? decision.support->index : 0, {}};
  Explained explained;
  auto& image = explained.shown;
  image.width = picture.width();
  image.height = picture.height();
  image.picture = report::make_picture(picture, kShownSide);
  image.decisions.push_back(shown(std::move(decision), {}));
  add_maps(image.decisions, images, {}, {target});
  std::vector<Image> maps;
  auto& only = image.decisions.front();
  if (!only.map.values.empty()) {
    maps.push_back(report::heat_picture(picture, only.map));
    only.map_picture = report::make_picture(maps.back(), kShownSide);
    only.map_file = "map";
    explained.pictures.emplace_back(only.map_file, maps.back());
  }
  add_sheet({picture}, maps, explained);
  return explained;
}

std::vector<Region> Explainer::regions_of(const Output& output, PixelSize size) const {
  if (!options_.regions.empty()) return options_.regions;
  return widest_places(choose_prototypes({}, output.scores, {}, size).labels, kDefaultPlaces);
}

Explained Explainer::explain_pixels(const torch::Tensor& images, const Image& picture,
                                    const Image& image) {
  const PixelSize size{image.height(), image.width()};
  const auto output = run_model(images);
  Explained explained;
  auto& shown_image = explained.shown;
  shown_image.width = size.width;
  shown_image.height = size.height;
  const auto small = shrunk(image, kShownSide);
  shown_image.picture = report::make_picture(small, kShownSide);
  add_choices(output, image, explained);

  std::vector<Target> targets;
  std::vector<Image> inputs, maps;
  for (const auto& region : regions_of(output, size)) {
    const auto scores = mean_over(whole_grid(output.scores), region, size)[0];
    const auto point =
        prototypes_.defined() ? mean_over(output.points, region, size)[0] : torch::Tensor();
    auto decision = decide(scores, point, prototypes_, options_.nearest);
    targets.push_back({decision.label(), decision.support ? decision.support->index : 0, region});
    shown_image.decisions.push_back(shown(std::move(decision), region));
    inputs.push_back(small);
    report::outline(inputs.back(), box_on(inputs.back(), region, size));
    shown_image.decisions.back().picture = report::make_picture(inputs.back(), kShownSide);
  }
  add_maps(shown_image.decisions, images, size, targets);
  for (size_t i = 0; i < targets.size(); ++i) {
    auto& decision = shown_image.decisions[i];
    if (decision.map.values.empty()) continue;
    maps.push_back(report::heat_picture(picture, decision.map));
    report::outline(maps.back(), box_on(maps.back(), *targets[i].region, size));
    decision.map_picture = report::make_picture(maps.back(), kShownSide);
    decision.map_file = fmt::format("map_{}", i + 1);
    explained.pictures.emplace_back(decision.map_file, maps.back());
  }
  add_sheet(inputs, maps, explained);
  return explained;
}

Explained Explainer::explain(const Dataset& files, int64_t index) {
  const auto seed = static_cast<uint64_t>(run_.experiment->options().seed);
  const auto input = network_input(files, transforms_, index, seed);
  const auto images = input.images.to(run_.experiment->device());
  auto explained = run_.experiment->task() == Task::kPixels
                       ? explain_pixels(images, input.picture, files.load(index).image)
                       : explain_image(images, input.picture);
  explained.shown.file = files.name(index);
  return explained;
}

}  // namespace dnc
