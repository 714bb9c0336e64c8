# `cmake --install build/release --prefix DIR`: a tree that can be moved as a whole. The program
# finds its library and plugins relative to itself; LibTorch stays where it was at build time, or is
# named in LD_LIBRARY_PATH.
#
#   bin/dnc-host
#   lib/libdnc_registry.so, lib/dnc-host/plugins/*.so, lib/dnc-host/*.so (NCCL, CUDA kernels and graphs)
#   lib/libdnc_predictor.so, include/dnc-host/predictor/*.h   for other programs, in C++ and C
#   lib/libdnc_ops.so                               torch.ops.dnc.*, for Python too
#   include/dnc-host/registry/*.h, ops/*.h, lib/cmake/dnc-host/   for plugins of other projects
#   share/dnc-host/configs, keymaps, templates; share/doc/dnc-host
include(CMakePackageConfigHelpers)

# dnc_install_rpath(<path to lib/ from the target's folder> <target>...)
function(dnc_install_rpath lib)
  set_target_properties(${ARGN} PROPERTIES INSTALL_RPATH "$ORIGIN/${lib};${LibTorch_LIBRARY_DIR}")
endfunction()

# Not lib/x86_64-linux-gnu: the tree is one folder of its own.
set(_package lib/cmake/dnc-host)
dnc_install_rpath("" dnc_registry dnc_ops dnc_predictor)
install(TARGETS dnc_registry dnc_ops dnc_predictor EXPORT dnc-host LIBRARY DESTINATION lib)
dnc_install_rpath(../lib dnc-host)
install(TARGETS dnc-host RUNTIME DESTINATION bin)
dnc_install_rpath(../.. ${DNC_PLUGIN_MODULES})
install(TARGETS ${DNC_PLUGIN_MODULES} LIBRARY DESTINATION lib/dnc-host/plugins)
foreach(_library dnc_nccl dnc_ops_cuda dnc_cuda_graph)  # where CMake has found CUDA
  if(TARGET ${_library})
    dnc_install_rpath(.. ${_library})
    install(TARGETS ${_library} LIBRARY DESTINATION lib/dnc-host)
  endif()
endforeach()

install(DIRECTORY registry ops predictor DESTINATION include/dnc-host FILES_MATCHING PATTERN "*.h")
install(DIRECTORY configs keymaps templates DESTINATION share/dnc-host)
# What the first line of each config names, for editors.
install(CODE [[
  set(_schema "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/dnc-host/configs/dnc-host.schema.json")
  message(STATUS "Installing: ${_schema}")
  execute_process(
    COMMAND "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin/dnc-host" schema --output "${_schema}"
    COMMAND_ERROR_IS_FATAL ANY)
]])
install(FILES LICENSE README.md DESTINATION share/doc/dnc-host OPTIONAL)

install(EXPORT dnc-host NAMESPACE dnc:: FILE dnc-hostTargets.cmake DESTINATION ${_package})
configure_package_config_file(cmake/dnc-hostConfig.cmake.in
  "${PROJECT_BINARY_DIR}/dnc-hostConfig.cmake" INSTALL_DESTINATION ${_package})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/dnc-hostConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/dnc-hostConfig.cmake" "${PROJECT_BINARY_DIR}/dnc-hostConfigVersion.cmake"
  cmake/DncPlugin.cmake cmake/FindLibTorch.cmake
  DESTINATION ${_package})
