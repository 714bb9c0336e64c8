#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "plugins/backbones/common/residual_block.h"
#include "registry/backbone.h"
#include "registry/context.h"
#include "registry/fields.h"

namespace dnc {

/// How coarse maps become fine ones where branches are mixed.
enum class HrnetUpsampling { kNearest, kBilinear };

struct HrnetModuleOptions {
  std::vector<int64_t> channels;  // of each branch
  int64_t blocks = 4;             // of each branch
  HrnetUpsampling upsampling = HrnetUpsampling::kBilinear;
  NormOptions norm;
  bool recompute = false;  // blocks keep their inputs only
};

/// Maps of several sizes, each through residual blocks of its own, and then each the sum of all
/// (Sun et al. 2019, figure 3): [N, C * 2^i, H / 2^i, W / 2^i] for i = 0, 1, ... to the same, sizes
/// rounded up. `branches.i` are the blocks; `fuse_layers.i.j` brings map j to the size and channels
/// of map i, with a 1x1 convolution and upsampling, or with i - j 3x3 convolutions of stride 2.
class HrnetModule final : public torch::nn::Module {
 public:
  explicit HrnetModule(const HrnetModuleOptions& options);
  Features forward(Features maps);

 private:
  struct Layer {
    torch::nn::Conv2d conv{nullptr};
    Norm norm{nullptr};
  };
  /// What brings map `from` to map `to`, before upsampling.
  torch::Tensor brought(const torch::Tensor& map, size_t from, size_t to);
  std::vector<Layer> make_fuse_layer(torch::nn::Module& parent, size_t from, size_t to);

  HrnetModuleOptions options_;
  std::vector<std::shared_ptr<ResidualStage>> branches_;
  std::vector<std::vector<std::vector<Layer>>> fuse_layers_;  // [to][from]; none where they are one
};

/// HRNet (Sun et al. 2019, "High-resolution representations for labeling pixels and regions"):
/// images [N, 3, H, W] to the maps of the branches in `out_stages`, [N, C, H / s, W / s] with sizes
/// rounded up, C = width * {1, 2, 4, 8} and s = {4, 8, 16, 32}. All branches run side by side to
/// the end and exchange what they see.
///
/// Names are those of the authors, mmcls, mmseg and timm: a stem (`conv1`, `conv2`), bottlenecks
/// (`layer1`), and stages of modules (`stage2`, `stage3`, `stage4`), before each of which one more
/// branch begins (`transition1`, 2, 3). Branches that are not in `out_stages` are needed all the
/// same.
class Hrnet final : public Backbone {
 public:
  enum class Size { kW18Small, kW18, kW32, kW40, kW48 };

  struct Options {
    Size size = Size::kW18;
    std::optional<int64_t> width;
    HrnetUpsampling upsampling = HrnetUpsampling::kBilinear;
    NormOptions norm;
    std::vector<int64_t> out_stages = {0, 1, 2, 3};
    bool checkpoint_blocks = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for branches out of order.
  explicit Hrnet(const Options& options, const Context& context = {});

  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override;

 private:
  /// A 3x3 convolution, norm and ReLU.
  struct Transition {
    torch::nn::Conv2d conv{nullptr};
    Norm norm{nullptr};
    torch::Tensor forward(const torch::Tensor& x) { return norm(conv(x)).relu_(); }
  };
  Transition make_transition(torch::nn::Module& parent, int64_t in_channels, int64_t out_channels,
                             int64_t stride) const;

  int64_t width_;
  std::vector<int64_t> out_stages_;
  NormOptions norm_;
  Transition stem_[2];
  std::shared_ptr<ResidualStage> layer1_;
  Transition finest_;                                              // of the first branch
  std::vector<Transition> transitions_;                            // to each further branch
  std::vector<std::vector<std::shared_ptr<HrnetModule>>> stages_;  // 2, 3 and 4
};

}  // namespace dnc
