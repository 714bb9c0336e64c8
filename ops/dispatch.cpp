// torch.ops.dnc.*: names, arguments and kernels. docs/operators.md says what each computes.
//
// Each operator has an implementation for all devices, which uses the inner loops of cpu/ on a CPU
// and LibTorch's operators elsewhere; one for Meta, which knows sizes alone; and where it is
// differentiable one for Autograd. Those for CUDA are in a library of their own, cuda/dispatch.cpp,
// and go before the first.

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "ops/batch_norm_relu.h"
#include "ops/confusion.h"
#include "ops/groups.h"
#include "ops/nearest.h"
#include "ops/normalize_images.h"
#include "ops/segments.h"
#include "ops/sinkhorn.h"
#include "ops/unit_rows.h"

namespace dnc {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

using Three = std::tuple<Tensor, Tensor, Tensor>;
using Two = std::tuple<Tensor, Tensor>;
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;

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
  check_nearest(x, prototypes);
  auto sizes = x.sym_sizes().vec();
  sizes.pop_back();
  const auto scale = at::empty_symint(sizes, x.options());
  sizes.push_back(prototypes.sym_size(0));
  return {at::empty_symint(sizes, x.options()),
          at::empty_symint(sizes, x.options().dtype(at::kByte)), scale};
}

Tensor nearest_backward_meta(const Tensor&, const Tensor& x, const Tensor& prototypes,
                             const Tensor&, const Tensor&, double) {
  check_nearest(x, prototypes);
  return at::empty_symint(x.sym_sizes(), x.options());
}

void check_sinkhorn(const Tensor& similarities, const Tensor& labels, int64_t classes,
                    int64_t iterations, double epsilon) {
  TORCH_CHECK(similarities.dim() == 2 && labels.dim() == 1 &&
                  labels.sym_size(0) == similarities.sym_size(0) && similarities.sym_size(1) >= 1 &&
                  similarities.is_floating_point() && labels.scalar_type() == at::kLong,
              "dnc: expected floating similarities [N, K] and labels int64 [N], got ",
              similarities.sym_sizes(), " of ", similarities.scalar_type(), " and ",
              labels.sym_sizes(), " of ", labels.scalar_type());
  TORCH_CHECK(similarities.device() == labels.device(), "dnc: similarities are on ",
              similarities.device(), ", labels on ", labels.device());
  TORCH_CHECK(classes >= 1 && iterations >= 1 && epsilon >= 1e-4,
              "dnc: sinkhorn wants classes and iterations from 1 and an epsilon from 1e-4 on");
}

Two sinkhorn_shares(const Tensor& similarities, const Tensor& labels, int64_t classes,
                    int64_t iterations, double epsilon) {
  check_sinkhorn(similarities, labels, classes, iterations, epsilon);
  if (labels.is_cpu() && labels.numel() > 0) {
    TORCH_CHECK_INDEX(labels.max().item<int64_t>() < classes, "dnc: a label is not below ",
                      classes);
  }
  const auto out = labels.lt(0);
  const auto logits = sinkhorn(similarities.contiguous(), labels, classes, iterations, epsilon);
  return {at::softmax(logits, 1).masked_fill_(out.unsqueeze(1), 0),
          largest_share(logits, similarities).masked_fill_(out, -1)};
}

Tensor sinkhorn_logits_meta(const Tensor& similarities, const Tensor&, int64_t, int64_t, double) {
  return at::empty_symint(similarities.sym_sizes(), similarities.options());
}

Tensor own_similarities_meta(const Tensor& points, const std::optional<Tensor>&,
                             const Tensor& labels, const Tensor& prototypes) {
  return at::empty_symint({labels.sym_size(0), prototypes.sym_size(1)}, points.options());
}

Two unit_rows_meta(const Tensor& x, const Tensor& labels) {
  return {at::empty_symint({labels.sym_size(0), x.sym_size(2)}, x.options()),
          at::empty_symint({labels.sym_size(0)}, x.options())};
}

Two sinkhorn_meta(const Tensor& similarities, const Tensor& labels, int64_t classes,
                  int64_t iterations, double epsilon) {
  check_sinkhorn(similarities, labels, classes, iterations, epsilon);
  return {at::empty_symint(similarities.sym_sizes(), similarities.options()),
          at::empty_symint(labels.sym_sizes(), labels.options())};
}

Two segment_mean_of(const Tensor& values, const Tensor& segments, int64_t size) {
  return segment_mean(values, segments, size);
}

