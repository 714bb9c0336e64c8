# How host/parallel/ is built: what c10d needs to be told, and NCCL where it is.

# The one file that names Gloo's classes; see host/parallel/gloo_headers/README.md.
set_source_files_properties(host/parallel/gloo.cpp PROPERTIES
  SKIP_PRECOMPILE_HEADERS ON
  COMPILE_DEFINITIONS USE_C10D_GLOO
  INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/host/parallel/gloo_headers")

# lib/dnc-host/dnc_nccl.so, which the program opens when it trains on several GPUs. It is built where
# LibTorch has its CUDA half and there are CUDA's headers and nccl.h; nothing else needs them.
find_path(DNC_CUDA_INCLUDE_DIR cuda_runtime_api.h HINTS ENV CUDA_HOME /usr/local/cuda
  PATH_SUFFIXES include)
find_path(DNC_NCCL_INCLUDE_DIR nccl.h HINTS ENV NCCL_HOME "${DNC_CUDA_INCLUDE_DIR}"
  PATH_SUFFIXES include)
find_library(DNC_TORCH_CUDA_LIBRARY torch_cuda PATHS "${LibTorch_LIBRARY_DIR}" NO_DEFAULT_PATH)
mark_as_advanced(DNC_CUDA_INCLUDE_DIR DNC_NCCL_INCLUDE_DIR DNC_TORCH_CUDA_LIBRARY)
if(DNC_CUDA_INCLUDE_DIR AND DNC_NCCL_INCLUDE_DIR AND DNC_TORCH_CUDA_LIBRARY)
  message(STATUS "NCCL: ${DNC_NCCL_INCLUDE_DIR}/nccl.h")
  add_library(dnc_nccl MODULE host/parallel/nccl_library/backend.cc)
  target_compile_definitions(dnc_nccl PRIVATE USE_C10D_NCCL)
  target_include_directories(dnc_nccl SYSTEM PRIVATE
    "${DNC_CUDA_INCLUDE_DIR}" "${DNC_NCCL_INCLUDE_DIR}")
  # What it needs of libtorch_cuda is in the process when it is opened.
  target_link_libraries(dnc_nccl PRIVATE LibTorch::cpu)
  set_target_properties(dnc_nccl PROPERTIES
    PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/dnc-host")
else()
  message(STATUS "NCCL: not built (needs LibTorch with CUDA, CUDA's headers and nccl.h); "
    "several processes train on CPUs only")
endif()
