#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/commands/class_accuracy.h"
#include "host/commands/commands.h"
#include "host/commands/new_run.h"
#include "host/files.h"
#include "host/frozen/class_change.h"
#include "host/report/format.h"
#include "host/report/terminal_table.h"
#include "host/train/checkpoint.h"
#include "host/train/derived_run.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct RemoveClassCommand {
  NewRun new_run;
  std::string name;

  int run() {
    Program program;
    auto opened = open_run(program, new_run.source, new_run.checkpoint, new_run.overrides);
    const auto label = find(opened);
    const auto folder = new_run.folder(opened, "_without_" + fs::path(name).filename().string());
    auto lists = file_classes(opened.experiment->options().data);
    std::erase_if(lists, [&](const FileClass& each) { return each.name == name; });
    auto changed = change(program, opened, label, lists, folder);
    DerivedRun run(folder, *changed.run.experiment,
                   fmt::format("remove-class --name {} of {}", name, opened.checkpoint.string()));
    if (run.is_done()) {
      std::cout << run.path().string() << ": done already\n";
      return 0;
    }
    run.begin();
    write_file_lists(lists, folder / "added_classes");
    run.save(*changed.run.model, opened.step, load_checkpoint_progress(opened.checkpoint).epoch);
    report(opened, changed.run, label, run);
    return 0;
  }

  int64_t find(OpenedRun& opened) const {
    if (opened.experiment->task() != Task::kImages) {
      throw ConfigError(new_run.source + ": is a model for pixels; remove-class is for images");
    }
    const auto& names = opened.experiment->classes().names;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw Error(fmt::format("--name: '{}' is no class of {}{}", name, new_run.source,
                              suggestion(name, names)));
    }
    if (names.size() <= 2) {
      throw Error(fmt::format("--name: without '{}' {} would have one class, and nothing to decide",
                              name, new_run.source));
    }
    return found - names.begin();
  }

  ChangedClasses change(Program& program, OpenedRun& opened, int64_t label,
                        const std::vector<FileClass>& lists, const fs::path& folder) const {
    auto names = opened.experiment->classes().names;
    std::vector<int64_t> before;
    for (int64_t c = 0; c < opened.experiment->classes().size(); ++c) {
      if (c != label) before.push_back(c);
    }
    names.erase(names.begin() + label);
    auto changes = new_run.overrides;
    for (auto& each : class_overrides(names, lists, folder / "added_classes")) {
      changes.push_back(std::move(each));
    }
    return change_classes(program, opened, names, before, changes);
  }

  void report(OpenedRun& before, OpenedRun& after, int64_t label, DerivedRun& run) const {
    const auto warn = [&](const std::string& what) { run.say("warning: " + what); };
    const auto old_test = count_test(before, warn);
    auto new_test = old_test ? count_test(after, [](const std::string&) {}) : std::nullopt;
    const auto remaining = after.experiment->classes().size();
    if (new_test) {
      Share was, now;
      int64_t lost = 0;
      for (int64_t c = 0; c <= remaining; ++c) {
        if (c == label) continue;
        was += {old_test->counts.right(c), old_test->counts.samples(c)};
        lost += old_test->counts.given(c, label);
      }
      for (int64_t c = 0; c < remaining; ++c) {
        now += {new_test->counts.right(c), new_test->counts.samples(c)};
      }
      const auto gone = old_test->counts.samples(label);
      report::TerminalTable table;
      table.header = {"accuracy", "images", "before", "after"};
      table.rows = {{fmt::format("{} remaining classes", remaining), std::to_string(now.samples),
                     report::fixed(was.value(), 4), report::fixed(now.value(), 4)},
                    {"  were taken for " + name, std::to_string(lost), "", ""},
                    {name + ", no longer counted", std::to_string(gone), "", ""}};
      run.say(table.to_text(false));
      const nlohmann::ordered_json json = {{"removed", name},
                                           {"remaining_classes",
                                            {{"images", now.samples},
                                             {"before", was.value()},
                                             {"after", now.value()},
                                             {"were_taken_for_it", lost}}},
                                           {"images_that_no_longer_count", gone}};
      write_file(run.path() / "removed_class.json", json.dump(2) + "\n");
    }
    run.finish(*after.model, new_run.source, fs::path(run.path()).filename().string(),
               new_test ? new_test->evaluation : Evaluation{});
  }
};

}  // namespace

void add_remove_class(CLI::App& app, Action& action) {
  auto command = std::make_shared<RemoveClassCommand>();
  auto* sub = app.add_subcommand("remove-class",
                                 "Remove a class from a model, without training, in a new run");
  add_new_run(*sub, command->new_run, "_without_NAME");
  sub->add_option("--name", command->name, "Of the class")->required()->type_name("TEXT");
  sub->footer(
      example("  dnc-host remove-class runs/resnet8_dnc --name Shirt\n"
              "Its images in the data of the run no longer count, in tests too."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
