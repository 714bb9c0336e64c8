# One precompiled LibTorch header for all targets, and ccache where it is installed.
#
# g++ 12 instantiates every pending template of a precompiled header again in each file, so a big
# header is not the fastest one. Measured, in seconds for a file that includes
#                       nothing of torch   torch/types.h   one nn module   torch/torch.h
#   no header               0.5               11.8             16               21.9
#   torch/types.h           2.2                2.3              8.4             13.5
#   torch/nn/module.h       2.3                3.1              5.6             12.8
#   torch/torch.h           4.6                8.2              9.5              9.0
# clang instantiates them once: there the big one is best.
find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

if(DNC_PCH)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(_header "<torch/nn/module.h>")
    add_compile_options(-fpch-preprocess)  # lets ccache see through the header
  else()
    set(_header "<torch/torch.h>")
  endif()
  file(GENERATE OUTPUT "${PROJECT_BINARY_DIR}/pch.cpp" CONTENT "")
  add_library(dnc_pch OBJECT "${PROJECT_BINARY_DIR}/pch.cpp")
  target_link_libraries(dnc_pch PUBLIC LibTorch::cpu)
  target_precompile_headers(dnc_pch PRIVATE ${_header})
  unset(_header)
endif()

# dnc_use_pch(<target>): compile the target with the precompiled header.
function(dnc_use_pch target)
  if(TARGET dnc_pch)
    target_precompile_headers(${target} REUSE_FROM dnc_pch)
  endif()
endfunction()
