#include "host/frozen/subcategories.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/explain/members.h"
#include "host/frozen/neighbours.h"
#include "host/report/format.h"
#include "host/report/terminal_table.h"
#include "host/run.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr size_t kMostPrinted = 60;  // sub-centroids in the table on the terminal

// What the model makes of a split. On the CPU.
struct Seen {
  torch::Tensor points;    // float32 [n, D], of length 1
  torch::Tensor coarse;    // int64 [n], labels
  torch::Tensor fine;      // int64 [n], labels
  torch::Tensor decided;   // int64 [n], coarse classes that the model chose
  torch::Tensor clusters;  // int64 [n], class * K + sub-centroid; undefined for a head without
};

// A line of the result.
struct Score {
  std::string name;
  double accuracy = 0;
  double purity = std::numeric_limits<double>::quiet_NaN();
  double nmi = std::numeric_limits<double>::quiet_NaN();
};

// A sub-centroid and what its training samples are.
struct Found {
  int64_t label = 0;  // coarse
  int64_t index = 0;
  int64_t samples = 0;
  int64_t fine = -1;  // of most of them; -1 for none
  double share = 0;   // of them
};

struct SubcategoriesCommand {
  ModelSource source;
  std::vector<std::string> fine;
  std::vector<int64_t> k{1, 20};
  double temperature = 0.07;
  bool json = false;

  int run() {
    Program program;
    auto opened = open_model(program, source, NeededWeights::kModel);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    if (opened.experiment->task() != Task::kImages) {
      throw Error(source.path + ": is a model for pixels; subcategories is for images");
    }
    const auto with_fine = open_fine(program, opened);
    const auto train = look_at(opened, *with_fine, "train", false);
    const auto test = look_at(opened, *with_fine, "test", true);
    const auto& names = with_fine->classes().names;
    const auto groups =
        coarse_of_fine(torch::cat({train.coarse, test.coarse}), torch::cat({train.fine, test.fine}),
                       names, opened.experiment->classes().names);
    const auto scores = score(train, test, opened, static_cast<int64_t>(names.size()));
    const auto found = describe(train, *opened.model);
    const double coarse = test.decided.eq(test.coarse).to(torch::kFloat64).mean().item<double>();
    const double most = most_that_can_be_told(test, groups, *opened.model);
    json ? print_json(opened, names, scores, found, coarse, most, {train, test})
         : print(opened, names, scores, found, coarse, most, {train, test});
    return 0;
  }

  // The same data with fine labels: a config of its own, or the model's with changed keys.
  std::unique_ptr<Experiment> open_fine(Program& program, const OpenedRun& opened) const {
    const bool is_config = fine.size() == 1 && fine[0].find('=') == std::string::npos;
    if (is_config) return program.experiment(fine[0], {});
    for (const auto& change : fine) {
      if (change.find('=') != std::string::npos) continue;
      throw Error("--fine: '" + change + "' is not KEY=VALUE; give one config, or changes of keys");
    }
    auto overrides = source.overrides;
    overrides.insert(overrides.end(), fine.begin(), fine.end());
    const auto config =
        opened.folder.empty() ? source.path : (opened.folder / "config.yaml").string();
    return program.experiment(config, overrides);
  }

  Seen look_at(OpenedRun& opened, Experiment& with_fine, const std::string& name,
               bool by_decision) const {
    auto& experiment = *opened.experiment;
    auto data = experiment.split(name);
    data.transforms = experiment.test_transforms();
    const auto& labels = *with_fine.split(name).dataset;
    if (labels.size() != data.dataset->size()) {
      throw DataError(fmt::format(
          "--fine: its {} split has {} samples, that of the model {}: they must be the same "
          "samples in the same order",
          name, labels.size(), data.dataset->size()));
    }
    SingleProcess alone;
    const auto loader = evaluation_loader(data, experiment.options().data, 0, alone);
    BatchProgress line(name);
    std::vector<Seen> parts;
    int64_t done = 0;
    for_each_batch(*opened.model, *loader, experiment.device(),
                   experiment.options().train.precision,
                   [&](const Batch& batch, const Model::Output& output) {
                     parts.push_back(part_of(*opened.model, batch, output, labels, by_decision));
                     line.update(++done, loader->batches());
                   });
    const auto seen = together(parts);
    if (seen.fine.size(0) == 0) throw DataError("the " + name + " split has no labelled sample");
    return seen;
  }

