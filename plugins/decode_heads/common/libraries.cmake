target_link_libraries(${name} PUBLIC backbones_common)  # norms and initial weights are the same
