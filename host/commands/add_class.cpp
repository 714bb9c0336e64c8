#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "host/commands/batch_progress.h"
#include "host/commands/class_accuracy.h"
#include "host/commands/commands.h"
#include "host/commands/image_files.h"
#include "host/commands/new_run.h"
#include "host/explain/network_input.h"
#include "host/files.h"
#include "host/frozen/class_change.h"
#include "host/frozen/fit_prototypes.h"
#include "host/report/format.h"
#include "host/report/terminal_table.h"
#include "host/train/checkpoint.h"
#include "host/train/derived_run.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFewestToHoldOut = 5;  // images; of fewer none can be spared

// Those that can be decoded; the others are named on standard error.
std::vector<std::string> readable(const std::vector<std::string>& files,
                                  const ImageReader& reader) {
  std::vector<std::string> good;
  for (const auto& file : files) {
    try {
      const auto image = reader.open(file);
      image.pixels();
      good.push_back(file);
    } catch (const DataError& error) {
      std::cerr << "warning: is left out: " << error.what() << "\n";
    }
  }
  return good;
}

struct AddClassCommand {
  NewRun new_run;
  std::string name;
  std::string images;
  std::string test_images;
  double hold_out = 0.2;
  FitOptions options;

  int run() {
    Program program;
    auto opened = open_run(program, new_run.source, new_run.checkpoint, new_run.overrides);
    check(opened);
    const auto added = find_files(opened, program.images());
    const auto label = opened.experiment->classes().size();
    auto [changed, folder, lists] = change(program, opened, added);
    DerivedRun run(folder, *changed.run.experiment,
                   fmt::format("add-class --name {} --images {} --iterations {} of {}", name,
                               images, options.iterations, opened.checkpoint.string()));
    if (run.is_done()) {
      std::cout << run.path().string() << ": done already\n";
      return 0;
    }
    run.begin();
    write_file_lists(lists, list_folder(folder));
    fit(changed, opened, added, program.images(), run);
    run.save(*changed.run.model, opened.step, load_checkpoint_progress(opened.checkpoint).epoch);
    report(opened, changed.run, added, label, program.images(), run);
    return 0;
  }

  void check(OpenedRun& opened) const {
    auto& experiment = *opened.experiment;
    if (experiment.task() != Task::kImages) {
      throw ConfigError(new_run.source + ": is a model for pixels; add-class is for images");
    }
    const auto& names = experiment.classes().names;
    if (name.empty()) throw Error("--name: is empty");
    if (report::printable(name) != name) {
      throw Error("--name: '" + report::printable(name) +
                  "' has control characters, or bytes that are no UTF-8 text");
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      throw Error(
          fmt::format("--name: '{}' is a class of {} already; choose another name, or "
                      "remove it first (`dnc-host remove-class`)",
                      name, new_run.source));
    }
    if (opened.model->prototypes()) return;
    experiment.options().model.head.node().fail(
        "has no prototypes: its weights for a class are learned together with all others, so one "
        "cannot be added without training. Train it anew with the class, or fit a head that "
        "classifies by its nearest prototypes to its backbone (`dnc-host fit`, `dnc-host list "
        "head`) and add the class to that");
  }

  // The images of the class, those that can be read, and what of them is held out.
  FileClass find_files(OpenedRun& opened, const ImageReader& reader) const {
    FileClass added{name, readable(find_images({images}), reader), {}};
    if (added.images.empty()) throw DataError(images + ": none of its images can be read");
    if (!test_images.empty()) {
      added.test_images = readable(find_images({test_images}), reader);
    } else if (hold_out > 0 && added.images.size() >= kFewestToHoldOut) {
      const auto size = static_cast<int64_t>(added.images.size());
      const auto count =
          std::clamp<int64_t>(std::llround(hold_out * static_cast<double>(size)), 1, size - 1);
      const auto seed = static_cast<uint64_t>(opened.experiment->options().seed);
      const auto held = draw_indices(size, count, seed);
      for (auto i = held.rbegin(); i != held.rend(); ++i) {
        const auto file = added.images.begin() + *i;
        added.test_images.insert(added.test_images.begin(), *file);
        added.images.erase(file);
      }
    }
    check_size(opened, added, reader);
    return added;
  }

  // An image of another size than the run's would be seen at another scale.
  static void check_size(OpenedRun& opened, const FileClass& added, const ImageReader& reader) {
    auto& experiment = *opened.experiment;
    const auto transforms = experiment.test_transforms();
    std::shared_ptr<const Dataset> data;
    try {
      data = experiment.split(experiment.has_split("test") ? "test" : "train").dataset;
    } catch (const Error&) {
      return;  // said where the accuracy is counted
    }
    const ImageFiles files(added.images, reader, experiment.classes());
    const auto ours = network_input(files, transforms, 0, 0).images.sizes().vec();
    const auto theirs = network_input(*data, transforms, 0, 0).images.sizes().vec();
    if (ours == theirs) return;
    throw DataError(fmt::format(
        "{}: comes to the network with {} x {} pixels, the images of the run with {} x {}; resize "
        "it, or give the run transforms that do (--set data.test.transforms=...)",
        files.name(0), ours[3], ours[2], theirs[3], theirs[2]));
  }

  struct Change {
    ChangedClasses classes;
    fs::path folder;
    std::vector<FileClass> lists;
  };

  static fs::path list_folder(const fs::path& folder) { return folder / "added_classes"; }

