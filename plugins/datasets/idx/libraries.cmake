target_link_libraries(${name} PUBLIC ZLIB::ZLIB)  # the files are gzipped
