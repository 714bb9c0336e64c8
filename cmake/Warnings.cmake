# Compiler warnings for the targets of this project. LibTorch and the system's libraries are
# included as system headers and stay quiet.
option(DNC_WERROR "Treat warnings as errors" OFF)
add_compile_options(-Wall -Wextra -Wnon-virtual-dtor -Werror=return-type)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)  # false for "text" + std::string (GCC bug 105329)
endif()
if(DNC_WERROR)
  add_compile_options(-Werror)
endif()
