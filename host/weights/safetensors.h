#pragma once

#include <c10/util/Exception.h>  // ordered_dict.h needs it and does not include it
#include <torch/csrc/api/include/torch/ordered_dict.h>
#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>

#include "host/files.h"

namespace dnc {

/// Tensors by name, in an order that is kept.
using TensorMap = torch::OrderedDict<std::string, torch::Tensor>;
/// Text by name, for what a file of tensors says about itself.
using Metadata = std::map<std::string, std::string>;

/// What a safetensors file holds.
struct TensorFile {
  TensorMap tensors;  // on the CPU, each with memory of its own, in the order of the file
  Metadata metadata;
};

/// The format of huggingface/safetensors: a length (uint64, little-endian), a JSON header with
/// type, shape and place of each tensor, and the bytes of the tensors one after the other. It holds
/// no code, and every library reads it. Types: F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL.

/// Writes a whole file or, on failure, none. Tensors may be on any device and strided in any way;
/// they come back contiguous. Throws FileError, and CheckpointError for a type without a name.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata = {});
/// The same into a file that somebody else finishes.
void write_safetensors(OutputFile& file, const TensorMap& tensors, const Metadata& metadata = {});

/// Reads a file of unknown origin. The header is checked before any memory is taken for tensors:
/// names are unique, each size follows from type and shape, and the tensors cover the data without
/// gap or overlap. Throws FileError, and CheckpointError for what is not in order; both begin with
/// the file.
TensorFile read_safetensors(const std::filesystem::path& path);

}  // namespace dnc
