#include "registry/error.h"

#include <utility>

namespace dnc {

Error::~Error() = default;
ConfigError::~ConfigError() = default;
OptionError::~OptionError() = default;
PluginError::~PluginError() = default;
CheckpointError::~CheckpointError() = default;
DataError::~DataError() = default;

OptionError::OptionError(std::string option, const std::string& what)
    : Error(what), option_(std::move(option)) {}

}  // namespace dnc
