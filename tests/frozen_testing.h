#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/model.h"
#include "registry/dataset.h"
#include "registry/error.h"
#include "registry/random.h"

namespace dnc {

/// Pictures of one pixel by two, whose six bytes are random around values that depend on the class.
class PixelDataset final : public Dataset {
 public:
  PixelDataset(int64_t size, int64_t classes) : size_(size) {
    for (int64_t c = 0; c < classes; ++c) classes_.names.push_back("class " + std::to_string(c));
  }
  int64_t size() const override { return size_; }
  Sample load(int64_t index) const override {
    if (damaged.contains(index)) throw DataError(name(index) + ": damaged");
    Sample sample;
    sample.index = index;
    sample.label = unlabelled.contains(index) ? -1 : index % classes_.size();
    sample.image = Image(1, 2, 3);
    Random random(7, Purpose::kSample, 0, static_cast<uint64_t>(index));
    for (int64_t i = 0; i < 6; ++i) {
      const auto middle = (index % classes_.size() + i) % 3 == 0 ? 190 : 40;
      sample.image.pixels()[i] = static_cast<uint8_t>(middle + random.integer(-40, 60));
    }
    return sample;
  }
  const ClassInfo& classes() const override { return classes_; }
  std::string name(int64_t index) const override { return "pixel #" + std::to_string(index); }

  std::set<int64_t> damaged;
  std::set<int64_t> unlabelled;

 private:
  int64_t size_;
  ClassInfo classes_;
};

/// The six values of a picture as its embedding; not a number for a picture that begins with white.
struct Pixels final : Backbone {
  Features forward(const torch::Tensor& images) override {
    const auto values = images.flatten(1);
    const auto white = values.narrow(1, 0, 1).ge(1);
    return {values.masked_fill(white, NAN).unsqueeze(2).unsqueeze(3)};
  }
  std::vector<FeatureShape> shapes() const override { return {{6, 1}}; }
};

struct AsTheyAre final : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back().flatten(1); }
  int64_t channels() const override { return 6; }
};

inline Model pixel_model(std::shared_ptr<Head> head) {
  return Model({}, std::make_shared<Pixels>(), {std::make_shared<AsTheyAre>(), std::move(head)});
}

/// The embedding that the model above has for a sample.
inline torch::Tensor embedding_of(const Dataset& dataset, int64_t index) {
  const auto sample = dataset.load(index);
  auto bytes = torch::empty({1, 2, 3}, torch::kUInt8);
  std::copy_n(sample.image.pixels(), 6, bytes.data_ptr<uint8_t>());
  return bytes.permute({2, 0, 1}).flatten().to(torch::kFloat32) / 255;
}

}  // namespace dnc
