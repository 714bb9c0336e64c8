#include "registry/plugin.h"

#include "plugins/transforms/color/color_jitter.h"
#include "plugins/transforms/color/lighting.h"
#include "plugins/transforms/color/random_grayscale.h"

DNC_PLUGIN(registrar) {
  registrar.transform<dnc::ColorJitter>(
      "ColorJitter", "Brightness, contrast, saturation and hue changed at random.");
  registrar.transform<dnc::Lighting>("Lighting",
                                     "Adds a random colour that ImageNet's vary along.");
  registrar.transform<dnc::RandomGrayscale>("RandomGrayscale",
                                            "Takes the colours away, at random.");
}
