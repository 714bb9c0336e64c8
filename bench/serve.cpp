// Load on the server: the latency of POST /v2/models/NAME/infer with a binary tensor of one image,
// and of the network alone. Server and clients are in this process and speak over loopback, each
// client over a connection of its own that stays open.
//
//   OMP_NUM_THREADS=1 bench_serve RUN_OR_EXPORTED_FILE [clients] [requests] [height width]
//
// The scores that come back must be those of the network.

#include <fmt/format.h>
#include <httplib.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "bench/network.h"
#include "host/environment.h"
#include "host/run.h"
#include "host/serve/http_server.h"
#include "host/serve/service.h"

namespace {

double seconds_of(const std::function<void()>& call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Milliseconds at a share of the sorted seconds.
double at(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))] * 1000;
}

void print(const std::string& what, std::vector<double> times, double all_seconds) {
  std::ranges::sort(times);
  std::cout << fmt::format("{:<34} {:>9.3f} {:>9.3f} {:>9.3f} {:>10.0f}\n", what, at(times, 0.5),
                           at(times, 0.9), at(times, 0.99),
                           static_cast<double>(times.size()) / all_seconds);
}

/// A request for the scores of an image, all in binary.
struct Question {
  std::string body;
  httplib::Headers headers;

  explicit Question(const torch::Tensor& image) {
    const nlohmann::json header = {
        {"inputs",
         nlohmann::json::array({{{"name", "images"},
                                 {"datatype", "UINT8"},
                                 {"shape", {1, image.size(0), image.size(1), 3}},
                                 {"parameters", {{"binary_data_size", image.numel()}}}}})},
        {"outputs",
         nlohmann::json::array({{{"name", "scores"}, {"parameters", {{"binary_data", true}}}}})}};
    body = header.dump();
    headers = {{"Inference-Header-Content-Length", std::to_string(body.size())}};
    body.append(static_cast<const char*>(image.const_data_ptr()), image.nbytes());
  }
};

/// The largest difference of the scores that came back; infinity where none did.
double difference(const httplib::Result& answer, const torch::Tensor& scores) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  if (!answer || answer->status != 200) return kNone;
  const auto length = std::stoul(answer->get_header_value("Inference-Header-Content-Length", 0));
  if (answer->body.size() - length != scores.nbytes()) return kNone;
  auto found = torch::empty_like(scores);
  std::memcpy(found.mutable_data_ptr(), answer->body.data() + length, scores.nbytes());
  return (found - scores).abs().max().item<double>();
}

struct Load {
  int clients = 1;
  int requests = 1000;  // of each client
};

/// Times of all requests; `furthest` is the largest difference of the scores.
std::vector<double> send_load(const Load& load, int port, const std::string& path,
                              const Question& question, const torch::Tensor& scores,
                              double& furthest) {
  std::vector<std::vector<double>> times(static_cast<size_t>(load.clients));
  std::vector<double> differences(times.size());
  std::vector<std::thread> threads;
  for (size_t client = 0; client < times.size(); ++client) {
    threads.emplace_back([&, client] {
      httplib::Client http("127.0.0.1", port);
      http.set_keep_alive(true);
      http.set_tcp_nodelay(true);
      for (int i = 0; i < load.requests; ++i) {
        times[client].push_back(seconds_of([&] {
          const auto answer =
              http.Post(path, question.headers, question.body, "application/octet-stream");
          differences[client] = std::max(differences[client], difference(answer, scores));
        }));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  furthest = *std::ranges::max_element(differences);
  std::vector<double> all;
  for (const auto& each : times) all.insert(all.end(), each.begin(), each.end());
  return all;
}

int run(dnc::InferenceModel& model, const Load& load, dnc::PixelSize size) {
  torch::manual_seed(1);
  const auto image = torch::randint(0, 256, {size.height, size.width, 3}, torch::kUInt8);
  const auto images = image.permute({2, 0, 1}).unsqueeze(0);
  torch::Tensor scores;
  const auto forward = [&] { scores = model.infer(images).scores; };
  for (int i = 0; i < 10; ++i) forward();

  dnc::serve::Service service(model, {}, nullptr);
  dnc::serve::HttpServer server(
      {.port = 0}, [&](const dnc::serve::Request& request) { return service.handle(request); });
  std::thread thread([&] { server.run(); });
  const Question question(image);
  const auto path = "/v2/models/" + model.info().name + "/infer";
  double furthest = 0;
  send_load({1, 20}, server.port(), path, question, scores, furthest);

  // In turns, so that a busy machine slows both alike.
  std::vector<double> alone, one_client;
  const double all = seconds_of([&] {
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < load.requests / 10; ++i) alone.push_back(seconds_of(forward));
      const auto times =
          send_load({1, load.requests / 10}, server.port(), path, question, scores, furthest);
      one_client.insert(one_client.end(), times.begin(), times.end());
    }
  });
  std::cout << fmt::format("{}, image of {} x {}, {} requests\n{:<34} {:>9} {:>9} {:>9} {:>10}\n",
                           model.info().name, size.height, size.width, load.requests, "",
                           "median ms", "p90 ms", "p99 ms", "images/s");
  print("network alone", alone, all / 2);
  print("over HTTP, 1 client", one_client, all / 2);
  std::ranges::sort(alone);
  std::ranges::sort(one_client);
  std::cout << fmt::format("overhead at the median: {:.3f} ms\n",
                           at(one_client, 0.5) - at(alone, 0.5));
  if (load.clients > 1) {
    std::vector<double> times;
    double more = 0;
    const double seconds =
        seconds_of([&] { times = send_load(load, server.port(), path, question, scores, more); });
    print(fmt::format("over HTTP, {} clients", load.clients), times, seconds);
    furthest = std::max(furthest, more);
  }
  server.stop();
  thread.join();
  std::cout << service.metrics().summary();
  std::cout << fmt::format("largest difference of a score: {:.2g}\n", furthest);
  return furthest <= 1e-4 * scores.abs().max().item<double>() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: bench_serve RUN_OR_EXPORTED_FILE [clients] [requests] [height width]\n";
    return 1;
  }
  dnc::keep_freed_memory();
  dnc::set_threads();
  const std::string path = argv[1];
  const Load load{argc > 2 ? std::atoi(argv[2]) : 8, argc > 3 ? std::atoi(argv[3]) : 1000};
  std::string note;
  std::optional<dnc::OpenedRun> run_opened;
  std::unique_ptr<dnc::InferenceModel> model;
  if (dnc::is_exported_file(path)) {
    model = dnc::open_exported_model(dnc::program(), path, note);
  } else {
    run_opened = dnc::open_run(dnc::program(), path, "best", {});
    model = dnc::inference_model(*run_opened);
  }
  const auto size =
      argc > 5 ? dnc::PixelSize{std::atoi(argv[4]), std::atoi(argv[5])} : model->info().size;
  return run(*model, load, size);
}
