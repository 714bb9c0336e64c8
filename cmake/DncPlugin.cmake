# dnc_add_plugin(<name> <source>...): builds the plugin <name>.so, linked to the registry and to
# LibTorch. Works the same in this tree and in a project that says find_package(dnc-host).
#
# A symbol that is missing fails the link here, not the training run in epoch 3 (-z defs), and
# nothing but the plugin's entry is visible to others: two plugins may have classes of one name.
function(dnc_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE dnc::registry)
  if(NOT DNC_SANITIZE)  # the sanitizer's run time is in the program only
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  set_target_properties(${name} PROPERTIES
    PREFIX ""
    DEFINE_SYMBOL ""
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  if(COMMAND dnc_use_pch)
    dnc_use_pch(${name})
  endif()
endfunction()
