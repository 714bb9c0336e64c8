# All libraries that the build needs, each with its Debian and Ubuntu package. scripts/bootstrap.sh
# installs them.

set(LibTorch_FALLBACK_DIRS "${PROJECT_SOURCE_DIR}/.deps/python/torch")
find_package(LibTorch 2.11 REQUIRED)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(yaml-cpp REQUIRED)       # libyaml-cpp-dev
find_package(Boost 1.74 REQUIRED)     # libboost-dev: Boost.DLL, headers only
find_package(CLI11 REQUIRED)          # libcli11-dev
find_package(nlohmann_json REQUIRED)  # nlohmann-json3-dev
find_package(ZLIB REQUIRED)           # zlib1g-dev
find_package(JPEG REQUIRED)           # libjpeg-dev
find_package(PNG REQUIRED)            # libpng-dev
find_package(TIFF REQUIRED)           # libtiff-dev
# libcpp-httplib-dev and pkg-config: Debian compiles the library, with options that its pkg-config file
# names and that change its classes.
find_package(PkgConfig REQUIRED)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
# libwebp-dev has no CMake package.
find_path(WebP_INCLUDE_DIR webp/decode.h)
find_library(WebP_LIBRARY webp)
mark_as_advanced(WebP_INCLUDE_DIR WebP_LIBRARY)
if(NOT WebP_LIBRARY OR NOT WebP_INCLUDE_DIR)
  message(FATAL_ERROR "libwebp not found: apt install libwebp-dev")
endif()
add_library(WebP::webp UNKNOWN IMPORTED)
set_target_properties(WebP::webp PROPERTIES
  IMPORTED_LOCATION "${WebP_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${WebP_INCLUDE_DIR}")

# yaml-cpp 0.8 renamed its target.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

# LibTorch's headers come with fmt 12, which hides the system's; LibTorch exports no fmt function, so
# they are compiled here. Header-only fmt would cost 3 s in every file that uses it.
if(EXISTS "${LibTorch_INCLUDE_DIR}/fmt/format-inl.h")
  add_library(dnc_fmt STATIC cmake/fmt.cpp)
  target_link_libraries(dnc_fmt PUBLIC LibTorch::headers)
  add_library(fmt::fmt ALIAS dnc_fmt)
else()
  find_package(fmt REQUIRED)          # libfmt-dev
endif()
