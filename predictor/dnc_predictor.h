/* Asks a trained model of dnc-host about images, from C and whatever calls C.
 *
 *   dnc_predictor* model = NULL;
 *   if (dnc_predictor_open("runs/resnet8_dnc", &model) != DNC_OK) puts(dnc_last_error());
 *
 * Errors: functions that can fail return a dnc_status, and leave their outputs as they were unless
 * it is DNC_OK. dnc_last_error() says what was wrong. No exception leaves the library.
 *
 * Ownership: what a function hands out through a `**` argument is yours until you give it to the
 * matching _close or _free (both take NULL). All else (names, scores, labels) belongs to the object
 * it was asked of, lives as long as that, and must not be changed. Images stay yours; they are read
 * during the call only.
 *
 * Threads: one dnc_predictor may be used by any number of threads at once; closing it is for when
 * none uses it any more. A dnc_result may be read by many threads. dnc_last_error() is per thread.
 */
#ifndef DNC_PREDICTOR_H
#define DNC_PREDICTOR_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DNC_API __attribute__((visibility("default")))
#else
#define DNC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum dnc_status {
  DNC_OK = 0,
  DNC_ERROR_CALLER = 1,   /* what you gave is wrong: a path, an image, an option */
  DNC_ERROR_INTERNAL = 2, /* a fault of ours; please report it */
  DNC_ERROR_MEMORY = 3    /* out of memory; try fewer or smaller images */
} dnc_status;

typedef struct dnc_predictor dnc_predictor;
typedef struct dnc_result dnc_result;

/* Pixels: height x width x 3 bytes, RGB, rows from top to bottom. */
typedef struct dnc_image {
  const uint8_t* pixels;
  int64_t height;
  int64_t width;
  int64_t row_bytes; /* from one row to the next; 0: 3 * width */
} dnc_image;

/* An image file in memory: JPEG, PNG, WebP, TIFF, BMP, PGM or PPM. */
typedef struct dnc_encoded {
  const uint8_t* bytes;
  size_t size;
} dnc_encoded;

typedef struct dnc_class_score {
  int64_t label;
  float score; /* softmax; of a model of pixels, the share of its pixels */
} dnc_class_score;

/* Flags of a question, added up. */
enum {
  DNC_AS_GIVEN = 1, /* pixels are the network's input already: no resizing, no cropping */
  DNC_NEAREST = 2   /* also the nearest sub-centroid */
};

/* Why the last function of this thread that failed did so; "" before any did. Never NULL. */
DNC_API const char* dnc_last_error(void);

/* A run's folder, or a file that `dnc-host export` wrote. TorchScript is a program: open only files
 * that you trust. */
DNC_API dnc_status dnc_predictor_open(const char* path, dnc_predictor** predictor);
DNC_API void dnc_predictor_close(dnc_predictor* predictor);

/* Classes have the labels 0 to count - 1; NULL for a label beyond. */
DNC_API int64_t dnc_predictor_class_count(const dnc_predictor* predictor);
DNC_API const char* dnc_predictor_class_name(const dnc_predictor* predictor, int64_t label);
/* 1 where every pixel gets a class, 0 where every image does. */
DNC_API int dnc_predictor_for_pixels(const dnc_predictor* predictor);

/* The `top_k` best classes of each image. Images of one size are computed together. */
DNC_API dnc_status dnc_predictor_predict(const dnc_predictor* predictor, const dnc_image* images,
                                         size_t count, int64_t top_k, int flags,
                                         dnc_result** result);
DNC_API dnc_status dnc_predictor_predict_encoded(const dnc_predictor* predictor,
                                                 const dnc_encoded* images, size_t count,
                                                 int64_t top_k, int flags, dnc_result** result);
DNC_API void dnc_result_free(dnc_result* result);

/* The images of the question. `image` counts from 0 to that; beyond, the functions below give NULL,
 * 0 or -1. */
DNC_API size_t dnc_result_count(const dnc_result* result);
/* The best classes of an image, the best first; their number goes to `count` unless it is NULL. */
DNC_API const dnc_class_score* dnc_result_classes(const dnc_result* result, size_t image,
                                                  size_t* count);
/* With DNC_NEAREST: the nearest sub-centroid of the first class, and its cosine to `similarity`
 * unless it is NULL. -1 for a model without. */
DNC_API int64_t dnc_result_sub_centroid(const dnc_result* result, size_t image, float* similarity);
/* Of a model of pixels: the label of each, height x width, row by row; else NULL. The sizes go to
 * `height` and `width` unless they are NULL. */
DNC_API const int32_t* dnc_result_labels(const dnc_result* result, size_t image, int64_t* height,
                                         int64_t* width);

#ifdef __cplusplus
}
#endif
#endif
