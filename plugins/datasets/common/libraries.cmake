target_link_libraries(${name} PRIVATE nlohmann_json::nlohmann_json)  # labels in JSON
