#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "registry/dataset.h"

namespace dnc {

/// Names and colours of the classes, in the order of their labels.

/// ADE20K, scene parsing benchmark (Zhou et al. 2017): the 150 classes of objectInfo150.txt, in
/// their order there; the short names and colours are those that segmentation tool boxes agree on
/// (color150 of CSAILVision/semantic-segmentation-pytorch).
ClassInfo ade20k_classes();
/// Cityscapes (Cordts et al. 2016): the 19 classes that count, by their train ids; labels.py of
/// mcordts/cityscapesScripts.
ClassInfo cityscapes_classes();
/// PASCAL VOC 2012 (Everingham et al.): the background and 20 classes, with the colours of the
/// development kit.
ClassInfo pascal_voc_classes();
/// CamVid (Brostow et al. 2009): the 11 classes of the SegNet tutorial, with its colours.
ClassInfo camvid_classes();
/// COCO-Stuff 164k (Caesar et al. 2018): 80 things and 91 kinds of stuff, labels.txt of
/// nightrome/cocostuff without those that no image has. The colours are color_map().
ClassInfo coco_stuff_classes();

/// The colours of the PASCAL VOC development kit: no two of 256 are equal, and the first is black.
/// The bits of a label are dealt to red, green and blue in turn, from their highest bits down.
std::vector<std::array<uint8_t, 3>> color_map(size_t count);

}  // namespace dnc
