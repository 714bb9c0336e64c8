#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dnc::report {

/// What a model says about one sample.
struct Prediction {
  int64_t index = 0;                                 // in the data set
  std::string name;                                  // of the sample: its file, ...
  std::string label;                                 // its class; empty where it has none
  std::vector<std::pair<std::string, double>> best;  // classes with their shares, highest first
};

/// {"index":3,"name":"cat.png","label":"cat","prediction":"dog","predictions":[{"class":"dog",
/// "score":0.9},...]} and a line end; "label" is null where there is none. Bytes of a name that are
/// not UTF-8 become U+FFFD.
std::string to_json_line(const Prediction& prediction);

/// index,name,label,prediction,class_1,score_1,... for so many classes.
std::string prediction_csv_header(int64_t classes);
std::string to_csv_line(const Prediction& prediction);

/// A sample that was taken for another class.
struct Mistake {
  int64_t index = 0;  // in the data set
  int64_t label = 0;
  int64_t prediction = 0;
  double score = 0;        // share of the prediction
  double label_score = 0;  // share of the label
};

/// Keeps the mistakes that the model was most sure of.
class WorstMistakes {
 public:
  explicit WorstMistakes(int64_t most) : most_(static_cast<size_t>(most)) {}
  void add(const Mistake& mistake);
  /// Highest score first; equal ones by index.
  std::vector<Mistake> sorted() const;
  /// How many are kept at most.
  int64_t most() const { return static_cast<int64_t>(most_); }
  /// All that were added, or what set_count() says: where only the worst of others were added.
  int64_t count() const { return count_; }
  void set_count(int64_t count) { count_ = count; }

 private:
  size_t most_;
  int64_t count_ = 0;
  std::vector<Mistake> kept_;  // a heap, with the least bad one in front
};

}  // namespace dnc::report
