#include "host/commands/new_run.h"

#include "host/commands/commands.h"
#include "host/report/format.h"
#include "host/report/terminal_table.h"

namespace dnc {

namespace fs = std::filesystem;

fs::path NewRun::folder(const OpenedRun& run, const std::string& ending) const {
  if (!out.empty()) return out;
  auto path = run.folder.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "runs/a/"
  return path += ending;
}

void add_new_run(CLI::App& command, NewRun& run, const std::string& ending) {
  command
      .add_option("run", run.source,
                  "Folder of a run or of one of its checkpoints; it stays as it is")
      ->required()
      ->type_name("RUN");
  command.add_option("-o,--out", run.out, "Folder of the new run (default RUN" + ending + ")")
      ->type_name("DIR");
  command
      .add_option("--checkpoint", run.checkpoint,
                  "Of the run: best, newest, or a name like step_00000391")
      ->capture_default_str();
  add_overrides(command, run.overrides);
}

std::string before_and_after(const report::Figures& before, const report::Figures& after) {
  report::TerminalTable table;
  table.header = {"", "before", "after", "difference"};
  for (const auto& [name, value] : before) {
    const auto now = report::figure(after, name);
    table.rows.push_back({name, report::fixed(value, 4), report::fixed(now, 4),
                          report::signed_fixed(now - value, 4)});
  }
  return table.to_text(false);
}

}  // namespace dnc
