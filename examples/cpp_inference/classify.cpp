// Classifies a picture with a model that `dnc-host export` wrote. It needs LibTorch and nothing of
// dnc-host:
//   classify MODEL.pt PICTURE.ppm     (any picture becomes one by `convert picture.jpg
//   picture.ppm`)
#include <torch/script.h>

#include <fstream>
#include <iostream>

// A binary PPM file as uint8 [1, 3, H, W].
torch::Tensor read_ppm(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int64_t width = 0, height = 0, largest = 0;
  file >> magic >> width >> height >> largest;
  TORCH_CHECK(magic == "P6" && largest == 255 && width > 0 && height > 0, path,
              ": no PPM of bytes");
  file.get();
  auto pixels = torch::empty({height, width, 3}, torch::kUInt8);
  file.read(static_cast<char*>(pixels.data_ptr()), pixels.numel());
  TORCH_CHECK(file, path, ": ends early");
  return pixels.permute({2, 0, 1}).unsqueeze(0);
}

int main(int argc, char** argv) try {
  TORCH_CHECK(argc == 3, "usage: classify MODEL.pt PICTURE.ppm");
  const c10::InferenceMode no_gradients;
  auto model = torch::jit::load(argv[1]);
  const auto names = model.attr("class_names").toList();
  const auto answer = model.get_method("predict")({read_ppm(argv[2])}).toTuple();
  const auto best = answer->elements()[0].toTensor().item<int64_t>();
  std::cout << names.get(best).toStringRef() << " "
            << answer->elements()[1].toTensor().item<double>() << "\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