  static Seen part_of(Model& model, const Batch& batch, const Model::Output& output,
                      const Dataset& fine, bool by_decision) {
    // Cosines in full precision, whatever the network runs in.
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    std::vector<int64_t> labels;
    for (const auto index : batch.indices) labels.push_back(fine.label(index));
    Seen seen;
    seen.fine = torch::tensor(labels, torch::kLong);
    seen.coarse = batch.labels.cpu();
    const auto rows = seen.coarse.ge(0).logical_and(seen.fine.ge(0)).nonzero().squeeze(1);
    const auto on_device = rows.to(output.scores.device());
    seen.fine = seen.fine.index_select(0, rows);
    seen.coarse = seen.coarse.index_select(0, rows);
    seen.decided = output.scores.argmax(1).index_select(0, on_device).cpu();
    const auto embeddings = output.embeddings.index_select(0, on_device).to(torch::kFloat32);
    auto* head = model.prototypes();
    if (!head) {
      seen.points = embeddings.cpu();
      normalise_rows(seen.points);
      return seen;
    }
    const auto points = head->project(embeddings).to(torch::kFloat32);
    const auto prototypes = head->prototypes().to(points.device(), torch::kFloat32);
    const auto classes = by_decision ? seen.decided : seen.coarse;
    const auto index = nearest_of_class(points, classes.to(points.device()), prototypes).first;
    seen.clusters = classes * prototypes.size(1) + index.cpu();
    seen.points = points.cpu();
    return seen;
  }

  static Seen together(const std::vector<Seen>& parts) {
    const auto all = [&](torch::Tensor Seen::*member) {
      std::vector<torch::Tensor> tensors;
      for (const auto& part : parts) tensors.push_back(part.*member);
      return tensors.empty() || !tensors[0].defined() ? torch::Tensor() : torch::cat(tensors);
    };
    return {all(&Seen::points), all(&Seen::coarse), all(&Seen::fine), all(&Seen::decided),
            all(&Seen::clusters)};
  }

  std::vector<Score> score(const Seen& train, const Seen& test, OpenedRun& opened,
                           int64_t classes) const {
    const auto clusters = [&](const std::string& name, const torch::Tensor& of_train,
                              const torch::Tensor& of_test) {
      const auto found = score_clusters(of_train, train.fine, of_test, test.fine);
      return Score{name, found.accuracy, found.purity, found.nmi};
    };
    std::vector<Score> scores{
        clusters("one for all", torch::zeros_like(train.fine), torch::zeros_like(test.fine)),
        clusters("coarse classes", train.coarse, test.decided)};
    if (train.clusters.defined()) {
      scores.push_back(clusters("sub-centroids", train.clusters, test.clusters));
    }
    const auto most = *std::max_element(k.begin(), k.end());
    if (most > train.points.size(0)) {
      throw Error(fmt::format("-k: {} neighbours of {} training samples; give less", most,
                              train.points.size(0)));
    }
    const auto nearest =
        nearest_neighbours(test.points, train.points, most, opened.experiment->device());
    for (const auto each : k) {
      const auto found = knn_accuracy(nearest, test.fine, train.fine, each, temperature, classes);
      scores.push_back({fmt::format("k-NN, k = {}", each), found.top1});
    }
    return scores;
  }

  // What each sub-centroid has become, by the training samples nearest to it.
  static std::vector<Found> describe(const Seen& train, Model& model) {
    std::vector<Found> all;
    if (!train.clusters.defined()) return all;
    const auto prototypes = model.prototypes()->prototypes();
    const auto C = prototypes.size(0), K = prototypes.size(1);
    const auto majority = majority_classes(train.clusters, train.fine, C * K);
    const auto counts = torch::bincount(train.clusters, {}, C * K);
    const auto hits = majority.index_select(0, train.clusters).eq(train.fine);
    const auto right = torch::bincount(train.clusters, hits.to(torch::kFloat64), C * K);
    for (int64_t i = 0; i < C * K; ++i) {
      const auto samples = counts[i].item<int64_t>();
      const double share =
          samples == 0 ? 0 : right[i].item<double>() / static_cast<double>(samples);
      all.push_back({i / K, i % K, samples, majority[i].item<int64_t>(), share});
    }
    return all;
  }

  // With K sub-centroids a coarse class can be divided into K fine ones at most: the share of the
  // test samples in the K largest ones of each.
  static double most_that_can_be_told(const Seen& test, const torch::Tensor& groups, Model& model) {
    auto* head = model.prototypes();
    if (!head) return std::numeric_limits<double>::quiet_NaN();
    const auto C = head->prototypes().size(0), K = head->prototypes().size(1);
    const auto counts = torch::bincount(test.fine, {}, groups.size(0)).to(torch::kFloat64);
    double sum = 0;
    for (int64_t label = 0; label < C; ++label) {
      const auto own = counts.index_select(0, groups.eq(label).nonzero().squeeze(1));
      sum += std::get<0>(own.topk(std::min(K, own.size(0)))).sum().item<double>();
    }
    return sum / static_cast<double>(test.fine.size(0));
  }

