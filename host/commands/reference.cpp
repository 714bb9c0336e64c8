#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <sstream>

#include "host/commands/commands.h"

namespace dnc {
namespace {

// A cell of a table: no line end, no bar that would end it, no angle that would begin a tag.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    if (c == '<') {
      out += "&lt;";
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  return out;
}

std::string code(const std::string& text) { return text.empty() ? "" : "`" + cell(text) + "`"; }

// "TEXT:{table,csv}" to "table,csv", the words that may stand there; "N:POSITIVE" to "N".
std::string value_text(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto begin = type.find('{'), end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return type.substr(0, type.find(':'));
  return type.substr(begin + 1, end - begin - 1);
}

// The lines of an example without their indentation.
std::string example_lines(const std::string& footer) {
  std::string text;
  std::istringstream lines(footer);
  std::string line;
  std::getline(lines, line);  // "Example:"
  while (std::getline(lines, line)) text += line.substr(line.starts_with("  ") ? 2 : 0) + "\n";
  return text;
}

// "-o, --out DIR", or the name of an argument.
std::string names_of(const CLI::Option& option) {
  if (option.get_positional()) return code(value_text(option));
  std::vector<std::string> names;
  for (const auto& name : option.get_snames()) names.push_back(code("-" + name));
  for (const auto& name : option.get_lnames()) names.push_back(code("--" + name));
  auto text = fmt::format("{}", fmt::join(names, ", "));
  if (option.get_items_expected_max() > 0) text += " " + code(value_text(option));
  return text;
}

std::string usage(const CLI::App& command) {
  auto text = "dnc-host " + command.get_name();
  for (const auto* option : command.get_options()) {
    if (!option->get_positional()) continue;
    const auto value = value_text(*option);
    text += option->get_required() ? " " + value : " [" + value + "]";
  }
  return text + " [options]";
}

std::string options_table(const CLI::App& command) {
  std::string text = "| | default | |\n|---|---|---|\n";
  for (const auto* option : command.get_options()) {
    if (option == command.get_help_ptr()) continue;
    text += fmt::format("| {} | {} | {} |\n", names_of(*option), code(option->get_default_str()),
                        cell(option->get_description()));
  }
  return text;
}

std::string section(const CLI::App& command) {
  auto text = fmt::format("## {}\n\n{}.\n\n```\n{}\n```\n\n{}", command.get_name(),
                          command.get_description(), usage(command), options_table(command));
  const auto example = example_lines(command.get_footer());
  if (!example.empty()) text += "\n```\n" + example + "```\n";
  return text + "\n";
}

// All commands with their options, as Markdown.
std::string reference(const CLI::App& app) {
  std::string table = "| command | |\n|---|---|\n", sections;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;  // this one
    table += fmt::format("| [{0}](#{0}) | {1} |\n", command->get_name(),
                         cell(command->get_description()));
    sections += section(*command);
  }
  sections.pop_back();  // one line end at the end of the file
  return "# Commands\n\nAll commands and options of `dnc-host`, as `dnc-host COMMAND --help` shows "
         "them.\nWritten by `dnc-host reference > docs/cli.md`.\n\n" +
         table + "\n" + sections;
}

}  // namespace

void add_reference(CLI::App& app, Action& action) {
  auto* sub = app.add_subcommand("reference", "Print docs/cli.md: all commands and their options");
  sub->group("");  // for those who work on the program: not in --help
  sub->footer(example("  dnc-host reference > docs/cli.md"));
  sub->callback([&app, &action] {
    action = [&app] {
      std::cout << reference(app);
      return 0;
    };
  });
}

}  // namespace dnc
