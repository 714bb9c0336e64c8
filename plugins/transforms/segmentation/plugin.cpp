#include "registry/plugin.h"

#include "plugins/transforms/segmentation/photometric_distortion.h"
#include "plugins/transforms/segmentation/random_cut_out.h"
#include "plugins/transforms/segmentation/random_resize.h"
#include "plugins/transforms/segmentation/random_rotate.h"

DNC_PLUGIN(registrar) {
  registrar.transform<dnc::PhotometricDistortion>(
      "PhotometricDistortion", "Brightness, contrast, saturation and hue, each in half the images.",
      {"PhotoMetricDistortion"});
  registrar.transform<dnc::RandomCutOut>("RandomCutOut", "Fills rectangles at random places.");
  registrar.transform<dnc::RandomResize>("RandomResize", "To a random size about a given one.");
  registrar.transform<dnc::RandomRotate>("RandomRotate", "Turned by a random angle.");
}
