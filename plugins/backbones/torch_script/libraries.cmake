target_link_libraries(${name} PUBLIC dnc_formats)
