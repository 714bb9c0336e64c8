#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/commands/image_files.h"
#include "host/environment.h"
#include "host/explain/explainer.h"
#include "host/files.h"
#include "host/report/format.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// "X,Y" or "X,Y,WIDTH,HEIGHT".
Region parse_region(const std::string& option, const std::string& text, size_t numbers) {
  const Error wrong(fmt::format("{}: '{}' is not {}, in pixels of the image from its top left",
                                option, text, numbers == 2 ? "X,Y" : "X,Y,WIDTH,HEIGHT"));
  std::vector<int64_t> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int64_t value = 0;
    const auto parsed = std::from_chars(at, end, value);
    const bool first_two = values.size() < 2;
    if (parsed.ec != std::errc() || value < (first_two ? 0 : 1)) throw wrong;
    values.push_back(value);
    at = parsed.ptr;
    if (at == end) break;
    if (*at++ != ',') throw wrong;
  }
  if (values.size() != numbers) throw wrong;
  values.resize(4, 1);
  return {values[0], values[1], values[2], values[3]};
}

struct ExplainCommand {
  ModelSource source;
  std::vector<std::string> images;
  std::string out;
  std::vector<std::string> at;
  std::vector<std::string> regions;
  std::string map = "occlusion";
  int64_t samples = 0;
  ExplainOptions options;

  int run() {
    const auto files = find_images(images);
    check_names_differ(files, "their pictures");
    for (const auto& each : at) options.regions.push_back(parse_region("--at", each, 2));
    for (const auto& each : regions) options.regions.push_back(parse_region("--region", each, 4));
    options.map = map == "none"       ? ExplainOptions::Map::kNone
                  : map == "gradient" ? ExplainOptions::Map::kGradient
                                      : ExplainOptions::Map::kOcclusion;
    Program program;
    auto opened = open_model(program, source, NeededWeights::kModel);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    check_regions(opened, files, program.images());
    create_folder(out);

    auto explanation = about(opened);
    auto found = search_training_data(opened, explanation);
    if (found) explanation.searched = found->searched;
    const ImageFiles dataset(files, program.images(), opened.experiment->classes());
    const bool failed = explain_all(opened, std::move(found), dataset, explanation);
    if (explanation.images.empty()) return 1;
    write_file(fs::path(out) / "explanation.html", to_html(explanation));
    write_file(fs::path(out) / "explanation.json", to_json(explanation));
    std::cout << (fs::path(out) / "explanation.html").string() << "\n";
    return failed ? 1 : 0;
  }

  // Before anything is computed. An image that cannot be read is told of when its turn comes.
  void check_regions(OpenedRun& opened, const std::vector<std::string>& files,
                     const ImageReader& reader) const {
    if (options.regions.empty()) return;
    const auto* const option = at.empty() ? "--region" : "--at";
    if (opened.experiment->task() != Task::kPixels) {
      throw Error(
          fmt::format("{}: is for models of pixels, {} is for images", option, source.path));
    }
    for (const auto& file : files) {
      Image image;
      try {
        image = reader.open(file);
      } catch (const DataError&) {
        continue;
      }
      for (const auto& region : options.regions) {
        const bool inside = region.x < image.width() && region.y < image.height() &&
                            region.width <= image.width() - region.x &&
                            region.height <= image.height() - region.y;
        if (inside) continue;
        throw Error(fmt::format(
            "{}: {},{} is outside of {}, which is {} x {} pixels",
            region.is_pixel() ? "--at" : "--region", region.x,
            region.is_pixel() ? fmt::format("{}", region.y)
                              : fmt::format("{},{},{}", region.y, region.width, region.height),
            file, image.width(), image.height()));
      }
    }
  }

  report::Explanation about(OpenedRun& opened) const {
    auto& experiment = *opened.experiment;
    report::Explanation explanation;
    explanation.title = fmt::format("Why {} decides as it does",
                                    fs::path(source.path).lexically_normal().filename().string());
    explanation.pixels = experiment.task() == Task::kPixels;
    explanation.classes = experiment.classes().names;
    if (auto* head = opened.model->prototypes()) {
      explanation.sub_centroids = head->prototypes().size(1);
    }
    explanation.map = map;
    explanation.command = command_line();
    explanation.checkpoint = opened.checkpoint.string();
    explanation.version = environment(experiment.device()).version;
    explanation.date = utc_now();
    return explanation;
  }

  // What the sub-centroids stand for; nothing for a head without, or where the data is not there.
  std::optional<PrototypeSamples> search_training_data(OpenedRun& opened,
                                                       report::Explanation& explanation) const {
    if (!opened.model->prototypes()) return std::nullopt;
    BatchProgress line("training data");
    SampleSearch search;
    search.samples = samples;
    search.progress = [&](int64_t done, int64_t all) { line.update(done, all); };
    search.warn = [](const std::string& what) { std::cerr << "warning: " << what << "\n"; };
    try {
      return find_prototype_samples(opened, search);
    } catch (const Error& error) {
      std::cerr << "warning: sub-centroids have numbers in place of images, because the training "
                   "data cannot be read: "
                << error.what() << "\n";
      explanation.notes.emplace_back(error.what());
      return std::nullopt;
    }
  }

