#include "host/plugin_loader.h"

#include <algorithm>
#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <cstdlib>
#include <deque>
#include <sstream>
#include <utility>

#include "registry/plugin.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace dll = boost::dll;
namespace fs = std::filesystem;

constexpr char kHostStamp[] = DNC_PLUGIN_STAMP;

// Leaked on purpose, so that no static destructor unmaps a plugin at exit either.
void keep_mapped(dll::shared_library library) {
  static auto* libraries = new std::deque<dll::shared_library>;
  libraries->push_back(std::move(library));
}

// Boost.DLL wraps the loader's own words: "... (dlerror system message: WORDS): Bad file ...", and
// they begin with the file.
std::string loader_words(const std::string& text, const fs::path& file) {
  const std::string open = "dlerror system message: ";
  const auto begin = text.find(open);
  const auto end = text.rfind("): ");
  if (begin == std::string::npos || end == std::string::npos) return text;
  const auto words = text.substr(begin + open.size(), end - begin - open.size());
  const auto prefix = file.string() + ": ";
  return words.rfind(prefix, 0) == 0 ? words.substr(prefix.size()) : words;
}

dll::shared_library open_library(const fs::path& file) {
  dll::shared_library library;
  try {
    library.load(file, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    const auto words = loader_words(error.what(), file);
    const bool symbol = words.find("undefined symbol") != std::string::npos;
    throw PluginError(file.string() + ": cannot be loaded: " + words +
                      (symbol ? "\n  It was built against another dnc-host or LibTorch, or lacks a "
                                "library; rebuild it."
                              : ""));
  }
  return library;
}

}  // namespace

void PluginLoader::load(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) throw PluginError(path.string() + ": no such plugin");
  const auto file = fs::canonical(path);
  const bool known = std::any_of(loaded_.begin(), loaded_.end(),
                                 [&](const LoadedPlugin& plugin) { return plugin.file == file; });
  if (known) return;

  auto library = open_library(file);
  if (!library.has("dnc_plugin_stamp") || !library.has("dnc_plugin_register")) {
    throw PluginError(file.string() +
                      ": is a shared library, but not a plugin of dnc-host: it lacks " +
                      (library.has("dnc_plugin_stamp") ? "dnc_plugin_register" : "dnc_plugin_stamp") +
                      ". Write DNC_PLUGIN(registrar) { ... } in it.");
  }
  const std::string stamp = &library.get<const char>("dnc_plugin_stamp");
  if (stamp != kHostStamp) {
    throw PluginError(file.string() + ": was built for another dnc-host; rebuild it" +
                      "\n  plugin:   " + stamp + "\n  dnc-host: " + kHostStamp);
  }
  auto& entry = library.get<void(Registrar&)>("dnc_plugin_register");
  keep_mapped(std::move(library));

  Registry trial = registry_;
  Registrar registrar(trial, file.string());
  try {
    entry(registrar);
  } catch (const PluginError& failure) {
    throw PluginError(file.string() + ": cannot be registered: " + failure.what());
  } catch (const c10::Error& failure) {
    throw PluginError(file.string() +
                      ": failed while registering: " + failure.what_without_backtrace());
  } catch (const std::exception& failure) {
    throw PluginError(file.string() + ": failed while registering: " + failure.what());
  } catch (...) {
    throw PluginError(file.string() + ": failed while registering, with an unknown exception");
  }
  registry_ = std::move(trial);
  loaded_.push_back({file, stamp});
}

void PluginLoader::load_folder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".so") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    try {
      load(file);
    } catch (const PluginError& failure) {
      registry_.add_failure(file.filename().string(), failure.what());
    }
  }
}

void PluginLoader::load_named(const std::string& name) {
  std::error_code error;
  if (name.find('/') != std::string::npos || fs::is_regular_file(name, error)) {
    load(name);
    return;
  }
  const char* variable = std::getenv("DNC_PLUGIN_PATH");
  std::istringstream folders(variable ? variable : "");
  std::vector<std::string> searched;
  for (std::string folder; std::getline(folders, folder, ':');) {
    for (const auto& file : {fs::path(folder) / name, fs::path(folder) / (name + ".so")}) {
      if (!folder.empty() && fs::is_regular_file(file, error)) {
        load(file);
        return;
      }
    }
    if (!folder.empty()) searched.push_back(folder);
  }
  throw PluginError("plugin '" + name + "' is not found; searched " +
                    (searched.empty() ? "nowhere: set DNC_PLUGIN_PATH, or give a path with a slash"
                                      : "in " + join(searched) + " (DNC_PLUGIN_PATH)"));
}

fs::path builtin_plugin_folder() {
  // In a library for other programs (predictor/): beside that, wherever the program is.
  const fs::path here = dll::this_line_location();
  if (here.extension() == ".so") return fs::canonical(here).parent_path() / "dnc-host" / "plugins";
  const fs::path program = dll::program_location();
  return program.parent_path().parent_path() / "lib" / "dnc-host" / "plugins";
}

std::string host_stamp() { return kHostStamp; }

}  // namespace dnc
