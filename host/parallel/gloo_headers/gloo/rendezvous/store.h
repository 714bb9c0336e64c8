#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace gloo::rendezvous {

/// So that c10d's GlooStore, which derives from it, can be parsed. Never construct one here: the
/// real class has more virtual functions.
class Store {
 public:
  virtual ~Store();
  virtual void set(const std::string&, const std::vector<char>&) = 0;
  virtual std::vector<char> get(const std::string&) = 0;
  virtual void wait(const std::vector<std::string>&) = 0;
  virtual void wait(const std::vector<std::string>&, const std::chrono::milliseconds&) = 0;
};

}  // namespace gloo::rendezvous
