# lib/dnc-host/dnc_ops_cuda.so: the operators' kernels for NVIDIA GPUs, ops/cuda/. It is built where
# there are nvcc and LibTorch's CUDA half; nothing else needs them. The program opens it when it uses
# a GPU, Python by torch.ops.load_library().
#
# CUDA's runtime is linked statically, as in cuBLAS and cuDNN. It shares the context and the streams
# of the runtime that LibTorch came with, for both work on the driver's, and so the library does not
# ask for a libcudart.so of nvcc's version where LibTorch has brought its own.
option(DNC_CUDA "Build the kernels for NVIDIA GPUs, where nvcc is found" ON)

find_library(DNC_C10_CUDA_LIBRARY c10_cuda PATHS "${LibTorch_LIBRARY_DIR}" NO_DEFAULT_PATH)
find_program(DNC_NVCC nvcc HINTS ENV CUDA_HOME /usr/local/cuda PATH_SUFFIXES bin)
mark_as_advanced(DNC_C10_CUDA_LIBRARY DNC_NVCC)
set(_compiler FALSE)
if(DNC_CUDA AND DNC_NVCC AND DNC_C10_CUDA_LIBRARY)
  include(CheckLanguage)
  if(NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} "${DNC_NVCC}")
  endif()
  check_language(CUDA)  # compiles with it; one that does not work must not stop the rest
  set(_compiler ${CMAKE_CUDA_COMPILER})
endif()
if(NOT _compiler)
  message(STATUS "CUDA kernels: not built (they need nvcc and LibTorch with CUDA); a GPU is used "
    "through LibTorch's operators")
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90")  # A100, H100, and PTX for what comes after them
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
file(STRINGS "${DNC_C10_CUDA_LIBRARY}" _runtime LIMIT_COUNT 1 REGEX "^libcudart\\.so\\.[0-9]+")
string(REGEX REPLACE "^libcudart\\.so\\.([0-9]+).*" "\\1" _runtime "${_runtime}")
message(STATUS "CUDA kernels: nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}, "
  "LibTorch with CUDA ${_runtime}")
if(_runtime AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL "${_runtime}.999")
  message(WARNING "nvcc is of a later major version than LibTorch's CUDA ${_runtime}: the kernels "
    "need a newer driver than LibTorch does.")
endif()
unset(_runtime)
unset(_compiler)

file(GLOB _kernels CONFIGURE_DEPENDS ops/cuda/*.cu)
add_library(dnc_ops_kernels OBJECT ${_kernels})
target_include_directories(dnc_ops_kernels PRIVATE "${PROJECT_SOURCE_DIR}")
set_target_properties(dnc_ops_kernels PROPERTIES
  # Not those of g++, which the other targets have from cmake/Warnings.cmake and the like.
  COMPILE_OPTIONS "-Xcompiler=-Wall,-Wextra"
  CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static
  CUDA_VISIBILITY_PRESET hidden
  POSITION_INDEPENDENT_CODE ON)
add_library(dnc_ops_cuda MODULE ops/cuda/dispatch.cpp $<TARGET_OBJECTS:dnc_ops_kernels>)
target_include_directories(dnc_ops_cuda SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
target_link_libraries(dnc_ops_cuda PRIVATE dnc::ops "${DNC_C10_CUDA_LIBRARY}" CUDA::cudart_static)
target_link_options(dnc_ops_cuda PRIVATE -Wl,--exclude-libs,ALL)
if(NOT DNC_SANITIZE)
  target_link_options(dnc_ops_cuda PRIVATE -Wl,-z,defs)
endif()
set_target_properties(dnc_ops_cuda PROPERTIES
  PREFIX "" DEFINE_SYMBOL "" LINKER_LANGUAGE CXX CUDA_RUNTIME_LIBRARY Static
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/dnc-host")
dnc_use_pch(dnc_ops_cuda)
unset(_kernels)
