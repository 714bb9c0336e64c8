#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/frozen/neighbours.h"
#include "host/report/terminal_table.h"
#include "host/run.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {
namespace {

struct KnnCommand {
  ModelSource source;
  std::vector<int64_t> k{10, 20};
  double temperature = 0.07;
  std::string split = "test";
  bool json = false;

  int run() {
    Program program;
    auto opened = open_model(program, source, NeededWeights::kBackbone);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    auto& experiment = *opened.experiment;
    if (experiment.task() != Task::kImages) {
      throw ConfigError(source.path + ": is a model for pixels; knn is for images");
    }
    const auto points = embeddings(opened, "train");
    const auto queries = embeddings(opened, split);
    const auto most = *std::max_element(k.begin(), k.end());
    if (most > points.values.size(0)) {
      throw Error(fmt::format("-k: {} neighbours of {} training samples; give less", most,
                              points.values.size(0)));
    }
    const auto nearest =
        nearest_neighbours(queries.values, points.values, most, experiment.device());
    std::vector<KnnAccuracy> found;
    for (const auto each : k) {
      found.push_back(knn_accuracy(nearest, queries.labels, points.labels, each, temperature,
                                   experiment.classes().size()));
    }
    const auto sizes = std::pair(points.values.size(0), queries.values.size(0));
    json ? print_json(opened, sizes, found) : print(opened, sizes, found);
    return 0;
  }

  // Of length 1, each image as in a test.
  static Embeddings embeddings(OpenedRun& opened, const std::string& name) {
    auto& experiment = *opened.experiment;
    auto data = experiment.split(name);
    if (name == "train") data.transforms = experiment.test_transforms();
    SingleProcess alone;
    const auto loader = evaluation_loader(data, experiment.options().data, 0, alone);
    BatchProgress line(name);
    auto found = collect_embeddings(*opened.model, *loader, experiment.device(),
                                    experiment.options().train.precision,
                                    [&](int64_t done, int64_t all) { line.update(done, all); });
    if (!loader->bad_samples().empty()) {
      std::cerr << "warning: " << bad_samples_text(name, loader->bad_samples()) << "\n";
    }
    normalise_rows(found.values);
    return found;
  }

  void print_json(const OpenedRun& opened, std::pair<int64_t, int64_t> sizes,
                  const std::vector<KnnAccuracy>& found) const {
    nlohmann::ordered_json out = {{"checkpoint", opened.checkpoint.string()},
                                  {"split", split},
                                  {"train_samples", sizes.first},
                                  {"samples", sizes.second},
                                  {"temperature", temperature}};
    for (size_t i = 0; i < k.size(); ++i) {
      out["figures"][fmt::format("knn_{}/top1", k[i])] = found[i].top1;
      out["figures"][fmt::format("knn_{}/top5", k[i])] = found[i].top5;
    }
    std::cout << out.dump() << "\n";
  }

  void print(const OpenedRun& opened, std::pair<int64_t, int64_t> sizes,
             const std::vector<KnnAccuracy>& found) const {
    std::cout << fmt::format(
        "{}, {} split, {} samples by {} of training, temperature {}\n\n",
        opened.checkpoint.empty() ? "random weights" : opened.checkpoint.string(), split,
        sizes.second, sizes.first, temperature);
    report::TerminalTable table;
    table.header = {"k", "top1", "top5"};
    for (size_t i = 0; i < k.size(); ++i) {
      table.rows.push_back({std::to_string(k[i]), fmt::format("{:.4f}", found[i].top1),
                            fmt::format("{:.4f}", found[i].top5)});
    }
    std::cout << table.to_text(false);
  }
};

}  // namespace

void add_knn(CLI::App& app, Action& action) {
  auto command = std::make_shared<KnnCommand>();
  auto* sub = app.add_subcommand(
      "knn", "Classify by the nearest training images, to see what a frozen backbone is worth");
  add_model_source(*sub, command->source);
  sub->add_option("-k,--neighbours", command->k, "Neighbours that vote, e.g. 10,20; each is tried")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{10000}))
      ->type_name("N,N")
      ->capture_default_str();
  sub->add_option("--temperature", command->temperature,
                  "A neighbour's vote weighs exp(cosine / temperature)")
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  sub->add_option("--split", command->split, "val or test, whose images are classified")
      ->check(CLI::IsMember({"val", "test"}))
      ->capture_default_str();
  sub->add_flag("--json", command->json, "One JSON object instead of a table");
  sub->footer(
      example("  dnc-host knn runs/resnet8_linear\n"
              "  dnc-host knn configs/imagenet/resnet50_linear.yaml --weights resnet50.pth "
              "-k 20 --json"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
