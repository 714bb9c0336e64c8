#include "host/parallel/gather_text.h"

#include <torch/types.h>

#include <algorithm>

namespace dnc {

std::vector<std::string> gather_text(Communicator& ranks, const std::string& text) {
  if (ranks.size() == 1) return {text};
  const auto lengths = ranks.gather(torch::tensor({static_cast<int64_t>(text.size())}));
  const auto longest = std::max<int64_t>(1, lengths.max().item<int64_t>());
  auto bytes = torch::zeros({1, longest}, torch::kUInt8);
  std::copy(text.begin(), text.end(), bytes.mutable_data_ptr<uint8_t>());
  const auto all = ranks.gather(bytes);
  std::vector<std::string> texts;
  for (int64_t rank = 0; rank < ranks.size(); ++rank) {
    const auto* begin = reinterpret_cast<const char*>(all.const_data_ptr<uint8_t>());
    texts.emplace_back(begin + rank * longest, lengths[rank].item<int64_t>());
  }
  return texts;
}

}  // namespace dnc
