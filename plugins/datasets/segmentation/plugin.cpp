#include "registry/plugin.h"

#include "plugins/datasets/segmentation/folder.h"
#include "plugins/datasets/segmentation/presets.h"

DNC_PLUGIN(registrar) {
  registrar.dataset<dnc::SegmentationFolder>(
      "SegmentationFolder", "Images and label images in two folders, one class id a pixel.",
      {"CustomDataset", "BaseSegDataset"});
  registrar.dataset<dnc::ADE20K>("ADE20K", "ADE20K scene parsing: 150 classes.", {"ADE20KDataset"});
  registrar.dataset<dnc::Cityscapes>("Cityscapes", "Cityscapes street scenes: 19 classes.",
                                     {"CityscapesDataset"});
  registrar.dataset<dnc::PascalVOC>("PascalVOC", "PASCAL VOC 2012: background and 20 classes.",
                                    {"PascalVOCDataset"});
  registrar.dataset<dnc::CamVid>("CamVid", "CamVid street scenes: the 11 classes of SegNet.",
                                 {"CamVidDataset"});
  registrar.dataset<dnc::COCOStuff>("COCOStuff", "COCO-Stuff 164k: 171 classes.",
                                    {"COCOStuffDataset"});
}
