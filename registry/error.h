#pragma once

#include <stdexcept>
#include <string>

#include "registry/export.h"

namespace dnc {

/// What the user can mend. The message says where (it begins with the file), what is wrong, what
/// was expected and what to do next. The program prints it and exits with 1.
///
/// The destructors are defined in error.cpp, so that each type has one typeinfo in the process and
/// is caught by type across plugins.
class DNC_EXPORT Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

/// A config or a command-line override is wrong. Begins with "file:line:column: ".
class DNC_EXPORT ConfigError : public Error {
 public:
  using Error::Error;
  ~ConfigError() override;
};

/// A component refuses the value of one of its options. A constructor throws it with the option's
/// name; the registry turns it into a ConfigError that points at the key in the file.
class DNC_EXPORT OptionError : public Error {
 public:
  OptionError(std::string option, const std::string& what);
  ~OptionError() override;
  const std::string& option() const { return option_; }

 private:
  std::string option_;
};

/// A shared library cannot be used: not found, not a plugin, built for another host.
class DNC_EXPORT PluginError : public Error {
 public:
  using Error::Error;
  ~PluginError() override;
};

/// A checkpoint or a file of weights is missing, damaged, or of another model.
class DNC_EXPORT CheckpointError : public Error {
 public:
  using Error::Error;
  ~CheckpointError() override;
};

/// A data set or one of its files is missing, damaged, or not what the config says.
class DNC_EXPORT DataError : public Error {
 public:
  using Error::Error;
  ~DataError() override;
};

}  // namespace dnc
