#include "registry/plugin.h"

#include "plugins/datasets/wrappers/class_balanced.h"
#include "plugins/datasets/wrappers/class_groups.h"
#include "plugins/datasets/wrappers/concat.h"
#include "plugins/datasets/wrappers/repeat.h"
#include "plugins/datasets/wrappers/subset.h"

DNC_PLUGIN(registrar) {
  registrar.dataset<dnc::Subset>(
      "Subset", "Part of a data set: a random share, a few samples of each class, or given ones.");
  registrar.dataset<dnc::Concat>("Concat", "Data sets of the same classes, one after the other.",
                                 {"ConcatDataset"});
  registrar.dataset<dnc::Repeat>("Repeat", "A data set several times over, as one long epoch.",
                                 {"RepeatDataset"});
  registrar.dataset<dnc::ClassBalanced>("ClassBalanced",
                                        "A data set in which samples of rare classes are repeated.",
                                        {"ClassBalancedDataset"});
  registrar.dataset<dnc::ClassGroups>("ClassGroups",
                                      "A data set under coarser labels: groups of its classes.");
}
