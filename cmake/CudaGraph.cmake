# lib/dnc-host/dnc_cuda_graph.so, which the program opens for `train.cuda_graph`. It is built where
# LibTorch has its CUDA half and there are CUDA's headers (found by Parallel.cmake); nothing else
# needs them.
if(DNC_CUDA_INCLUDE_DIR AND DNC_TORCH_CUDA_LIBRARY)
  add_library(dnc_cuda_graph MODULE host/train/cuda_graph_library/graph.cc)
  target_include_directories(dnc_cuda_graph PRIVATE "${PROJECT_SOURCE_DIR}")
  target_include_directories(dnc_cuda_graph SYSTEM PRIVATE "${DNC_CUDA_INCLUDE_DIR}")
  # What it needs of libtorch_cuda is in the process when it is opened.
  target_link_libraries(dnc_cuda_graph PRIVATE LibTorch::cpu)
  set_target_properties(dnc_cuda_graph PROPERTIES
    PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/dnc-host")
else()
  message(STATUS "CUDA graphs: not built (need LibTorch with CUDA and CUDA's headers)")
endif()
