#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "registry/kind.h"

namespace dnc {
namespace {

// What can stand in one place of a command line, by the word that --help shows for it: "CONFIG",
// "DIR", "NAME", ..., or "TEXT:{table,csv}" where there is a choice.
struct Value {
  std::string type;

  // The words of a choice; none where it is no choice.
  std::string choice() const {
    if (is("KIND")) {
      std::vector<std::string> kinds;
      for (const auto kind : kAllKinds) kinds.push_back(kind_name(kind));
      return fmt::format("{}", fmt::join(kinds, " "));
    }
    const auto begin = type.find('{');
    const auto end = type.find('}');
    if (begin == std::string::npos || end == std::string::npos) return "";
    auto words = type.substr(begin + 1, end - begin - 1);
    std::replace(words.begin(), words.end(), ',', ' ');
    return words;
  }
  bool is(const std::string& word) const { return type == word || type == word + "..."; }
  bool is_file() const {
    return is("FILE") || is("IMAGE") || is("PLUGIN") || is("IN") || is("OUT");
  }
};

// An option of a command, as the parser knows it.
struct OptionWords {
  std::vector<std::string> short_names;  // "o"
  std::vector<std::string> long_names;   // "work-dir"
  std::string doc;
  bool takes_value = false;
  Value value;

  std::vector<std::string> words() const {
    std::vector<std::string> words;
    for (const auto& name : short_names) words.push_back("-" + name);
    for (const auto& name : long_names) words.push_back("--" + name);
    return words;
  }
};

struct CommandWords {
  std::string name;
  std::string doc;
  std::vector<OptionWords> options;
  std::vector<Value> arguments;  // in their order; the last one repeats
};

CommandWords words_of(const CLI::App& app) {
  CommandWords command{app.get_name(), app.get_description(), {}, {}};
  for (const auto* option : app.get_options()) {
    const Value value{option->get_type_name()};
    if (option->get_positional()) {
      command.arguments.push_back(value);
      continue;
    }
    command.options.push_back({option->get_snames(), option->get_lnames(),
                               option->get_description(), option->get_items_expected_max() > 0,
                               value});
  }
  return command;
}

std::vector<CommandWords> commands_of(const CLI::App& app) {
  std::vector<CommandWords> commands;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(words_of(*command));
  }
  return commands;
}

std::string joined_words(const std::vector<OptionWords>& options) {
  std::vector<std::string> all;
  for (const auto& option : options) {
    for (auto& word : option.words()) all.push_back(std::move(word));
  }
  return fmt::format("{}", fmt::join(all, " "));
}

// ---- bash, and zsh through its own emulation of it ----------------------------------------------

// The bash function that completes one value; "_none" where nothing can be said.
std::string bash_value(const Value& value) {
  if (const auto words = value.choice(); !words.empty()) return "_words '" + words + "'";
  if (value.is("CONFIG") || value.is("RUN|CONFIG")) return "_configs";
  if (value.is("DIR") || value.is("RUN")) return "_folders";
  if (value.is("NAME")) return "_names";
  return value.is_file() ? "_files" : "_none";
}

constexpr const char* kBashFunctions = R"bash(
_dnc_host_none() { COMPREPLY=(); }
_dnc_host_words() { COMPREPLY=($(compgen -W "$1" -- "$word")); }
_dnc_host_lines() { local IFS=$'\n'; COMPREPLY=($("$@" -- "$word")); }
_dnc_host_files() { _dnc_host_lines compgen -f; }
_dnc_host_folders() { _dnc_host_lines compgen -d; }
_dnc_host_configs() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -d -- "$word"; compgen -f -X '!*.yaml' -- "$word"))
}
_dnc_host_names() { _dnc_host_words "config $("${COMP_WORDS[0]}" list --names 2>/dev/null)"; }
)bash";

constexpr const char* kBashMain = R"bash(
_dnc_host() {
  local word="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}" place=0 i
  if [ "$COMP_CWORD" -eq 1 ]; then
    _dnc_host_words "$_dnc_host_commands"
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do  # arguments before this one
    case "${COMP_WORDS[i]}" in
      -*) ;;
      *) _dnc_host_takes_value "$command" "${COMP_WORDS[i - 1]}" || place=$((place + 1)) ;;
    esac
  done
  if _dnc_host_takes_value "$command" "${COMP_WORDS[COMP_CWORD - 1]}"; then
    _dnc_host_value "$command" "${COMP_WORDS[COMP_CWORD - 1]}"
  elif [ "${word:0:1}" = "-" ]; then
    _dnc_host_options "$command"
  else
    _dnc_host_argument "$command" "$place"
  fi
}
complete -o filenames -F _dnc_host dnc-host
)bash";

