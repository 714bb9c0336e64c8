// torch.ops.dnc.*: names, arguments and kernels. docs/operators.md says what each computes.
//
// Each operator has a kernel for CPU, one for CUDA (the same code, in LibTorch's operators), one
// for Meta, which knows sizes alone, and where it is differentiable one for Autograd.

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "ops/confusion.h"
#include "ops/groups.h"
#include "ops/nearest.h"
#include "ops/normalize_images.h"
#include "ops/segments.h"
#include "ops/sinkhorn.h"

namespace dnc {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

using Three = std::tuple<Tensor, Tensor, Tensor>;
using Two = std::tuple<Tensor, Tensor>;

template <typename Signature>
auto find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

Tensor nearest_scores(const Tensor& x, const Tensor& prototypes, double factor) {
  static const auto op = find<Three(const Tensor&, const Tensor&, double)>("dnc::nearest");
  return std::get<0>(op.call(x, prototypes, factor));
}

Tensor call_nearest_backward(const Tensor& gradient, const Tensor& x, const Tensor& prototypes,
                             const Tensor& index, const Tensor& scale, double factor) {
  static const auto op = find<Tensor(const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                     const Tensor&, double)>("dnc::nearest_backward");
  return op.call(gradient, x, prototypes, index, scale, factor);
}

class Nearest : public Function<Nearest> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& prototypes,
                               double factor) {
    const at::AutoDispatchBelowADInplaceOrView below;
    static const auto op = find<Three(const Tensor&, const Tensor&, double)>("dnc::nearest");
    const auto [scores, index, scale] = op.call(x, prototypes, factor);
    context->save_for_backward({x, prototypes, index, scale});
    context->saved_data["factor"] = factor;
    context->mark_non_differentiable({index, scale});
    context->set_materialize_grads(false);  // those of index and scale, as large as the scores
    return {scores, index, scale};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (!gradients[0].defined()) return {Tensor(), Tensor(), Tensor()};
    const auto saved = context->get_saved_variables();
    return {call_nearest_backward(gradients[0], saved[0], saved[1], saved[2], saved[3],
                                  context->saved_data["factor"].toDouble()),
            Tensor(), Tensor()};
  }
};

Three nearest_autograd(const Tensor& x, const Tensor& prototypes, double factor) {
  const auto outputs = Nearest::apply(x, prototypes, factor);
  return {outputs[0], outputs[1], outputs[2]};
}

/// Refuses the second derivative instead of giving a wrong one.
class NearestBackward : public Function<NearestBackward> {
 public:
  static Tensor forward(AutogradContext*, const Tensor& gradient, const Tensor& x,
                        const Tensor& prototypes, const Tensor& index, const Tensor& scale,
                        double factor) {
    const at::AutoDispatchBelowADInplaceOrView below;
    return call_nearest_backward(gradient, x, prototypes, index, scale, factor);
  }
  static variable_list backward(AutogradContext*, const variable_list&) {
    TORCH_CHECK(false, "dnc: nearest_scores has no second derivative");
  }
};

Tensor nearest_backward_autograd(const Tensor& gradient, const Tensor& x, const Tensor& prototypes,
                                 const Tensor& index, const Tensor& scale, double factor) {
  return NearestBackward::apply(gradient, x, prototypes, index, scale, factor);
}

Three nearest_meta(const Tensor& x, const Tensor& prototypes, double) {
  auto sizes = x.sym_sizes().vec();
  sizes.pop_back();
  const auto scale = at::empty_symint(sizes, x.options());
  sizes.push_back(prototypes.sym_size(0));
  return {at::empty_symint(sizes, x.options()),
          at::empty_symint(sizes, x.options().dtype(at::kByte)), scale};
}

Tensor nearest_backward_meta(const Tensor&, const Tensor& x, const Tensor&, const Tensor&,
                             const Tensor&, double) {
  return at::empty_symint(x.sym_sizes(), x.options());
}

Two sinkhorn_shares(const Tensor& similarities, const Tensor& labels, int64_t classes,
                    int64_t iterations, double epsilon) {
  TORCH_CHECK(similarities.dim() == 2 && labels.dim() == 1 &&
                  labels.size(0) == similarities.size(0) && labels.scalar_type() == at::kLong,
              "dnc: expected similarities [N, K] and labels int64 [N], got ", similarities.sizes(),
              " and ", labels.sizes(), " of ", labels.scalar_type());
  TORCH_CHECK(classes >= 1 && iterations >= 1 && epsilon >= 1e-4,
              "dnc: sinkhorn wants classes and iterations from 1 and an epsilon from 1e-4 on");
  if (labels.is_cpu() && labels.numel() > 0) {
    TORCH_CHECK_INDEX(labels.max().item<int64_t>() < classes, "dnc: a label is not below ",
                      classes);
  }
  const auto out = labels.lt(0);  // a class of their own
  const Groups groups(labels.masked_fill(out, classes), classes + 1);
  const auto logits = sinkhorn(similarities.contiguous(), groups, iterations, epsilon);
  return {at::softmax(logits, 1).masked_fill_(out.unsqueeze(1), 0),
          largest_share(logits, similarities).masked_fill_(out, -1)};
}

Two sinkhorn_meta(const Tensor& similarities, const Tensor& labels, int64_t, int64_t, double) {
  return {at::empty_symint(similarities.sym_sizes(), similarities.options()),
          at::empty_symint(labels.sym_sizes(), labels.options())};
}

Two segment_mean_of(const Tensor& values, const Tensor& segments, int64_t size) {
  return segment_mean(values, segments, size);
}

