# -DDNC_SANITIZE=address,undefined or thread; the preset `asan` sets the first.
set(DNC_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")
if(DNC_SANITIZE)
  add_compile_options(-fsanitize=${DNC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DNC_SANITIZE})
endif()
