#pragma once

#include <string>
#include <vector>

namespace dnc {

/// The texts that a pattern stands for, as in a shell: "train-{000..146}.tar" with its zeros kept,
/// "{train,extra}.tar", also several braces. Throws OptionError for `shards` where a brace is not
/// closed or a range runs backwards, or where there are more than a million names.
std::vector<std::string> expand_braces(const std::string& pattern);

}  // namespace dnc
