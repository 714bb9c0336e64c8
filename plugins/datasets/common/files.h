#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dnc {

/// Size in bytes of a regular file. Throws DataError, beginning with the path and ending with
/// `advice`, where there is none.
int64_t file_size(const std::filesystem::path& path, const std::string& advice);

/// All bytes of a file. Throws DataError as file_size() does, or where it cannot be read.
std::vector<uint8_t> read_bytes(const std::filesystem::path& path, const std::string& advice);

/// A text file whole. Throws DataError where it cannot be read or is larger than 1 GiB, which is no
/// list of names.
std::string read_text(const std::filesystem::path& path, const std::string& advice);

/// The lines of a text file, without line ends; '\r' counts as one. Throws as read_text() does.
std::vector<std::string> read_lines(const std::filesystem::path& path, const std::string& advice);

/// One class name a line; empty lines at the end are passed over. Throws DataError where a name is
/// missing or comes twice.
std::vector<std::string> read_class_names(const std::filesystem::path& path);

/// Class names that were given as an option. Throws OptionError for `option` where one is empty or
/// comes twice.
void check_class_names(const std::vector<std::string>& names, const std::string& option);

}  // namespace dnc
