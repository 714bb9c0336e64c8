#include "host/explain/gallery.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/environment.h"
#include "host/files.h"
#include "host/report/format.h"
#include "host/report/terminal_table.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostPrinted = 50;  // classes in the table on the terminal

struct GalleryCommand {
  ModelSource source;
  std::string out;
  GalleryOptions options;

  int run() {
    Program program;
    auto opened = open_model(program, source, NeededWeights::kModel);
    if (!opened.note.empty()) std::cerr << opened.note << "\n";
    if (!opened.model->prototypes()) {
      throw Error(fmt::format(
          "{}: its head has no sub-centroids, so there is nothing to show. `dnc-host fit CONFIG "
          "--weights {} -o DIR` with a config whose head is DNC finds those of its backbone, "
          "without training; then `dnc-host gallery DIR`",
          source.path, opened.checkpoint.string()));
    }
    if (out.empty() && opened.folder.empty()) {
      throw Error("--out: is missing; it is the folder for the gallery of a config");
    }
    const auto folder = out.empty() ? opened.folder / "gallery" : fs::path(out);
    create_folder(folder);
    const auto builder = build(opened);
    auto gallery = about(opened, builder);
    const auto classes = write_classes(builder, gallery, folder);
    write_file(folder / "index.html", index_page(gallery, classes));
    write_file(folder / "gallery.json", to_json(gallery, classes));
    print(gallery, classes);
    std::cout << (folder / "index.html").string() << "\n";
    return 0;
  }

  GalleryBuilder build(OpenedRun& opened) {
    std::optional<BatchProgress> line;
    std::string current;
    options.progress = [&](const std::string& pass, int64_t done, int64_t all) {
      if (pass != current) line.emplace(current = pass);
      line->update(done, all);
    };
    options.warn = [](const std::string& what) { std::cerr << "warning: " << what << "\n"; };
    return {opened, options};
  }

  report::Gallery about(OpenedRun& opened, const GalleryBuilder& builder) const {
    auto name = fs::path(source.path).lexically_normal();
    if (!name.has_filename()) name = name.parent_path();
    auto gallery = builder.about();
    gallery.title = "Sub-centroids of " + name.filename().string();
    gallery.command = command_line();
    gallery.checkpoint = fmt::format("{} (step {})", opened.checkpoint.string(), opened.step);
    gallery.version = environment(opened.experiment->device()).version;
    gallery.date = utc_now();
    return gallery;
  }

  // One class at a time, so that the pictures of one are in memory, and of all others that of the
  // nearest image alone.
  static std::vector<report::GalleryClass> write_classes(const GalleryBuilder& builder,
                                                         const report::Gallery& gallery,
                                                         const fs::path& folder) {
    std::vector<report::GalleryClass> classes;
    BatchProgress line("pages");
    for (int64_t label = 0; label < builder.classes(); ++label) {
      auto shown = builder.class_at(label);
      write_file(folder / report::gallery_file(label), class_page(gallery, shown));
      for (auto& prototype : shown.prototypes) {
        for (auto& sample : prototype.typical) sample.picture = {};
        for (auto& sample : prototype.atypical) sample.picture = {};
      }
      shown.map = {};
      classes.push_back(std::move(shown));
      line.update(label + 1, builder.classes());
    }
    return classes;
  }

  static void print(const report::Gallery& gallery,
                    const std::vector<report::GalleryClass>& classes) {
    if (classes.size() > kMostPrinted) {
      std::cout << fmt::format("{} classes\n", classes.size());
      return;
    }
    report::TerminalTable table;
    table.header = {"class",      "samples",
                    "spread",     "mass of its sub-centroids",
                    "recognised", "most often taken for"};
    for (const auto& one : classes) {
      std::string masses;
      for (const auto& prototype : one.prototypes) {
        masses += (masses.empty() ? "" : " ") + report::fixed(prototype.mass * 100, 0);
      }
      std::string recall(report::kNothing), rival(report::kNothing);
      if (one.tested > 0) {
        recall = fmt::format(
            "{:.1f} %", 100.0 * static_cast<double>(one.right) / static_cast<double>(one.tested));
      }
      if (!one.taken_for.empty()) {
        const auto& most = one.taken_for.front();
        rival = fmt::format("{} {:.1f} %", gallery.name_of(most.label), most.share * 100);
      }
      table.rows.push_back({one.name, report::grouped(static_cast<double>(one.samples)),
                            report::fixed(one.spread, 3), masses + " %", recall, rival});
    }
    std::cout << table.to_text(false);
  }

  // For the page: what gives it again.
  std::string command_line() const {
    auto text = "dnc-host gallery " + source.path;
    const auto add = [&](const std::string& option, const std::string& value,
                         const std::string& usual) {
      if (value != usual) text += fmt::format(" {} {}", option, value);
    };
    add("--checkpoint", source.checkpoint, "best");
    add("--weights", source.weights, "");
    add("--classes", source.classes, "");
    add("--split", options.split, "test");
    add("--shown", std::to_string(options.shown), "6");
    add("--samples", std::to_string(options.samples), "0");
    add("--out", out, "");
    for (const auto& change : source.overrides) text += " --set " + change;
    return text;
  }
};

}  // namespace

void add_gallery(CLI::App& app, Action& action) {
  auto command = std::make_shared<GalleryCommand>();
  auto* sub = app.add_subcommand(
      "gallery", "Pages that show what the sub-centroids of each class have become");
  add_model_source(*sub, command->source);
  sub->add_option("-o,--out", command->out,
                  "Folder for index.html, a page for each class and gallery.json (default "
                  "RUN/gallery)")
      ->type_name("DIR");
  sub->add_option("--split", command->options.split, "val or test, on which confusions are counted")
      ->check(CLI::IsMember({"val", "test"}))
      ->capture_default_str();
  sub->add_option("--shown", command->options.shown,
                  "Typical and atypical members that are shown of each sub-centroid")
      ->check(CLI::Range(int64_t{0}, int64_t{100}))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--samples", command->options.samples,
                  "Look at so many training images, drawn by the seed; 0: at all")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str();
  sub->footer(
      example("  dnc-host gallery runs/resnet8_dnc\n"
              "  dnc-host gallery runs/resnet50_dnc --shown 3 --samples 200000 --out gallery\n"
              "One pass over the training data and one over the test data."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