// One function with a case for each command; `cases` writes what stands in it.
template <typename Cases>
std::string bash_function(const std::string& name, const std::string& subject,
                          const std::vector<CommandWords>& commands, const std::string& otherwise,
                          const Cases& cases) {
  std::string text = "_dnc_host_" + name + "() {\n  case \"" + subject + "\" in\n";
  for (const auto& command : commands) text += cases(command);
  return text + "    *) " + otherwise + " ;;\n  esac\n}\n";
}

std::string option_pattern(const CommandWords& command, const OptionWords& option) {
  std::vector<std::string> patterns;
  for (const auto& word : option.words()) patterns.push_back("'" + command.name + " " + word + "'");
  return fmt::format("    {})", fmt::join(patterns, "|"));
}

std::string argument_cases(const CommandWords& command) {
  std::string text;
  for (size_t i = 0; i < command.arguments.size(); ++i) {
    const bool last = i + 1 == command.arguments.size();
    text += fmt::format("    '{} '{}) _dnc_host{} ;;\n", command.name,
                        last ? "*" : std::to_string(i), bash_value(command.arguments[i]));
  }
  return text;
}

std::string bash_script(const CLI::App& app) {
  const auto commands = commands_of(app);
  std::vector<std::string> first;
  for (const auto& command : commands) first.push_back(command.name);
  auto text = fmt::format("_dnc_host_commands='{} {}'\n", fmt::join(first, " "),
                          joined_words(words_of(app).options));
  text += kBashFunctions;
  text += bash_function("options", "$1", commands, "_dnc_host_none", [](const auto& command) {
    return fmt::format("    {}) _dnc_host_words '{}' ;;\n", command.name,
                       joined_words(command.options));
  });
  const auto for_options = [](const auto& say) {
    return [say](const CommandWords& command) {
      std::string text;
      for (const auto& option : command.options) {
        if (!option.takes_value) continue;
        text += option_pattern(command, option) + " " + say(option.value) + " ;;\n";
      }
      return text;
    };
  };
  text += bash_function("takes_value", "$1 $2", commands, "return 1",
                        for_options([](const Value&) { return "return 0"; }));
  text += bash_function(
      "value", "$1 $2", commands, "_dnc_host_none",
      for_options([](const Value& value) { return "_dnc_host" + bash_value(value); }));
  text += bash_function("argument", "$1 $2", commands, "_dnc_host_none", argument_cases);
  return text + kBashMain;
}

// ---- fish ---------------------------------------------------------------------------------------

std::string fish_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// The arguments of fish's `complete` for one value.
std::string fish_value(const Value& value) {
  if (const auto words = value.choice(); !words.empty()) return " -x -a " + fish_quoted(words);
  if (value.is("CONFIG") || value.is("RUN|CONFIG"))
    return " -x -a '(__fish_complete_suffix .yaml)'";
  if (value.is("DIR") || value.is("RUN")) return " -x -a '(__fish_complete_directories)'";
  if (value.is("NAME")) return " -x -a 'config (dnc-host list --names 2>/dev/null)'";
  return value.is_file() ? " -r -F" : " -x";
}

std::string fish_script(const CLI::App& app) {
  std::string text = "complete -c dnc-host -f\n";
  for (const auto& command : commands_of(app)) {
    text += fmt::format("complete -c dnc-host -n __fish_use_subcommand -a {} -d {}\n", command.name,
                        fish_quoted(command.doc));
    const auto inside =
        fmt::format("complete -c dnc-host -n '__fish_seen_subcommand_from {}'", command.name);
    for (const auto& option : command.options) {
      text += inside;
      for (const auto& name : option.short_names) text += " -s " + name;
      for (const auto& name : option.long_names) text += " -l " + name;
      if (option.takes_value) text += fish_value(option.value);
      text += " -d " + fish_quoted(option.doc) + "\n";
    }
    for (const auto& argument : command.arguments) text += inside + fish_value(argument) + "\n";
  }
  return text;
}

struct CompletionCommand {
  std::string shell;

  int run(const CLI::App& app) const {
    if (shell == "fish") {
      std::cout << fish_script(app);
    } else {
      if (shell == "zsh") std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
      std::cout << bash_script(app);
    }
    return 0;
  }
};

}  // namespace

void add_completion(CLI::App& app, Action& action) {
  auto command = std::make_shared<CompletionCommand>();
  auto* sub = app.add_subcommand(
      "completion", "Print a script that lets a shell complete commands, options and names");
  sub->add_option("shell", command->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  sub->footer(
      example("  dnc-host completion bash > ~/.local/share/bash-completion/completions/dnc-host\n"
              "  source <(dnc-host completion zsh)\n"
              "  dnc-host completion fish > ~/.config/fish/completions/dnc-host.fish"));
  sub->callback(
      [command, &app, &action] { action = [command, &app] { return command->run(app); }; });
}

}  // namespace dnc
