# Installs the build, moves the installed tree, builds examples/custom_backbone against it as a
# stranger's project, and trains with the plugin; then the same with what `dnc-host new plugin`
# writes. Run by CTest as
#   cmake -DBUILD_DIR=... -DSOURCE_DIR=... -DWORK_DIR=... -DCXX_COMPILER=... -P outside_plugin.cmake
cmake_minimum_required(VERSION 3.22)

# run(<what> <command>...): stops with the command's output where it fails; sets `output`.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${what} failed (${result}): ${command}\n${out}")
  endif()
  message(STATUS "${what}: done")
  set(output "${out}" PARENT_SCOPE)
endfunction()

# expect(<text>): the output of the last command must contain it.
function(expect text)
  string(FIND "${output}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "'${text}' is not in the output:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
run("Installing" ${CMAKE_COMMAND} --install "${BUILD_DIR}" --prefix "${WORK_DIR}/first place")
file(RENAME "${WORK_DIR}/first place" "${WORK_DIR}/second place")
set(tree "${WORK_DIR}/second place")
set(program "${tree}/bin/dnc-host")

# The program must find its library and its plugins in the moved tree, not in the build.
run("Listing plugins" "${program}" plugins)
expect("${tree}/lib/dnc-host/plugins/heads_dnc.so")
string(FIND "${output}" "${BUILD_DIR}/lib" at)
if(NOT at EQUAL -1)
  message(FATAL_ERROR "The installed program uses the build folder:\n${output}")
endif()

if(NOT EXISTS "${tree}/share/dnc-host/configs/dnc-host.schema.json")
  message(FATAL_ERROR "The schema that the installed configs name is not there")
endif()

file(COPY "${SOURCE_DIR}/examples/custom_backbone" DESTINATION "${WORK_DIR}")
set(project "${WORK_DIR}/custom_backbone")
run("Configuring the outside project" ${CMAKE_COMMAND} -G Ninja -S "${project}" -B "${project}/build"
  "-DCMAKE_PREFIX_PATH=${tree}" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}")
run("Building it" ${CMAKE_COMMAND} --build "${project}/build")
run("Asking for the plugin" "${program}" plugins "${project}/build/tiny_net.so")
expect("backbone TinyNet")
run("Training with it" "${program}" train "${project}/tiny_net.yaml" -o "${WORK_DIR}/run")
run("Testing the result" "${program}" test "${WORK_DIR}/run")
expect("accuracy")

# A program in C asks the run, and the run's plugin is found from its config.
file(COPY "${SOURCE_DIR}/examples/c_inference" DESTINATION "${WORK_DIR}")
set(project "${WORK_DIR}/c_inference")
run("Configuring the program in C" ${CMAKE_COMMAND} -G Ninja -S "${project}" -B "${project}/build"
  "-DCMAKE_PREFIX_PATH=${tree}" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}")
run("Building it" ${CMAKE_COMMAND} --build "${project}/build")
set(picture "${SOURCE_DIR}/tests/golden/images/rgb.ppm")
run("Predicting by the program" "${program}" predict "${WORK_DIR}/run" "${picture}" --format csv -k 1)
string(REGEX MATCH "\n[^,]*,([^,]*),([0-9.]*)" _ "${output}")
set(expected "${picture} ${CMAKE_MATCH_1} ${CMAKE_MATCH_2}")
run("Predicting in C" "${project}/build/classify" "${WORK_DIR}/run" "${picture}")
expect("${expected}")

# A new plugin of each kind builds as it is written, passes its own tests, and trains.
foreach(kind backbone decode_head head dataset transform)
  set(project "${WORK_DIR}/new ${kind}")
  run("Writing a new ${kind}" "${program}" new plugin FirstTry --kind ${kind} --out "${project}")
  run("Configuring it" ${CMAKE_COMMAND} -G Ninja -S "${project}" -B "${project}/build"
    "-DCMAKE_PREFIX_PATH=${tree}" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}")
  run("Building it" ${CMAKE_COMMAND} --build "${project}/build")
  run("Testing it" ${CMAKE_CTEST_COMMAND} --test-dir "${project}/build" --output-on-failure)
  run("Training with it" "${program}" train "${project}/first_try.yaml" -o "${project}/run")
  expect("done")
endforeach()
file(REMOVE_RECURSE "${WORK_DIR}")
