#include "ops/cuda/launch.h"
#include "ops/cuda/normalize_images.cuh"

namespace dnc::cuda {

void normalize_images(const ImageNormalization& images, Type type, void* result, Stream stream) {
  const int64_t pixels = images.count * images.out_height * images.out_width;
  if (pixels == 0) return;
  with_type(type, [&](auto example) {
    using T = decltype(example);
    normalize_pixels<T>
        <<<blocks_for(pixels), kThreads, 0, stream>>>(images, static_cast<T*>(result));
  });
}

}  // namespace dnc::cuda