Two segment_mean_meta(const Tensor& values, const Tensor& segments, int64_t size) {
  check_segments(values, segments);
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

void momentum_update_meta(Tensor& table, const Tensor& points, const Tensor& rows, double) {
  check_momentum_update(table, points, rows);
}

Tensor count_confusion_meta(const Tensor& predictions, const Tensor& labels, int64_t classes) {
  check_count_confusion(predictions, labels, classes);
  return at::empty_symint({classes, classes}, labels.options());
}

Tensor normalize_images_of(const Tensor& images, at::ArrayRef<double> mean,
                           at::ArrayRef<double> std, at::ScalarType dtype,
                           const std::optional<Tensor>& corners, at::OptionalIntArrayRef size,
                           const std::optional<Tensor>& flips) {
  return normalize_images(images, mean, std, dtype, {corners, size, flips});
}

Tensor normalize_images_meta(const Tensor& images, at::ArrayRef<double> mean,
                             at::ArrayRef<double> std, at::ScalarType dtype,
                             const std::optional<Tensor>& corners, at::OptionalIntArrayRef size,
                             const std::optional<Tensor>& flips) {
  const auto sizes = check_normalize_images(images, mean, std, dtype, {corners, size, flips});
  return at::empty_symint(sizes, images.options().dtype(dtype), at::MemoryFormat::ChannelsLast);
}

Three batch_norm_relu_forward_meta(const Tensor& x, const std::optional<Tensor>& residual,
                                   const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                                   Tensor& running_var, bool training, double, double) {
  check_batch_norm_relu(x, residual, {weight, bias, running_mean, running_var}, training);
  return {at::empty_symint(x.sym_sizes(), x.options(), at::MemoryFormat::ChannelsLast),
          at::empty_like(weight), at::empty_like(weight)};
}

Four batch_norm_relu_backward_meta(const Tensor&, const Tensor& x, const Tensor&,
                                   const Tensor& weight, const Tensor&, const Tensor&, bool,
                                   bool residual) {
  const auto like_x = [&] {
    return at::empty_symint(x.sym_sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  };
  return {like_x(), residual ? like_x() : at::empty({0}, x.options()), at::empty_like(weight),
          at::empty_like(weight)};
}

Four call_batch_norm_relu_backward(const Tensor& gradient, const Tensor& x, const Tensor& y,
                                   const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                                   bool training, bool residual) {
  using Backward = decltype(batch_norm_relu_backward);
  static const auto op = find<Backward>("dnc::batch_norm_relu_backward");
  return op.call(gradient, x, y, weight, mean, rstd, training, residual);
}

class BatchNormRelu : public Function<BatchNormRelu> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& x,
                               const std::optional<Tensor>& residual, const Tensor& weight,
                               const Tensor& bias, Tensor running_mean, Tensor running_var,
                               bool training, double momentum, double eps) {
    const at::AutoDispatchBelowADInplaceOrView below;
    using Forward = decltype(batch_norm_relu_forward);
    static const auto op = find<Forward>("dnc::batch_norm_relu_forward");
    const auto [y, mean, rstd] =
        op.call(x, residual, weight, bias, running_mean, running_var, training, momentum, eps);
    context->save_for_backward({x, y, weight, mean, rstd});
    context->saved_data["training"] = training;
    context->saved_data["residual"] = residual.has_value();
    context->mark_non_differentiable({mean, rstd});
    context->set_materialize_grads(false);
    return {y, mean, rstd};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    variable_list result(9);
    if (!gradients[0].defined()) return result;
    const auto saved = context->get_saved_variables();
    const bool residual = context->saved_data["residual"].toBool();
    const auto [x, of_residual, weight, bias] =
        call_batch_norm_relu_backward(gradients[0], saved[0], saved[1], saved[2], saved[3],
                                      saved[4], context->saved_data["training"].toBool(), residual);
    result[0] = x;
    if (residual) result[1] = of_residual;
    result[2] = weight;
    result[3] = bias;
    return result;
  }
};

Three batch_norm_relu_autograd(const Tensor& x, const std::optional<Tensor>& residual,
                               const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                               Tensor& running_var, bool training, double momentum, double eps) {
  const auto outputs = BatchNormRelu::apply(x, residual, weight, bias, running_mean, running_var,
                                            training, momentum, eps);
  return {outputs[0], outputs[1], outputs[2]};
}

/// Refuses the second derivative instead of giving a wrong one.
class BatchNormReluBackward : public Function<BatchNormReluBackward> {
 public:
  static variable_list forward(AutogradContext*, const Tensor& gradient, const Tensor& x,
                               const Tensor& y, const Tensor& weight, const Tensor& mean,
                               const Tensor& rstd, bool training, bool residual) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto [of_x, of_residual, of_weight, of_bias] =
        call_batch_norm_relu_backward(gradient, x, y, weight, mean, rstd, training, residual);
    return {of_x, of_residual, of_weight, of_bias};
  }
  static variable_list backward(AutogradContext*, const variable_list&) {
    TORCH_CHECK(false, "dnc: batch_norm_relu has no second derivative");
  }
};