  Change change(Program& program, OpenedRun& opened, const FileClass& added) const {
    Change change;
    change.folder = new_run.folder(opened, "_with_" + fs::path(name).filename().string());
    change.lists = file_classes(opened.experiment->options().data);
    change.lists.push_back(added);
    auto names = opened.experiment->classes().names;
    std::vector<int64_t> before(names.size());
    std::iota(before.begin(), before.end(), 0);
    names.push_back(name);
    before.push_back(-1);
    auto changes = new_run.overrides;
    for (auto& each : class_overrides(names, change.lists, list_folder(change.folder))) {
      changes.push_back(std::move(each));
    }
    change.classes = change_classes(program, opened, names, before, changes);
    return change;
  }

  void fit(ChangedClasses& changed, const OpenedRun& opened, const FileClass& added,
           const ImageReader& reader, DerivedRun& run) const {
    auto& experiment = *changed.run.experiment;
    auto& model = *changed.run.model;
    const auto& classes = experiment.classes();
    const auto label = classes.size() - 1;
    const Split data{"train", std::make_shared<ImageFiles>(added.images, reader, classes, label),
                     experiment.test_transforms()};
    FitResult found;
    {
      BatchProgress line("embeddings");
      found = fit_prototypes(model, data, experiment.options(), experiment.device(), options,
                             [&](int64_t done, int64_t all) { line.update(done, all); });
    }
    // The head was shown one class alone; whatever it has changed of the others is not wanted.
    copy_classes(*opened.model, model, label, changed.before);
    const auto K = model.prototypes()->prototypes().size(1);
    run.say(
        fmt::format("'{}' is class {}: {} sub-centroids from {} images; mean cosine of an "
                    "image with its nearest {:.4f}",
                    name, label, K, found.samples, found.mean_cosine));
    if (found.samples < K) {
      run.say(fmt::format(
          "warning: the class has fewer images ({}) than sub-centroids ({}), so some of "
          "these are the same",
          found.samples, K));
    }
    for (const auto& tensor : changed.means) {
      run.say("note: " + tensor +
              " is learned: for the new class it is the mean over the other classes");
    }
  }

  void report(OpenedRun& before, OpenedRun& after, const FileClass& added, int64_t label,
              const ImageReader& reader, DerivedRun& run) const {
    const auto warn = [&](const std::string& what) { run.say("warning: " + what); };
    nlohmann::ordered_json json = {{"added", name},
                                   {"images", added.images.size()},
                                   {"test_images", added.test_images.size()}};
    report::TerminalTable table;
    table.header = {"accuracy", "images", "before", "after"};
    const auto old_test = count_test(before, warn);
    auto new_test = old_test ? count_test(after, [](const std::string&) {}) : std::nullopt;
    if (new_test) {
      Share old_classes, now;
      int64_t lost = 0;
      for (int64_t c = 0; c < label; ++c) {
        old_classes += {old_test->counts.right(c), old_test->counts.samples(c)};
        now += {new_test->counts.right(c), new_test->counts.samples(c)};
        lost += new_test->counts.given(c, label);
      }
      table.rows.push_back({fmt::format("{} old classes", label), std::to_string(now.samples),
                            report::fixed(old_classes.value(), 4), report::fixed(now.value(), 4)});
      table.rows.push_back({"  taken for " + name, std::to_string(lost), "", ""});
      json["old_classes"] = {{"images", now.samples},
                             {"before", old_classes.value()},
                             {"after", now.value()},
                             {"taken_for_the_new_class", lost}};
    }
    Share new_class;
    if (new_test) {  // with what is held out, and those that the data has of this name
      new_class = {new_test->counts.right(label), new_test->counts.samples(label)};
    } else if (!added.test_images.empty()) {
      new_class = count_files(after,
                              std::make_shared<ImageFiles>(added.test_images, reader,
                                                           after.experiment->classes(), label),
                              label);
    }
    if (new_class.samples > 0) {
      table.rows.push_back(
          {name, std::to_string(new_class.samples), "", report::fixed(new_class.value(), 4)});
      json["new_class"] = {{"images", new_class.samples}, {"accuracy", new_class.value()}};
    } else {
      warn(
          fmt::format("no image of '{}' is held out, so its accuracy is not known; give some with "
                      "--test-images",
                      name));
    }
    if (!table.rows.empty()) run.say(table.to_text(false));
    write_file(run.path() / "added_class.json", json.dump(2) + "\n");
    run.finish(*after.model, new_run.source, fs::path(run.path()).filename().string(),
               new_test ? new_test->evaluation : Evaluation{});
  }
};

}  // namespace

void add_add_class(CLI::App& app, Action& action) {
  auto command = std::make_shared<AddClassCommand>();
  auto* sub = app.add_subcommand("add-class",
                                 "Add a class from its images, without training, in a new run");
  add_new_run(*sub, command->new_run, "_with_NAME");
  sub->add_option("--name", command->name, "Of the new class")->required()->type_name("TEXT");
  sub->add_option("--images", command->images, "Folder with images of it")
      ->required()
      ->type_name("DIR");
  sub->add_option("--test-images", command->test_images,
                  "Folder with images of it to test with; else some of --images are held out")
      ->type_name("DIR");
  sub->add_option("--hold-out", command->hold_out,
                  "Share of the images that is held out for the test; 0 for none")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  sub->add_option("--iterations", command->options.iterations,
                  "Of the clustering, at most, where a class has several sub-centroids")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->capture_default_str();
  sub->footer(
      example("  dnc-host add-class runs/resnet8_dnc --name zebra --images photos/zebras\n"
              "  dnc-host predict runs/resnet8_dnc_with_zebra photos/unknown.jpg\n"
              "The network stays as it is; the head gets sub-centroids that are clusters of the "
              "images' embeddings."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
