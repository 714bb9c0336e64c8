#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/program.h"
#include "host/run.h"

namespace dnc {

/// Gives a module the state of one that has other classes and is else the same. What belongs to a
/// class is told by the shapes alone: a tensor of one shape in both is copied; of one that differs
/// in a single dimension, with as many entries as there are classes, the entries of the classes
/// that stay are. For a new class, a buffer keeps what the module began with, and a parameter gets
/// the mean over the old classes, which favours none of them. Returns the names of the parameters
/// that did. Nothing is changed where a tensor fits neither way (Error).
std::vector<std::string> copy_classes(const torch::nn::Module& from, torch::nn::Module& to,
                                      int64_t classes_before, const std::vector<int64_t>& before);

/// A class whose images are files.
struct FileClass {
  std::string name;
  std::vector<std::string> images;       // of the training data
  std::vector<std::string> test_images;  // may be empty
};

/// Those of a config (data.added_classes), with their files. Throws DataError where a list is not
/// there.
std::vector<FileClass> file_classes(const DataOptions& data);

/// The `--set` changes by which the config of a run gets other classes, whose files are listed in
/// `folder` (see write_file_lists()).
std::vector<std::string> class_overrides(const std::vector<std::string>& names,
                                         const std::vector<FileClass>& added,
                                         const std::filesystem::path& folder);
/// The lists of files that class_overrides() names. Throws FileError.
void write_file_lists(const std::vector<FileClass>& added, const std::filesystem::path& folder);

/// A model with other classes.
struct ChangedClasses {
  OpenedRun run;                   // its config names them
  std::vector<int64_t> before;     // what each class was
  std::vector<std::string> means;  // see copy_classes()
};

/// The model of a run with other classes: `before` has for each the class that it was in the run,
/// or -1. `config_changes` are `--set` changes, with those of class_overrides(). Throws
/// ConfigError, and Error where the model does not allow it.
ChangedClasses change_classes(Program& program, const OpenedRun& run,
                              const std::vector<std::string>& names,
                              const std::vector<int64_t>& before,
                              const std::vector<std::string>& config_changes);

}  // namespace dnc
