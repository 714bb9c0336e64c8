// The first virtual function of each interface is defined here and nowhere else, so that its vtable
// and typeinfo live once in the process, in libdnc_registry, and dynamic_cast and catch by type
// work across plugins.
#include "registry/batch_transform.h"
#include "registry/communicator.h"
#include "registry/dataset.h"
#include "registry/decode_head.h"
#include "registry/head.h"
#include "registry/hook.h"
#include "registry/loss.h"
#include "registry/metric.h"
#include "registry/optimizer.h"
#include "registry/prototypes.h"
#include "registry/schedule.h"
#include "registry/slot.h"
#include "registry/transform.h"

namespace dnc {

Backbone::~Backbone() = default;
DecodeHead::~DecodeHead() = default;
Communicator::~Communicator() = default;
SingleProcess::~SingleProcess() = default;
Prototypes::~Prototypes() = default;
Loss::~Loss() = default;
Dataset::~Dataset() = default;
Transform::~Transform() = default;
BatchTransform::~BatchTransform() = default;
Metric::~Metric() = default;
Optimizer::~Optimizer() = default;
Schedule::~Schedule() = default;
Hook::~Hook() = default;
Head::~Head() = default;
SlotBase::~SlotBase() = default;

Task Dataset::task() const { return Task::kImages; }
int64_t Dataset::label(int64_t index) const { return load(index).label; }
std::vector<int64_t> Dataset::shards() const { return {}; }
std::vector<Table> Metric::tables() const { return {}; }
void Head::add_losses(const HeadStep&, Losses&) {}
void Head::update(const HeadStep&, Communicator&) {}

SlotBase::SlotBase(const std::string& type) : node_(Node::make_map()) {
  node_.set("type", Node::make_scalar(type));
}

}  // namespace dnc