Two segment_mean_meta(const Tensor& values, const Tensor&, int64_t size) {
  return {at::empty_symint({size, values.sym_size(1)}, values.options()),
          at::empty_symint({size}, values.options())};
}

class SegmentMean : public Function<SegmentMean> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& values,
                               const Tensor& segments, int64_t size) {
    const at::AutoDispatchBelowADInplaceOrView below;
    static const auto op = find<Two(const Tensor&, const Tensor&, int64_t)>("dnc::segment_mean");
    const auto [means, counts] = op.call(values, segments, size);
    context->save_for_backward({segments, counts});
    context->mark_non_differentiable({counts});
    context->set_materialize_grads(false);
    return {means, counts};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (!gradients[0].defined()) return {Tensor(), Tensor(), Tensor()};
    const auto saved = context->get_saved_variables();
    return {segment_mean_backward(gradients[0], saved[0], saved[1]), Tensor(), Tensor()};
  }
};

Two segment_mean_autograd(const Tensor& values, const Tensor& segments, int64_t size) {
  const auto outputs = SegmentMean::apply(values, segments, size);
  return {outputs[0], outputs[1]};
}

void momentum_update_of(Tensor& table, const Tensor& points, const Tensor& rows, double momentum) {
  TORCH_CHECK(table.dim() == 2 && points.dim() == 2 && rows.dim() == 1 &&
                  points.size(1) == table.size(1) && rows.size(0) == points.size(0) &&
                  rows.scalar_type() == at::kLong,
              "dnc: expected a table [M, D], points [R, D] and rows int64 [R], got ", table.sizes(),
              ", ", points.sizes(), " and ", rows.sizes());
  if (rows.numel() == 0) return;
  if (rows.is_cpu()) {
    TORCH_CHECK_INDEX(rows.max().item<int64_t>() < table.size(0), "dnc: a row is not below ",
                      table.size(0));
  }
  const auto out = rows.lt(0);
  momentum_update(table, points.masked_fill(out.unsqueeze(1), 0), rows.clamp_min(0),
                  out.logical_not(), momentum);
}

void momentum_update_meta(Tensor&, const Tensor&, const Tensor&, double) {}

Tensor count_confusion_meta(const Tensor&, const Tensor& labels, int64_t classes) {
  return at::empty_symint({classes, classes}, labels.options());
}

Tensor normalize_images_meta(const Tensor& images, at::ArrayRef<double> mean,
                             at::ArrayRef<double> std, at::ScalarType dtype) {
  check_normalize_images(images.scalar_type(), images.dim(), mean, std, dtype);
  return at::empty_symint(images.sym_sizes(), images.options().dtype(dtype),
                          at::MemoryFormat::ChannelsLast);
}

/// The kernels of a device that has memory.
void implement(torch::Library& library) {
  library.impl("nearest", nearest_of_classes);
  library.impl("nearest_backward", nearest_of_classes_backward);
  library.impl("sinkhorn", sinkhorn_shares);
  library.impl("segment_mean", segment_mean_of);
  library.impl("momentum_update_", momentum_update_of);
  library.impl("count_confusion", count_confusion);
  library.impl("normalize_images", normalize_images);
}

}  // namespace
}  // namespace dnc

TORCH_LIBRARY(dnc, library) {
  const std::vector<at::Tag> compiles{at::Tag::pt2_compliant_tag};
  library.def("nearest_scores(Tensor x, Tensor prototypes, float factor=1.0) -> Tensor", compiles);
  library.def(
      "nearest(Tensor x, Tensor prototypes, float factor=1.0) -> (Tensor scores, Tensor index, "
      "Tensor scale)",
      compiles);
  library.def(
      "nearest_backward(Tensor gradient, Tensor x, Tensor prototypes, Tensor index, Tensor scale, "
      "float factor) -> Tensor",
      compiles);
  library.def(
      "sinkhorn(Tensor similarities, Tensor labels, int classes, int iterations=3, float "
      "epsilon=0.05) -> (Tensor shares, Tensor index)",
      compiles);
  library.def(
      "segment_mean(Tensor values, Tensor segments, int size) -> (Tensor means, Tensor counts)",
      compiles);
  library.def(
      "momentum_update_(Tensor(a!) table, Tensor points, Tensor rows, float momentum=0.999) -> ()",
      compiles);
  library.def("count_confusion(Tensor predictions, Tensor labels, int classes) -> Tensor",
              compiles);
  library.def(
      "normalize_images(Tensor images, float[] mean, float[] std, *, ScalarType dtype=float) -> "
      "Tensor",
      compiles);
  library.impl("nearest_scores", c10::DispatchKey::CompositeImplicitAutograd, dnc::nearest_scores);
}

TORCH_LIBRARY_IMPL(dnc, CPU, library) { dnc::implement(library); }
TORCH_LIBRARY_IMPL(dnc, CUDA, library) { dnc::implement(library); }

TORCH_LIBRARY_IMPL(dnc, Meta, library) {
  library.impl("nearest", dnc::nearest_meta);
  library.impl("nearest_backward", dnc::nearest_backward_meta);
  library.impl("sinkhorn", dnc::sinkhorn_meta);
  library.impl("segment_mean", dnc::segment_mean_meta);
  library.impl("momentum_update_", dnc::momentum_update_meta);
  library.impl("count_confusion", dnc::count_confusion_meta);
  library.impl("normalize_images", dnc::normalize_images_meta);
}

TORCH_LIBRARY_IMPL(dnc, Autograd, library) {
  library.impl("nearest", dnc::nearest_autograd);
  library.impl("nearest_backward", dnc::nearest_backward_autograd);
  library.impl("segment_mean", dnc::segment_mean_autograd);
}
