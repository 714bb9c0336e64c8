#include "predictor/dnc_predictor.h"

#include <c10/util/Exception.h>

#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "host/out_of_memory.h"
#include "predictor/predictor.h"

struct dnc_predictor {
  dnc::Predictor predictor;
};

struct dnc_result {
  // The scores lie here as C knows them; their own list in a Prediction is empty.
  struct Image {
    dnc::Prediction prediction;
    std::vector<dnc_class_score> classes;
  };
  std::vector<Image> images;
};

namespace {

thread_local std::string last_error;

// Even that may run out of memory.
void set_error(const char* what) noexcept {
  try {
    last_error = what;
  } catch (const std::bad_alloc&) {
    last_error.clear();
  }
}

// Runs `call`, and turns what it throws into a status.
template <typename Call>
dnc_status guarded(const Call& call) noexcept {
  try {
    call();
    return DNC_OK;
  } catch (const dnc::Error& error) {
    set_error(error.what());
    return DNC_ERROR_CALLER;
  } catch (const std::filesystem::filesystem_error& error) {  // a path that cannot be one
    set_error(error.what());
    return DNC_ERROR_CALLER;
  } catch (const c10::Error& error) {
    set_error(error.what_without_backtrace());
    if (dnc::is_out_of_memory(error)) return DNC_ERROR_MEMORY;
  } catch (const std::exception& error) {
    set_error(error.what());
    if (dnc::is_out_of_memory(error)) return DNC_ERROR_MEMORY;
  } catch (...) {
    set_error("an exception of unknown type");
  }
  return DNC_ERROR_INTERNAL;
}

void need(const void* argument, const char* name) {
  if (!argument) throw dnc::Error(std::string(name) + " must not be NULL");
}

dnc::Predictor::Ask ask_of(int64_t top_k, int flags) {
  if ((flags & ~(DNC_AS_GIVEN | DNC_NEAREST)) != 0) {
    throw dnc::Error("flags: " + std::to_string(flags) + " has unknown bits");
  }
  return {.top_k = top_k,
          .nearest = (flags & DNC_NEAREST) != 0,
          .transforms = (flags & DNC_AS_GIVEN) == 0};
}

dnc_result* make_result(std::vector<dnc::Prediction> predictions) {
  auto result = std::make_unique<dnc_result>();
  for (auto& prediction : predictions) {
    auto& image = result->images.emplace_back();
    for (const auto& [label, score] : prediction.classes) image.classes.push_back({label, score});
    prediction.classes.clear();
    image.prediction = std::move(prediction);
  }
  return result.release();
}

const dnc_result::Image* image_of(const dnc_result* result, size_t image) {
  return result && image < result->images.size() ? &result->images[image] : nullptr;
}

}  // namespace

const char* dnc_last_error(void) { return last_error.c_str(); }

dnc_status dnc_predictor_open(const char* path, dnc_predictor** predictor) {
  return guarded([&] {
    need(path, "path");
    need(predictor, "predictor");
    *predictor = new dnc_predictor{dnc::Predictor(path)};
  });
}

void dnc_predictor_close(dnc_predictor* predictor) { delete predictor; }

int64_t dnc_predictor_class_count(const dnc_predictor* predictor) {
  return predictor ? static_cast<int64_t>(predictor->predictor.classes().size()) : 0;
}

const char* dnc_predictor_class_name(const dnc_predictor* predictor, int64_t label) {
  if (label < 0 || label >= dnc_predictor_class_count(predictor)) return nullptr;
  return predictor->predictor.classes()[static_cast<size_t>(label)].c_str();
}

int dnc_predictor_for_pixels(const dnc_predictor* predictor) {
  return predictor && predictor->predictor.for_pixels() ? 1 : 0;
}

dnc_status dnc_predictor_predict(const dnc_predictor* predictor, const dnc_image* images,
                                 size_t count, int64_t top_k, int flags, dnc_result** result) {
  return guarded([&] {
    need(predictor, "predictor");
    need(result, "result");
    if (count > 0) need(images, "images");
    const auto ask = ask_of(top_k, flags);
    std::vector<dnc::ImagePixels> pixels;
    for (size_t i = 0; i < count; ++i) {
      pixels.push_back({images[i].pixels, images[i].height, images[i].width, images[i].row_bytes});
    }
    *result = make_result(predictor->predictor.predict(pixels, ask));
  });
}

dnc_status dnc_predictor_predict_encoded(const dnc_predictor* predictor, const dnc_encoded* images,
                                         size_t count, int64_t top_k, int flags,
                                         dnc_result** result) {
  return guarded([&] {
    need(predictor, "predictor");
    need(result, "result");
    if (count > 0) need(images, "images");
    auto ask = ask_of(top_k, flags);
    if (!ask.transforms) throw dnc::Error("flags: DNC_AS_GIVEN is for pixels");
    std::vector<std::string> names;
    std::vector<dnc::EncodedBytes> encoded;
    names.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      need(images[i].bytes, "bytes");
      names.push_back("image " + std::to_string(i));
      encoded.push_back({{images[i].bytes, images[i].size}, names.back()});
    }
    *result = make_result(predictor->predictor.predict(encoded, ask));
  });
}

void dnc_result_free(dnc_result* result) { delete result; }

size_t dnc_result_count(const dnc_result* result) { return result ? result->images.size() : 0; }

const dnc_class_score* dnc_result_classes(const dnc_result* result, size_t image, size_t* count) {
  const auto* const found = image_of(result, image);
  if (count) *count = found ? found->classes.size() : 0;
  return found ? found->classes.data() : nullptr;
}

int64_t dnc_result_sub_centroid(const dnc_result* result, size_t image, float* similarity) {
  const auto* const found = image_of(result, image);
  if (similarity) *similarity = found ? found->prediction.similarity : 0;
  return found ? found->prediction.sub_centroid : -1;
}

const int32_t* dnc_result_labels(const dnc_result* result, size_t image, int64_t* height,
                                 int64_t* width) {
  const auto* const found = image_of(result, image);
  const bool any = found && !found->prediction.labels.empty();
  if (height) *height = any ? found->prediction.height : 0;
  if (width) *width = any ? found->prediction.width : 0;
  return any ? found->prediction.labels.data() : nullptr;
}
