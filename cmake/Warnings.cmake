# Compiler warnings for the targets of this project. LibTorch and the system's libraries are
# included as system headers and stay quiet.
option(DNC_WERROR "Treat warnings as errors" OFF)
add_compile_options(-Wall -Wextra -Wnon-virtual-dtor -Werror=return-type)
if(DNC_WERROR)
  add_compile_options(-Werror)
endif()
