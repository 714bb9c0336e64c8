target_link_libraries(${name} PUBLIC dnc_formats)  # the files for Python are pickles
