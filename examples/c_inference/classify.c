/* Classifies pictures with a trained model of dnc-host, in C:
 *   classify MODEL PICTURE...        (MODEL: a run's folder, or a file of `dnc-host export`)
 */
#include <predictor/dnc_predictor.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, dnc_last_error());
  return 1;
}

/* The whole of a file; NULL where it cannot be read. */
static uint8_t* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  uint8_t* bytes = NULL;
  long length = -1;
  if (!file) return NULL;
  if (fseek(file, 0, SEEK_END) == 0) length = ftell(file);
  rewind(file);
  if (length > 0) bytes = malloc((size_t)length);
  *size = bytes ? fread(bytes, 1, (size_t)length, file) : 0;
  fclose(file);
  return bytes;
}

static int classify(const dnc_predictor* model, const char* path) {
  dnc_encoded image = {NULL, 0};
  dnc_result* result = NULL;
  uint8_t* bytes = read_file(path, &image.size);
  if (!bytes) {
    fprintf(stderr, "%s: cannot be read\n", path);
    return 1;
  }
  image.bytes = bytes;
  dnc_status status = dnc_predictor_predict_encoded(model, &image, 1, 1, 0, &result);
  free(bytes);
  if (status != DNC_OK) return fail(path);
  const dnc_class_score* best = dnc_result_classes(result, 0, NULL);
  printf("%s %s %.6f\n", path, dnc_predictor_class_name(model, best->label), best->score);
  dnc_result_free(result);
  return 0;
}

int main(int argc, char** argv) {
  dnc_predictor* model = NULL;
  int failed = 0;
  if (argc < 3) {
    fprintf(stderr, "usage: classify MODEL PICTURE...\n");
    return 1;
  }
  if (dnc_predictor_open(argv[1], &model) != DNC_OK) return fail(argv[1]);
  for (int i = 2; i < argc; ++i) failed |= classify(model, argv[i]);
  dnc_predictor_close(model);
  return failed;
}
