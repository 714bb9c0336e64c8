#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/train/device_graph.h"

namespace dnc {

/// A graph of the CPU, which cannot replay: it does the recorded work again, and notes the calls.
class FakeGraph : public DeviceGraph {
 public:
  explicit FakeGraph(std::vector<std::string>& calls) : calls_(calls) {}
  void warm_up(const std::function<void()>& work) override {
    calls_.emplace_back("warm up");
    work();
  }
  void record(const std::function<void()>& work) override {
    calls_.emplace_back("record");
    work_ = work;
  }
  void replay() override {
    calls_.emplace_back("replay");
    work_();
  }

 protected:
  std::vector<std::string>& calls_;
  std::function<void()> work_;
};

}  // namespace dnc
