#include "registry/plugin.h"

namespace {

/// Drawn pictures of two classes: stripes across and stripes down. For files, give the Options a
/// `dnc::Path`, list the files in the constructor, and let load() return
/// `context.images->open(file)`, which decodes only what is needed.
class MyPlugin final : public dnc::Dataset {
 public:
  struct Options {
    int64_t length = 256;
    int64_t size = 16;
    void fields(dnc::Fields& f) {
      f("length", length, "Number of samples.").at_least(1);
      f("size", size, "Height and width of a picture, in pixels.").between(4, 1024);
    }
  };

  explicit MyPlugin(const Options& options) : options_(options) {
    classes_.names = {"across", "down"};
  }

  int64_t size() const override { return options_.length; }

  // Called by several threads at once: nothing may change after the constructor.
  dnc::Sample load(int64_t index) const override {
    dnc::Sample sample;
    sample.index = index;
    sample.label = label(index);
    sample.image = dnc::Image(options_.size, options_.size, 3);
    uint8_t* pixel = sample.image.pixels();
    for (int64_t y = 0; y < options_.size; ++y) {
      for (int64_t x = 0; x < options_.size; ++x) {
        const int64_t place = (sample.label == 0 ? y : x) + index / 2;  // where the stripes begin
        for (int channel = 0; channel < 3; ++channel) *pixel++ = place / 2 % 2 == 0 ? 40 : 200;
      }
    }
    return sample;
  }

  int64_t label(int64_t index) const override { return index % classes_.size(); }
  const dnc::ClassInfo& classes() const override { return classes_; }
  std::string name(int64_t index) const override { return "picture " + std::to_string(index); }

 private:
  Options options_;
  dnc::ClassInfo classes_;
};

}  // namespace

DNC_PLUGIN(registrar) { registrar.dataset<MyPlugin>("MyPlugin", "Stripes across or down."); }
