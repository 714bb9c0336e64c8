#include <algorithm>

#include "registry/plugin.h"

namespace {

/// Adds one random number to all pixels of an image. A transform that moves pixels would move
/// `sample.labels` in step, where it is not empty.
class MyPlugin final : public dnc::Transform {
 public:
  struct Options {
    int64_t strength = 32;
    void fields(dnc::Fields& f) {
      f("strength", strength, "The largest change, of 255.").between(0, 255);
    }
  };
  explicit MyPlugin(const Options& options) : strength_(options.strength) {}

  // All randomness comes from `random`, so that a sample of an epoch always looks the same.
  void apply(dnc::Sample& sample, dnc::Random& random) const override {
    const auto change = random.integer(-strength_, strength_ + 1);
    uint8_t* pixels = sample.image.pixels();
    for (int64_t i = 0; i < sample.image.size(); ++i) {
      pixels[i] = static_cast<uint8_t>(std::clamp<int64_t>(pixels[i] + change, 0, 255));
    }
  }

 private:
  int64_t strength_;
};

}  // namespace

DNC_PLUGIN(registrar) {
  registrar.transform<MyPlugin>("MyPlugin", "Makes an image darker or lighter.");
}
