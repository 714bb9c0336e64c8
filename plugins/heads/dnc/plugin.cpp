#include "registry/plugin.h"

#include "plugins/heads/dnc/dnc_head.h"

DNC_PLUGIN(registrar) {
  registrar.head<dnc::DncHead>("DNC",
                               "Deep Nearest Centroids: a class is the sub-centroids of its "
                               "samples, and the nearest one decides.",
                               {"SubCentroids_Head_Formal"});
}
