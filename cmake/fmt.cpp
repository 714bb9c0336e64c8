// The compiled part of fmt, from the headers that LibTorch brings. fmt's own format.cc is not among
// them; with fmt 12 these lines are all that it adds to its headers.
#include <fmt/format-inl.h>

template auto fmt::locale_ref::get<std::locale>() const -> std::locale;
template fmt::locale_ref::locale_ref(const std::locale&);

namespace fmt::detail {

template auto dragonbox::to_decimal(float) noexcept -> dragonbox::decimal_fp<float>;
template auto dragonbox::to_decimal(double) noexcept -> dragonbox::decimal_fp<double>;
template auto thousands_sep_impl(locale_ref) -> thousands_sep_result<char>;
template auto decimal_point_impl(locale_ref) -> char;

}  // namespace fmt::detail
