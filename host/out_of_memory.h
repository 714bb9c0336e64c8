#pragma once

#include <exception>
#include <functional>
#include <string>

namespace dnc {

/// Does `work`. Where the memory of a GPU or of the machine ends in it, throws Error: what was
/// being done (`doing`, such as "step 3, 128 images of 224 x 224"), how much was asked for, and
/// `advice`, the options that need less.
void with_memory_advice(const std::string& doing, const std::string& advice,
                        const std::function<void()>& work);

/// Whether an error says that there was not enough memory, of a GPU or of the machine.
bool is_out_of_memory(const std::exception& error);

}  // namespace dnc