Four batch_norm_relu_backward_autograd(const Tensor& gradient, const Tensor& x, const Tensor& y,
                                       const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                                       bool training, bool residual) {
  const auto outputs =
      BatchNormReluBackward::apply(gradient, x, y, weight, mean, rstd, training, residual);
  return {outputs[0], outputs[1], outputs[2], outputs[3]};
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
      "normalize_images(Tensor images, float[] mean, float[] std, *, ScalarType dtype=float, "
      "Tensor? "
      "corners=None, int[2]? size=None, Tensor? flips=None) -> Tensor",
      compiles);
  library.def(
      "batch_norm_relu(Tensor x, Tensor? residual, Tensor weight, Tensor bias, Tensor(a!) "
      "running_mean, Tensor(b!) running_var, bool training, float momentum=0.1, float eps=1e-05) "
      "-> Tensor",
      compiles);
  library.def(
      "batch_norm_relu_forward(Tensor x, Tensor? residual, Tensor weight, Tensor bias, Tensor(a!) "
      "running_mean, Tensor(b!) running_var, bool training, float momentum=0.1, float eps=1e-05) "
      "-> (Tensor y, Tensor mean, Tensor rstd)",
      compiles);
  library.def(
      "batch_norm_relu_backward(Tensor gradient, Tensor x, Tensor y, Tensor weight, Tensor mean, "
      "Tensor rstd, bool training, bool residual) -> (Tensor x_gradient, Tensor residual_gradient, "
      "Tensor weight_gradient, Tensor bias_gradient)",
      compiles);
  // Parts of the DNC head, for its C++ code alone.
  library.def(
      "sinkhorn_logits(Tensor similarities, Tensor labels, int classes, int iterations, float "
      "epsilon) -> Tensor",
      compiles);
  library.def(
      "own_similarities(Tensor points, Tensor? rows, Tensor labels, Tensor prototypes) -> Tensor",
      compiles);
  library.def("unit_rows(Tensor x, Tensor labels) -> (Tensor points, Tensor scale)", compiles);
  constexpr auto kOthers = c10::DispatchKey::CompositeImplicitAutograd;  // calls of other operators
  library.impl("nearest_scores", kOthers, dnc::nearest_scores);
  library.impl("batch_norm_relu", kOthers, dnc::batch_norm_relu);
}

TORCH_LIBRARY_IMPL(dnc, CompositeExplicitAutograd, library) {
  library.impl("nearest", dnc::nearest_of_classes);
  library.impl("nearest_backward", dnc::nearest_of_classes_backward);
  library.impl("sinkhorn", dnc::sinkhorn_shares);
  library.impl("segment_mean", dnc::segment_mean_of);
  library.impl("momentum_update_", dnc::momentum_update_by_operators);
  library.impl("count_confusion", dnc::count_confusion);
  library.impl("normalize_images", dnc::normalize_images_of);
  library.impl("batch_norm_relu_forward", dnc::batch_norm_relu_forward);
  library.impl("batch_norm_relu_backward", dnc::batch_norm_relu_backward);
  library.impl("sinkhorn_logits", dnc::sinkhorn_by_operators);
  library.impl("own_similarities", dnc::own_similarities_by_operators);
  library.impl("unit_rows", dnc::unit_rows_by_operators);
}

TORCH_LIBRARY_IMPL(dnc, Meta, library) {
  library.impl("nearest", dnc::nearest_meta);
  library.impl("nearest_backward", dnc::nearest_backward_meta);
  library.impl("sinkhorn", dnc::sinkhorn_meta);
  library.impl("segment_mean", dnc::segment_mean_meta);
  library.impl("momentum_update_", dnc::momentum_update_meta);
  library.impl("count_confusion", dnc::count_confusion_meta);
  library.impl("normalize_images", dnc::normalize_images_meta);
  library.impl("batch_norm_relu_forward", dnc::batch_norm_relu_forward_meta);
  library.impl("batch_norm_relu_backward", dnc::batch_norm_relu_backward_meta);
  library.impl("sinkhorn_logits", dnc::sinkhorn_logits_meta);
  library.impl("own_similarities", dnc::own_similarities_meta);
  library.impl("unit_rows", dnc::unit_rows_meta);
}

TORCH_LIBRARY_IMPL(dnc, Autograd, library) {
  library.impl("nearest", dnc::nearest_autograd);
  library.impl("nearest_backward", dnc::nearest_backward_autograd);
  library.impl("segment_mean", dnc::segment_mean_autograd);
  library.impl("batch_norm_relu_forward", dnc::batch_norm_relu_autograd);
  library.impl("batch_norm_relu_backward", dnc::batch_norm_relu_backward_autograd);
}
