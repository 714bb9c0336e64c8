#include "host/components/components.h"

#include "host/components/hooks.h"
#include "host/components/losses.h"
#include "host/components/metrics.h"
#include "host/components/optimizers.h"
#include "host/components/pixel_losses.h"
#include "host/components/pixel_metrics.h"
#include "host/components/schedules.h"
#include "registry/plugin.h"

namespace dnc {

void register_components(Registrar& registrar) {
  registrar.loss<CrossEntropy>(
      "CrossEntropy", "Cross entropy with label smoothing, class weights and soft targets.",
      {"CrossEntropyLoss"});
  registrar.loss<BinaryCrossEntropy>(
      "BinaryCrossEntropy", "Each class yes or no, with label smoothing and soft targets.");
  registrar.loss<OhemCrossEntropy>("OhemCrossEntropy", "Cross entropy of the hardest pixels only.");
  registrar.loss<Dice>("Dice", "1 - Dice of each image, all classes together.", {"DiceLoss"});
  registrar.loss<Lovasz>("Lovasz", "The Lovász extension of 1 - IoU.", {"LovaszLoss"});
  registrar.loss<Focal>("Focal", "Binary cross entropy that hardly counts what is easy.",
                        {"FocalLoss"});

  registrar.metric<Accuracy>("Accuracy",
                             "Share of labels that are among the k highest scores, for each k.");
  registrar.metric<ClassReport>("ClassReport",
                                "Precision, recall and F1 of each class, and their means.");
  registrar.metric<Confusion>("Confusion", "How often each class was taken for each other.");
  registrar.metric<MeanIoU>("MeanIoU",
                            "IoU, accuracy, Dice and F-score of each class, and their means.",
                            {"mIoU", "IoUMetric"});
  registrar.metric<BoundaryIoU>("BoundaryIoU",
                                "IoU of the boundaries of each class, and its mean.");

  registrar.optimizer<SGD>("SGD", "Stochastic gradient descent with momentum or Nesterov's.");
  registrar.optimizer<Adam>("Adam", "Adam; weight decay is part of the gradient.");
  registrar.optimizer<AdamW>("AdamW", "Adam with weight decay apart from the gradient.");
  registrar.optimizer<LAMB>("LAMB", "Adam by which each tensor moves by a share of its length.",
                            {"Lamb"});

  registrar.schedule<ConstantSchedule>("Constant", "The same lr throughout.", {"Fixed"});
  registrar.schedule<StepSchedule>("Step", "Multiplies the lr after every so many epochs or steps.",
                                   {"StepLR"});
  registrar.schedule<MultiStepSchedule>(
      "MultiStep", "Multiplies the lr at each of a list of epochs or steps.", {"MultiStepLR"});
  registrar.schedule<CosineSchedule>("Cosine", "Half a cosine down over the run.",
                                     {"CosineAnnealing", "CosineAnnealingLR"});
  registrar.schedule<PolySchedule>("Poly", "A power of the share of the run that is left.",
                                   {"PolyLR", "PolynomialLR"});
  registrar.schedule<OneCycleSchedule>("OneCycle", "Up to a peak and down to almost nothing.",
                                       {"OneCycleLR"});
  registrar.schedule<ExponentialSchedule>("Exponential", "Falls by a constant share per epoch.",
                                          {"Exp", "ExponentialLR"});

  registrar.hook<TensorBoardHook>("TensorBoard", "Writes events for TensorBoard.",
                                  {"TensorboardLoggerHook"});
  registrar.hook<PrototypeMassHook>("PrototypeMass",
                                    "Writes the mass of each prototype at each evaluation.");
  registrar.hook<StopFileHook>("StopFile", "Ends the run once a file 'stop' is in its folder.");
}

}  // namespace dnc
