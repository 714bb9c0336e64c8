#include "ops/cuda/launch.h"
#include "ops/cuda/sinkhorn.cuh"

namespace dnc::cuda {

void sinkhorn(const float* similarities, SortedKeys keys, int64_t K, int64_t iterations,
              float epsilon, float* logits, Stream stream) {
  if (keys.rows == 0) return;
  int lanes = 1;
  while (lanes < K) lanes *= 2;
  sinkhorn_of_each<<<static_cast<unsigned>(segments(keys)), kThreads, 0, stream>>>(
      similarities, keys, K, iterations, epsilon, lanes, logits);
}

}  // namespace dnc::cuda