  void print_json(OpenedRun& opened, const std::vector<std::string>& names,
                  const std::vector<Score>& scores, const std::vector<Found>& found, double coarse,
                  double most, const std::pair<Seen, Seen>& seen) const {
    const auto number = [](double value) {
      return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
    };
    nlohmann::ordered_json out = {{"checkpoint", opened.checkpoint.string()},
                                  {"coarse_classes", opened.experiment->classes().size()},
                                  {"fine_classes", names.size()},
                                  {"train_samples", seen.first.fine.size(0)},
                                  {"samples", seen.second.fine.size(0)},
                                  {"coarse_accuracy", coarse},
                                  {"most_that_sub_centroids_can_tell", number(most)}};
    for (const auto& each : scores) {
      out["scores"][each.name] = {
          {"accuracy", each.accuracy}, {"purity", number(each.purity)}, {"nmi", number(each.nmi)}};
    }
    for (const auto& each : found) {
      nlohmann::ordered_json fine_class;
      if (each.fine >= 0) fine_class = names[static_cast<size_t>(each.fine)];
      const auto label = static_cast<size_t>(each.label);
      out["sub_centroids"].push_back({{"class", opened.experiment->classes().names[label]},
                                      {"index", each.index},
                                      {"train_samples", each.samples},
                                      {"fine_class", fine_class},
                                      {"share", each.share}});
    }
    std::cout << out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  }

  static std::string percent(double share) {
    return std::isfinite(share) ? fmt::format("{:.2f} %", share * 100)
                                : std::string(report::kNothing);
  }

  static void print(OpenedRun& opened, const std::vector<std::string>& names,
                    const std::vector<Score>& scores, const std::vector<Found>& found,
                    double coarse, double most, const std::pair<Seen, Seen>& seen) {
    const auto count = [](int64_t number) { return report::grouped(static_cast<double>(number)); };
    std::cout << fmt::format(
        "{}: {} coarse classes, {} fine ones; {} training and {} test samples\n"
        "coarse classes: {} of the test samples\n",
        opened.checkpoint.string(), opened.experiment->classes().size(), names.size(),
        count(seen.first.fine.size(0)), count(seen.second.fine.size(0)), percent(coarse));
    if (std::isfinite(most)) {
      std::cout << fmt::format("fine classes: sub-centroids can tell {} of them at most\n",
                               percent(most));
    }
    report::TerminalTable table;
    table.header = {"fine classes by", "accuracy", "purity", "NMI"};
    for (const auto& each : scores) {
      table.rows.push_back({each.name, percent(each.accuracy), percent(each.purity),
                            std::isfinite(each.nmi) ? fmt::format("{:.4f}", each.nmi)
                                                    : std::string(report::kNothing)});
    }
    std::cout << "\n" << table.to_text(false);
    if (found.empty()) {
      std::cout << "\nthe head has no sub-centroids\n";
      return;
    }
    if (found.size() > kMostPrinted) {
      std::cout << fmt::format("\n--json lists what the {} sub-centroids are\n", found.size());
      return;
    }
    report::TerminalTable list;
    list.header = {"sub-centroid", "training samples", "most are", "share"};
    for (const auto& each : found) {
      const auto& label = opened.experiment->classes().names[static_cast<size_t>(each.label)];
      list.rows.push_back(
          {fmt::format("{} {}", label, each.index), count(each.samples),
           each.fine < 0 ? std::string(report::kNothing) : names[static_cast<size_t>(each.fine)],
           percent(each.share)});
    }
    std::cout << "\n" << list.to_text(false);
  }
};

}  // namespace

void add_subcategories(CLI::App& app, Action& action) {
  auto command = std::make_shared<SubcategoriesCommand>();
  auto* sub = app.add_subcommand(
      "subcategories", "See whether a model that learnt coarse labels tells fine ones apart");
  add_model_source(*sub, command->source);
  sub->add_option(
         "--fine", command->fine,
         "The same data with fine labels: a config, or the keys of the model's config that "
         "change; may be repeated")
      ->required()
      ->allow_extra_args(false)
      ->type_name("CONFIG|KEY=VALUE");
  sub->add_option("-k,--neighbours", command->k, "Neighbours that vote, e.g. 1,20; each is tried")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{10000}))
      ->type_name("N,N")
      ->capture_default_str();
  sub->add_option("--temperature", command->temperature,
                  "A neighbour's vote weighs exp(cosine / temperature)")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  sub->add_flag("--json", command->json, "One JSON object instead of tables");
  sub->footer(
      example("  dnc-host subcategories runs/cifar100_coarse --fine data.train.dataset.labels=fine "
              "--fine data.test.dataset.labels=fine\n"
              "  dnc-host subcategories runs/groups --fine "
              "configs/fashion_mnist/resnet8_dnc.yaml"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
