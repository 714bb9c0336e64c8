#pragma once

namespace dnc {

/// Brings LibTorch's CUDA half into the process, where there is an NVIDIA driver; false where there
/// is none, or where that half or a library that it needs is not installed. The program does not
/// link it: it costs half a second and 350 MB at every start.
bool open_cuda_library();

}  // namespace dnc
