#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/commands/image_files.h"
#include "host/environment.h"
#include "host/explain/search_index.h"
#include "host/files.h"
#include "host/frozen/neighbours.h"
#include "host/report/format.h"
#include "host/report/search_page.h"
#include "host/report/terminal_table.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPictureSide = 256;

struct SearchCommand {
  ModelSource source;
  std::vector<std::string> images;
  std::vector<std::string> classes;
  int64_t top = 5;
  int64_t samples = 0;
  std::string format = "table";
  std::string page_file;

  int run() {
    const auto files = find_images(images);
    Program program;
    auto opened = open_model(program, source, NeededWeights::kBackbone);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    auto& experiment = *opened.experiment;
    if (experiment.task() != Task::kImages) {
      throw ConfigError(source.path + ": is a model for pixels; search is for images");
    }
    const auto labels = wanted_labels(experiment.classes());
    auto index = training_data(opened);
    if (!labels.empty()) index = index.of_classes(labels);
    if (index.size() == 0) {
      throw DataError(fmt::format("--class: no training image is of {}", join(classes)));
    }
    const Split split{"images",
                      std::make_shared<ImageFiles>(files, program.images(), experiment.classes()),
                      experiment.test_transforms()};
    const auto queries = embed_images(opened, split);
    const auto nearest = nearest_neighbours(queries.points, index.points,
                                            std::min(top, index.size()), experiment.device());
    const auto page = found(opened, index, queries, nearest);
    print(page);
    if (!page_file.empty()) write_page(opened, page, program.images());
    for (const auto& bad : queries.bad_samples) std::cerr << "error: " << bad.reason << "\n";
    return queries.bad_samples.empty() ? 0 : 1;
  }

  std::vector<int64_t> wanted_labels(const ClassInfo& known) const {
    std::vector<int64_t> labels;
    for (const auto& name : classes) {
      const auto found = std::find(known.names.begin(), known.names.end(), name);
      if (found == known.names.end()) {
        throw Error(fmt::format("--class: '{}' is no class of {}{}", name, source.path,
                                suggestion(name, known.names)));
      }
      labels.push_back(found - known.names.begin());
    }
    return labels;
  }

  SearchIndex training_data(OpenedRun& opened) const {
    BatchProgress line("training data");
    SampleSearch search;
    search.samples = samples;
    search.progress = [&](int64_t done, int64_t all) { line.update(done, all); };
    search.warn = [](const std::string& what) { std::cerr << "warning: " << what << "\n"; };
    return training_index(opened, search);
  }

  // What was found, without pictures.
  report::SearchPage found(OpenedRun& opened, const SearchIndex& index, const SearchIndex& queries,
                           const Neighbours& nearest) const {
    const auto& names = opened.experiment->classes().names;
    report::SearchPage page;
    page.title = "The nearest training images";
    page.searched = index.size();
    page.classes = classes;
    page.checkpoint = opened.checkpoint.string();
    const auto rows = nearest.indices.accessor<int64_t, 2>();
    const auto cosines = nearest.cosines.accessor<float, 2>();
    const auto* const labels = index.labels.const_data_ptr<int64_t>();
    const auto* const samples_of = index.samples.const_data_ptr<int64_t>();
    for (int64_t q = 0; q < rows.size(0); ++q) {
      report::SearchPage::Query query;
      query.file = queries.names[static_cast<size_t>(q)];
      for (int64_t k = 0; k < rows.size(1); ++k) {
        const auto row = rows[q][k];
        report::FoundImage one;
        if (labels[row] >= 0) one.class_name = names.at(static_cast<size_t>(labels[row]));
        one.name = index.names[static_cast<size_t>(row)];
        one.sample = samples_of[row];
        one.similarity = cosines[q][k];
        query.found.push_back(std::move(one));
      }
      page.queries.push_back(std::move(query));
    }
    return page;
  }

