#include "host/parallel/divergence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "registry/error.h"

namespace dnc {
namespace {

/// Two sums of the bytes of a tensor, int64 [2]; the second also tells places apart. Integers wrap
/// around, so the order in which a device adds does not matter.
torch::Tensor checksums(const torch::Tensor& tensor) {
  constexpr int64_t kPrime = 65521;
  const auto flat = tensor.detach().contiguous().flatten();
  const auto whole = flat.element_size() % 4 == 0 ? torch::kInt : torch::kUInt8;
  const auto numbers = flat.view(whole).to(torch::kInt64);
  const auto places = torch::arange(numbers.numel(), numbers.options()).remainder_(kPrime).add_(1);
  return torch::stack({numbers.sum(), places.mul_(numbers).sum()});
}

/// The rank, from 0, that most ranks are like; the first of several. [ranks, ...].
int64_t most_common(const torch::Tensor& sums) {
  const auto rows = sums.flatten(1);
  const auto alike = rows.unsqueeze(0).eq(rows.unsqueeze(1)).all(2).sum(1);
  return alike.argmax().item<int64_t>();
}

}  // namespace

void check_same(Communicator& ranks,
                const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                const std::string& when) {
  if (ranks.size() == 1 || tensors.empty()) return;
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> own;
  for (const auto& item : tensors) own.push_back(checksums(item.second).cpu());
  const auto sums = ranks.gather(torch::stack(own).unsqueeze(0));  // [ranks, tensors, 2]
  const auto usual = most_common(sums);
  const auto differs = sums.ne(sums[usual]).any(2);  // [ranks, tensors]
  if (!differs.any().item<bool>()) return;

  std::vector<int64_t> who;
  for (int64_t rank = 0; rank < ranks.size(); ++rank) {
    if (differs[rank].any().item<bool>()) who.push_back(rank);
  }
  const auto wrong = differs.any(0);
  const auto first = wrong.to(torch::kInt).argmax().item<int64_t>();
  const bool majority = static_cast<int64_t>(who.size()) * 2 < ranks.size();
  throw Error(fmt::format(
      "{}, rank{} {} differ{} from {}: in {} and {} other tensors, which must be the same on all "
      "ranks. Go on from a checkpoint before that; if it happens again, a machine computes wrongly "
      "(memory, overclocking), or a plugin's Head::update depends on more than what all ranks "
      "have.",
      when, who.size() == 1 ? "" : "s", fmt::join(who, ", "), who.size() == 1 ? "s" : "",
      majority ? "all others" : fmt::format("rank {}", usual),
      tensors[static_cast<size_t>(first)].first, wrong.sum().item<int64_t>() - 1));
}

}  // namespace dnc