  // Whether one of them failed.
  bool explain_all(OpenedRun& opened, std::optional<PrototypeSamples> found,
                   const ImageFiles& files, report::Explanation& explanation) const {
    std::optional<BatchProgress> line;
    auto with_progress = options;
    with_progress.progress = [&](int64_t done, int64_t all) { line->update(done, all); };
    Explainer explainer(opened, with_progress, std::move(found));
    auto notes = explainer.notes();
    explanation.notes.insert(explanation.notes.begin(), notes.begin(), notes.end());
    bool failed = false;
    for (int64_t i = 0; i < files.size(); ++i) {
      line.emplace(fs::path(files.name(i)).filename().string());
      try {
        auto explained = explainer.explain(files, i);
        write_pictures(explained);
        print(explained.shown, explanation);
        explanation.images.push_back(std::move(explained.shown));
      } catch (const DataError& error) {
        std::cerr << "error: " << error.what() << "\n";
        failed = true;
      }
    }
    return failed;
  }

  // NAME_map.png and so on; the names go into what was explained.
  void write_pictures(Explained& explained) const {
    const auto stem = fs::path(explained.shown.file).stem().string();
    const auto name_of = [&](const std::string& end) { return stem + "_" + end + ".png"; };
    for (const auto& [end, picture] : explained.pictures) {
      write_png(fs::path(out) / name_of(end), picture);
      explained.shown.files.push_back(name_of(end));
    }
    for (auto& decision : explained.shown.decisions) {
      if (!decision.map_file.empty()) decision.map_file = name_of(decision.map_file);
    }
  }

  static void print(const report::ShownImage& image, const report::Explanation& explanation) {
    for (const auto& shown : image.decisions) {
      auto text = image.file;
      if (!shown.input.empty()) text += ", " + shown.input;
      for (const auto& [label, share] : shown.decision.classes) {
        text += fmt::format("  {} {:.1f} %", explanation.name_of(label), share * 100);
      }
      std::cout << text << "\n";
      if (!shown.rule.empty()) std::cout << "  " << shown.rule << " " << shown.verdict << "\n";
    }
    std::cout << std::flush;
  }

  // For the page: what gives it again.
  std::string command_line() const {
    auto text = "dnc-host explain " + source.path;
    for (const auto& image : images) text += " " + image;
    const auto add = [&](const std::string& option, const std::string& value,
                         const std::string& usual) {
      if (value != usual) text += fmt::format(" {} {}", option, value);
    };
    add("--checkpoint", source.checkpoint, "best");
    add("--weights", source.weights, "");
    add("--classes", source.classes, "");
    for (const auto& each : at) add("--at", each, "");
    for (const auto& each : regions) add("--region", each, "");
    add("--map", map, "occlusion");
    add("--grid", std::to_string(options.grid), "12");
    add("--nearest", std::to_string(options.nearest), "4");
    add("--samples", std::to_string(samples), "0");
    add("--out", out, "");
    for (const auto& change : source.overrides) text += " --set " + change;
    return text;
  }
};

void add_pixel_options(CLI::App& command, ExplainCommand& explain) {
  command
      .add_option("--at", explain.at,
                  "Of a model of pixels: explain this pixel of each image; may be repeated. "
                  "Without: of its largest classes where they are widest")
      ->type_name("X,Y")
      ->allow_extra_args(false);
  command.add_option("--region", explain.regions, "The same for the mean of a rectangle of pixels")
      ->type_name("X,Y,W,H")
      ->allow_extra_args(false);
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  auto command = std::make_shared<ExplainCommand>();
  auto* sub = app.add_subcommand(
      "explain", "Say why images, or pixels, got their class, by the nearest training images");
  add_model_source(*sub, command->source);
  sub->add_option("images", command->images, "Image files, or folders of them")
      ->required()
      ->type_name("IMAGE...");
  sub->add_option("-o,--out", command->out,
                  "Folder for explanation.html, explanation.json and the pictures")
      ->required()
      ->type_name("DIR");
  add_pixel_options(*sub, *command);
  sub->add_option("--map", command->map,
                  "Where in the image it comes from: occlusion is right for any network, gradient "
                  "(gradient x input) is cheap, none saves the time")
      ->check(CLI::IsMember({"occlusion", "gradient", "none"}))
      ->capture_default_str();
  sub->add_option("--grid", command->options.grid,
                  "Steps of the map down and across; occlusion runs the network about N x N times")
      ->check(CLI::Range(int64_t{2}, int64_t{64}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("-k,--nearest", command->options.nearest,
                  "Classes and sub-centroids that are named")
      ->check(CLI::Range(int64_t{1}, int64_t{100}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--samples", command->samples,
                  "Look for the training images among so many, drawn by the seed; 0: among all")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str();
  sub->footer(
      example("  dnc-host explain runs/resnet8_dnc photos/ --out why\n"
              "  dnc-host explain runs/fcn_dnc street.jpg --at 120,45 --at 300,200 --out why\n"
              "  dnc-host explain configs/fashion_mnist/resnet8_linear.yaml shirt.png --weights "
              "model.pth --map gradient --out why\n"
              "The search through the training data is done once; a run's folder keeps what it "
              "found."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
