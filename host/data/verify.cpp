#include "host/data/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

constexpr int64_t kIgnoredPixel = 255;

// Never 0, which stands for no image.
uint64_t fingerprint(const Image& image) {
  const auto* bytes = reinterpret_cast<const char*>(image.pixels());
  const auto hash = std::hash<std::string_view>()({bytes, static_cast<size_t>(image.size())});
  return (hash ^ static_cast<uint64_t>(image.width() * image.channels())) | 1;
}

bool is_one_colour(const Image& image) {
  const auto* pixels = image.pixels();
  return std::equal(pixels + image.channels(), pixels + image.size(), pixels);
}

// Looks at samples, one after the other; each thread has its own.
class Inspector {
 public:
  explicit Inspector(const Dataset& dataset) : dataset_(dataset) {
    found_.class_counts.resize(static_cast<size_t>(dataset.classes().size()));
  }

  // Returns the fingerprint.
  uint64_t look_at(int64_t index) {
    try {
      const auto sample = dataset_.load(index);
      const auto print = fingerprint(sample.image);
      look_at_image(index, sample.image);
      dataset_.task() == Task::kPixels ? count_pixels(index, sample) : count_label(index, sample);
      return print;
    } catch (const DataError& error) {
      found_.broken.push_back({index, error.what()});
      return 0;
    }
  }

  void add_to(DataReport& all) const {
    const auto append = [](auto& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(all.broken, found_.broken);
    append(all.suspicious, found_.suspicious);
    for (size_t c = 0; c < found_.class_counts.size(); ++c) {
      all.class_counts[c] += found_.class_counts[c];
    }
    all.ignored += found_.ignored;
    all.largest_side = std::max(all.largest_side, found_.largest_side);
    if (found_.smallest_side > 0) {
      all.smallest_side = all.smallest_side == 0
                              ? found_.smallest_side
                              : std::min(all.smallest_side, found_.smallest_side);
    }
  }

 private:
  void suspect(int64_t index, const std::string& what) {
    found_.suspicious.push_back({index, dataset_.name(index) + ": " + what});
  }

  [[noreturn]] void fail(int64_t index, const std::string& what) const {
    throw DataError(dataset_.name(index) + ": " + what);
  }

  void look_at_image(int64_t index, const Image& image) {
    const auto [low, high] = std::minmax({image.height(), image.width()});
    if (low == 0) fail(index, "its image is empty");
    found_.smallest_side = found_.smallest_side == 0 ? low : std::min(found_.smallest_side, low);
    found_.largest_side = std::max(found_.largest_side, high);
    if (is_one_colour(image)) suspect(index, "its image is of one colour only");
  }

  void count_label(int64_t index, const Sample& sample) {
    if (sample.label == kIgnoredLabel) {
      ++found_.ignored;
      return;
    }
    const int64_t classes = dataset_.classes().size();
    if (sample.label < 0 || sample.label >= classes) {
      fail(index, fmt::format("label {} is beyond the {} classes (0 to {})", sample.label, classes,
                              classes - 1));
    }
    ++found_.class_counts[static_cast<size_t>(sample.label)];
  }

  void count_pixels(int64_t index, const Sample& sample) {
    std::array<int64_t, 256> counts{};
    const auto* labels = sample.labels.pixels();
    for (int64_t i = 0; i < sample.labels.size(); ++i) ++counts[labels[i]];
    const int64_t classes = dataset_.classes().size();
    for (int64_t value = classes; value < kIgnoredPixel; ++value) {
      if (const auto count = counts[static_cast<size_t>(value)]; count > 0) {
        fail(index, fmt::format("{} pixels of its label image are {}, beyond the {} classes (0 to "
                                "{}); 255 stands for ignored{}",
                                count, value, classes, classes - 1,
                                value == classes && counts[0] > 0
                                    ? ". If 0 is the background, set reduce_zero_label: true"
                                    : ""));
      }
    }
    for (int64_t c = 0; c < std::min<int64_t>(classes, kIgnoredPixel); ++c) {
      found_.class_counts[static_cast<size_t>(c)] += counts[static_cast<size_t>(c)];
    }
    found_.ignored += counts[kIgnoredPixel];
    if (counts[kIgnoredPixel] == sample.labels.size()) {
      suspect(index, "no pixel of its label image has a label");
    }
    const auto& image = sample.image;
    if (sample.labels.height() != image.height() || sample.labels.width() != image.width()) {
      suspect(index, fmt::format("its label image is {} x {}, but the image {} x {}",
                                 sample.labels.height(), sample.labels.width(), image.height(),
                                 image.width()));
    }
  }

  const Dataset& dataset_;
  DataReport found_;
};

// Copies within one data set; a copy with another label is the worse one.
void suspect_copies(const Dataset& dataset, DataReport& report) {
  std::unordered_map<uint64_t, int64_t> first;
  for (int64_t i = 0; i < report.samples; ++i) {
    const auto print = report.fingerprints[static_cast<size_t>(i)];
    if (print == 0) continue;
    const auto [same, is_new] = first.try_emplace(print, i);
    if (is_new) continue;
    const bool other_label =
        dataset.task() == Task::kImages && dataset.label(same->second) != dataset.label(i);
    report.suspicious.push_back(
        {i, fmt::format("{}: is the same image as {}{}", dataset.name(i),
                        dataset.name(same->second), other_label ? ", with another label" : "")});
  }
}

}  // namespace

DataReport verify(const Dataset& dataset, int64_t workers,
                  const std::function<void(int64_t done)>& progress) {
  DataReport report;
  report.samples = dataset.size();
  report.fingerprints.resize(static_cast<size_t>(dataset.size()));
  report.class_counts.resize(static_cast<size_t>(dataset.classes().size()));

  std::atomic<int64_t> next = 0;
  std::mutex mutex;  // guards report, but for its fingerprints, and failure
  std::exception_ptr failure;
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 0; i < std::max<int64_t>(workers, 1); ++i) {
      threads.emplace_back([&] {
        Inspector inspector(dataset);
        try {
          for (int64_t index; (index = next++) < dataset.size();) {
            report.fingerprints[static_cast<size_t>(index)] = inspector.look_at(index);
            if (index % 256 == 255) progress(index + 1);
          }
        } catch (...) {  // no fault of the data
          const std::lock_guard lock(mutex);
          failure = std::current_exception();
          next = dataset.size();
        }
        const std::lock_guard lock(mutex);
        inspector.add_to(report);
      });
    }
  }
  if (failure) std::rethrow_exception(failure);
  suspect_copies(dataset, report);
  for (auto* findings : {&report.broken, &report.suspicious}) {
    std::stable_sort(findings->begin(), findings->end(),
                     [](const auto& a, const auto& b) { return a.index < b.index; });
  }
  return report;
}

std::vector<DataFinding> find_shared(const Dataset& first, const DataReport& first_report,
                                     const Dataset& second, const DataReport& second_report) {
  std::unordered_map<uint64_t, int64_t> known;
  for (int64_t i = 0; i < first_report.samples; ++i) {
    const auto print = first_report.fingerprints[static_cast<size_t>(i)];
    if (print != 0) known.try_emplace(print, i);
  }
  std::vector<DataFinding> shared;
  for (int64_t i = 0; i < second_report.samples; ++i) {
    const auto same = known.find(second_report.fingerprints[static_cast<size_t>(i)]);
    if (same == known.end()) continue;
    shared.push_back(
        {i, fmt::format("{}: is the same image as {}", second.name(i), first.name(same->second))});
  }
  return shared;
}

}  // namespace dnc
