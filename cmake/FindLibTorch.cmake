# FindLibTorch: imported targets for LibTorch, found by file.
#
# Reads neither TorchConfig.cmake nor Caffe2Config.cmake: those of a CUDA build stop the configure
# step where there is no CUDA toolkit, and drag its headers and libraries into every target. The
# C++ API needs only the files below, on CPU and on GPU.
#
# The first of these that is set decides; the folder is the one that holds include/ and lib/:
#   -DLIBTORCH=DIR          cache variable
#   LIBTORCH=DIR            environment
#   LibTorch_FALLBACK_DIRS  variable of the caller: folders that are tried if they exist
#   the `torch` package that Python would import
#
# Targets
#   LibTorch::headers    include folders, C++20, and the std::string ABI the library was built for
#   LibTorch::cpu        libtorch_cpu + libc10: all a plugin needs
# Variables
#   LibTorch_VERSION, LibTorch_DIR_FOUND, LibTorch_LIBRARY_DIR, LibTorch_CXX11_ABI (0 or 1)
#
# The CUDA libraries are not linked: the host opens libtorch_cuda.so when a GPU is asked for, which
# keeps start-up short on a machine without one.

set(LIBTORCH "" CACHE PATH "LibTorch: the folder that holds include/ and lib/")
set(_roots ${LIBTORCH})
if(NOT _roots)
  set(_roots $ENV{LIBTORCH})
endif()
if(_roots AND NOT EXISTS "${_roots}/include/torch/csrc/api/include/torch/torch.h")
  message(FATAL_ERROR "LIBTORCH=${_roots} is not a LibTorch folder: it has no "
    "include/torch/csrc/api/include/torch/torch.h. Name the folder that holds include/ and lib/.")
endif()
foreach(_fallback IN LISTS LibTorch_FALLBACK_DIRS)
  if(NOT _roots AND EXISTS "${_fallback}/include/torch/csrc/api/include/torch/torch.h")
    set(_roots "${_fallback}")
  endif()
endforeach()
if(NOT _roots)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  if(Python3_FOUND)
    # find_spec() imports nothing, so it works where `import torch` does not. The working folder is
    # taken off the path, or a folder of ours named torch would be found first.
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
        "import sys; sys.path = [p for p in sys.path if p]; import importlib.util as u
print(u.find_spec('torch').submodule_search_locations[0], end='')"
      OUTPUT_VARIABLE _roots ERROR_QUIET)
  endif()
endif()

# A changed LIBTORCH must not be answered from the cache.
if(NOT "${_roots}" STREQUAL "${LibTorch_DIR_FOUND}")
  unset(LibTorch_INCLUDE_DIR CACHE)
  unset(LibTorch_C10_LIBRARY CACHE)
  unset(LibTorch_CPU_LIBRARY CACHE)
endif()
set(LibTorch_DIR_FOUND "${_roots}" CACHE INTERNAL "LibTorch: the folder that was used")
find_path(LibTorch_INCLUDE_DIR torch/csrc/api/include/torch/torch.h
  PATHS ${_roots} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS ${_roots} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS ${_roots} PATH_SUFFIXES lib NO_DEFAULT_PATH)
mark_as_advanced(LibTorch_INCLUDE_DIR LibTorch_C10_LIBRARY LibTorch_CPU_LIBRARY)
unset(_roots)
unset(_fallback)

if(LibTorch_INCLUDE_DIR)
  set(_version "")
  foreach(_header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(NOT _version AND EXISTS ${LibTorch_INCLUDE_DIR}/${_header})
      file(STRINGS ${LibTorch_INCLUDE_DIR}/${_header} _version
        REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    endif()
  endforeach()
  string(REGEX MATCHALL "[0-9]+" _version "${_version}")
  list(JOIN _version "." LibTorch_VERSION)
  unset(_version)
  unset(_header)
endif()

# The constructor of c10::Error takes a std::string, so its mangled name tells which one.
set(LibTorch_STRING_ABI "")
if(LibTorch_C10_LIBRARY)
  get_filename_component(LibTorch_LIBRARY_DIR "${LibTorch_C10_LIBRARY}" DIRECTORY)
  file(STRINGS ${LibTorch_C10_LIBRARY} _new LIMIT_COUNT 1
    REGEX "^_ZN3c105ErrorC[12]ENS_14SourceLocationENSt7__cxx1112basic_string")
  file(STRINGS ${LibTorch_C10_LIBRARY} _old LIMIT_COUNT 1
    REGEX "^_ZN3c105ErrorC[12]ENS_14SourceLocationESs")
  if(_new AND NOT _old)
    set(LibTorch_STRING_ABI "cxx11")
    set(LibTorch_CXX11_ABI 1)
  elseif(_old AND NOT _new)
    set(LibTorch_STRING_ABI "pre-cxx11")
    set(LibTorch_CXX11_ABI 0)
  endif()
  unset(_new)
  unset(_old)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR LibTorch_STRING_ABI
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run scripts/bootstrap.sh, or give -DLIBTORCH=/path/to/libtorch")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  add_library(LibTorch::headers INTERFACE IMPORTED)
  set_target_properties(LibTorch::headers PROPERTIES
    # Folders of imported targets are -isystem: no warnings from LibTorch's own headers.
    INTERFACE_INCLUDE_DIRECTORIES
      "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_COMPILE_DEFINITIONS "_GLIBCXX_USE_CXX11_ABI=${LibTorch_CXX11_ABI}"
    INTERFACE_COMPILE_FEATURES cxx_std_20)
  # One imported SHARED target per file. CMake then puts its folder into the build RPATH.
  add_library(LibTorch::c10 SHARED IMPORTED)
  set_target_properties(LibTorch::c10 PROPERTIES
    IMPORTED_LOCATION "${LibTorch_C10_LIBRARY}"
    INTERFACE_LINK_LIBRARIES LibTorch::headers)
  add_library(LibTorch::cpu SHARED IMPORTED)
  set_target_properties(LibTorch::cpu PROPERTIES
    IMPORTED_LOCATION "${LibTorch_CPU_LIBRARY}"
    INTERFACE_LINK_LIBRARIES LibTorch::c10)
endif()
