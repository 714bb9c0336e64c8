target_link_libraries(${name} PUBLIC dnc::ops)
