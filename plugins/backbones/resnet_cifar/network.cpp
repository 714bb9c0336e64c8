#include "plugins/backbones/resnet_cifar/network.h"

#include <string>

#include "registry/error.h"

namespace dnc {
namespace {

ResidualLayout layout_of(const ResNetCifar::Options& options) {
  if (options.depth < 8 || options.depth % 6 != 2) {
    throw OptionError("depth", "must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), not " +
                                   std::to_string(options.depth));
  }
  ResidualLayout layout;
  layout.stem.channels = options.width;
  layout.block.width = options.width;
  layout.block.out_channels = options.width;
  layout.block.shortcut = options.shortcut;
  layout.blocks.assign(3, (options.depth - 2) / 6);
  layout.strides = {1, 2, 2};
  layout.dilations = {1, 1, 1};
  layout.out_stages = options.out_stages;
  return layout;
}

}  // namespace

void ResNetCifar::Options::fields(Fields& f) {
  f("depth", depth, "Number of layers, 6n + 2 for n blocks a stage: 8, 14, 20, 32, 44, 56, 110.")
      .between(8, 1202);
  f.choice("shortcut", shortcut,
           {{"identity", Shortcut::kIdentity}, {"projection", Shortcut::kProjection}},
           "Where a stage begins: every second pixel with zeros in the new channels (identity, "
           "the paper's A), or a 1x1 convolution (projection, B).");
  f("width", width, "Channels of the stem and of the first stage.").between(1, 1024);
  f("out_stages", out_stages,
    "Stages whose maps are returned, 0 to 2, fine to coarse; those after the last are not built.")
      .between(0, 2)
      .length(1, 3);
}

ResNetCifar::ResNetCifar(const Options& options) : ResidualNetwork(layout_of(options)) {}

}  // namespace dnc