  void print(const report::SearchPage& page) const {
    for (const auto& query : page.queries) {
      std::cout << (format == "jsonl" ? json_line(query) : table(query));
    }
    std::cout << std::flush;
  }

  static std::string table(const report::SearchPage::Query& query) {
    report::TerminalTable table;
    table.header = {report::printable(query.file), "similarity", "class", "number"};
    for (const auto& one : query.found) {
      table.rows.push_back({report::printable(one.name), report::fixed(one.similarity, 4),
                            one.class_name.empty() ? std::string(report::kNothing) : one.class_name,
                            std::to_string(one.sample)});
    }
    return table.to_text(false) + "\n";
  }

  static std::string json_line(const report::SearchPage::Query& query) {
    nlohmann::ordered_json json = {{"file", query.file}};
    json["nearest"] = nlohmann::ordered_json::array();
    for (const auto& one : query.found) {
      nlohmann::ordered_json entry = {
          {"index", one.sample}, {"name", one.name}, {"class", nullptr}};
      if (!one.class_name.empty()) entry["class"] = one.class_name;
      entry["similarity"] = one.similarity;
      json["nearest"].push_back(std::move(entry));
    }
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }

  void write_page(OpenedRun& opened, report::SearchPage page, const ImageReader& reader) const {
    auto& experiment = *opened.experiment;
    std::shared_ptr<const Dataset> data;
    try {
      data = experiment.split("train").dataset;
    } catch (const Error& error) {
      page.notes.emplace_back("The training data is not there, so its pictures are missing: " +
                              std::string(error.what()));
    }
    for (auto& query : page.queries) {
      query.picture = report::make_picture(reader.open(query.file).to_channels(3), kPictureSide);
      for (auto& one : query.found) {
        if (!data || one.sample >= data->size()) continue;
        try {
          one.picture =
              report::make_picture(data->load(one.sample).image.to_channels(3), kPictureSide);
        } catch (const DataError&) {  // has gone since it was indexed: a number stands in its place
        }
      }
    }
    page.command = command_line();
    page.version = environment(experiment.device()).version;
    page.date = utc_now();
    write_file(page_file, to_html(page));
    std::cout << page_file << "\n";
  }

  std::string command_line() const {
    auto text = fmt::format("dnc-host search {} {} --page {}", source.path, fmt::join(images, " "),
                            page_file);
    for (const auto& name : classes) text += " --class " + name;
    if (top != 5) text += fmt::format(" --top {}", top);
    if (samples > 0) text += fmt::format(" --samples {}", samples);
    for (const auto& change : source.overrides) text += " --set " + change;
    return text;
  }
};

}  // namespace

void add_search(CLI::App& app, Action& action) {
  auto command = std::make_shared<SearchCommand>();
  auto* sub = app.add_subcommand("search",
                                 "Find the training images whose embeddings are nearest to images");
  add_model_source(*sub, command->source);
  sub->add_option("images", command->images, "Image files, or folders of them")
      ->required()
      ->type_name("IMAGE...");
  sub->add_option("-k,--top", command->top, "Training images for each image")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--class", command->classes, "Search this class only; may be repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  sub->add_option("--format", command->format, "table, or jsonl (one object a line)")
      ->check(CLI::IsMember({"table", "jsonl"}))
      ->capture_default_str();
  sub->add_option("--page", command->page_file, "A page with the pictures: one HTML file")
      ->type_name("FILE");
  sub->add_option("--samples", command->samples,
                  "Search so many of the training images, drawn by the seed; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str();
  sub->footer(
      example("  dnc-host search runs/resnet8_dnc photos/ --top 10 --page found.html\n"
              "  dnc-host search runs/resnet8_dnc shirt.png --class Shirt --format jsonl\n"
              "The embeddings of the training images are computed once; a run's folder keeps them "
              "(search_index.safetensors). A file that cannot be read is named on standard error; "
              "the others are searched, and the exit code is 1."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
