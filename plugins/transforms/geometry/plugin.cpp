#include "registry/plugin.h"

#include "plugins/transforms/geometry/center_crop.h"
#include "plugins/transforms/geometry/pad.h"
#include "plugins/transforms/geometry/random_crop.h"
#include "plugins/transforms/geometry/random_flip.h"
#include "plugins/transforms/geometry/random_resized_crop.h"
#include "plugins/transforms/geometry/resize.h"

DNC_PLUGIN(registrar) {
  registrar.transform<dnc::CenterCrop>("CenterCrop", "The middle of the image.");
  registrar.transform<dnc::Pad>("Pad", "Adds pixels around the image, or up to a size.");
  registrar.transform<dnc::RandomCrop>(
      "RandomCrop", "A part of a fixed size at a random place, with padding if wanted.");
  registrar.transform<dnc::RandomFlip>("RandomFlip", "Mirrors left to right, at random.",
                                       {"RandomHorizontalFlip"});
  registrar.transform<dnc::RandomResizedCrop>(
      "RandomResizedCrop", "A random part of random area and shape, resized to one size.");
  registrar.transform<dnc::Resize>("Resize", "To a given size, or a given shorter side.",
                                   {"ResizeEdge"});
}
