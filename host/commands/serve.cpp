#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/run.h"
#include "host/serve/http_server.h"
#include "host/serve/service.h"
#include "host/serve/shared_heaps.h"
#include "registry/error.h"

namespace dnc {
namespace {

// Where the handler writes, and the main thread reads; a handler may do little more.
std::array<int, 2> stop_pipe{-1, -1};
volatile std::sig_atomic_t stop_requested = 0;

void wake() {
  const char byte = 0;
  [[maybe_unused]] const auto written = write(stop_pipe[1], &byte, 1);
}

void on_signal(int) {
  if (stop_requested != 0) _exit(130);
  stop_requested = 1;
  wake();
}

void handle_signals() {
  if (pipe(stop_pipe.data()) != 0) throw Error("no pipe can be opened: too many open files");
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void wait_for_signal() {
  char byte = 0;
  while (read(stop_pipe[0], &byte, 1) < 0) {  // interrupted by the signal itself
  }
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

struct ServeCommand {
  ModelSource source;
  std::string name;
  bool explain = false;
  std::string map = "occlusion";
  int64_t max_body_mb = 16;
  int64_t max_delay = 0;
  int64_t timeout = 30;
  serve::HttpOptions http;
  serve::ServiceOptions options;

  int run() {
    http.max_body = max_body_mb << 20;
    options.max_body = http.max_body;
    options.batcher.max_delay = std::chrono::microseconds(max_delay);
    options.timeout = std::chrono::seconds(timeout);
    if (options.batcher.max_queue < options.batcher.max_batch) {
      throw Error(fmt::format("--max-queue: {} is less than --max-batch, {}",
                              options.batcher.max_queue, options.batcher.max_batch));
    }
    if (name.find('/') != std::string::npos) {
      throw Error(fmt::format("--name: '{}' cannot be a part of a URL: it has a '/'", name));
    }
    serve::share_heaps();
    Program program;
    if (!is_exported_file(source.path)) {
      auto opened = open_model(program, source, NeededWeights::kModel);
      if (!opened.note.empty()) std::cerr << opened.note << "\n";
      const auto model = inference_model(opened);
      std::unique_ptr<serve::ImageExplainer> explainer;
      if (explain) explainer = make_explainer(opened);
      return serve_model(*model, explainer.get());
    }
    if (explain) {
      throw Error("--explain: " + source.path +
                  " is an exported model, which knows no training images; give the run");
    }
    std::string note;
    const auto model = open_exported_model(program, source.path, note);
    if (!note.empty()) std::cerr << note << "\n";
    return serve_model(*model, nullptr);
  }

  std::unique_ptr<serve::ImageExplainer> make_explainer(OpenedRun& opened) const {
    ExplainOptions explain_options;
    explain_options.map = map == "none"       ? ExplainOptions::Map::kNone
                          : map == "gradient" ? ExplainOptions::Map::kGradient
                                              : ExplainOptions::Map::kOcclusion;
    std::optional<PrototypeSamples> samples;
    if (opened.model->prototypes()) {
      BatchProgress line("training data");
      SampleSearch search;
      search.progress = [&](int64_t done, int64_t all) { line.update(done, all); };
      search.warn = [](const std::string& what) { std::cerr << "warning: " << what << "\n"; };
      try {
        samples = find_prototype_samples(opened, search);
      } catch (const Error& error) {
        std::cerr << "warning: sub-centroids have numbers in place of images, because the training "
                     "data cannot be read: "
                  << error.what() << "\n";
      }
    }
    return std::make_unique<serve::ImageExplainer>(opened, explain_options, std::move(samples));
  }

  int serve_model(InferenceModel& model, serve::ImageExplainer* explainer) {
    if (!name.empty()) model.rename(name);
    serve::Service service(model, options, explainer);
    serve::HttpServer server(
        http, [&](const serve::Request& request) { return service.handle(request); });
    handle_signals();
    const auto& info = model.info();
    const auto host = http.host.find(':') == std::string::npos ? http.host : "[" + http.host + "]";
    std::cout << fmt::format("serving {} (version {}, {} classes) at http://{}:{}/\n", info.name,
                             info.version, info.classes.size(), host, server.port())
              << std::flush;
    if (!is_loopback(http.host)) {
      std::cerr << "warning: --host: other machines can reach this server, and it asks for no "
                   "password\n";
    }
    std::thread thread([&] {
      server.run();
      wake();  // it may end by itself
    });
    wait_for_signal();
    const bool asked = stop_requested != 0;
    if (asked) std::cerr << "stopping: what was accepted is answered first (once more: at once)\n";
    service.begin_stop();
    server.stop();
    thread.join();
    std::cout << service.metrics().summary() << std::flush;
    if (asked) return 0;
    throw Error(fmt::format("port {}: the system lets no more connections in; start it again",
                            server.port()));
  }
};

void add_limits(CLI::App& sub, ServeCommand& command) {
  auto& batcher = command.options.batcher;
  const auto count = [&](const char* option, int64_t& value, const char* what, int64_t least,
                         int64_t most) {
    sub.add_option(option, value, what)
        ->check(CLI::Range(least, most))
        ->type_name("N")
        ->capture_default_str();
  };
  count("--max-batch", batcher.max_batch,
        "Images that the network sees at once, and that one request may bring", 1, 4096);
  count("--max-delay", command.max_delay,
        "Microseconds that a request waits for others to share a batch with; 0: only while the "
        "network is busy",
        0, 10'000'000);
  count("--max-queue", batcher.max_queue, "Images that wait; more are refused with 503", 1,
        1 << 20);
  count("--instances", batcher.instances, "Threads that run the network", 1, 1024);
  count("--connections", command.http.connections, "Clients that are served at the same time", 1,
        65'536);
  count("--max-body", command.max_body_mb, "Largest body of a request, in MiB", 1, 4096);
  count("--max-pixels", command.options.max_pixels,
        "Most pixels of an image, told by its header, and of all images of a request together", 1,
        int64_t{1} << 31);
  count("--timeout", command.timeout, "Seconds until a request is given up with 504", 1, 3600);
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto command = std::make_shared<ServeCommand>();
  auto* sub = app.add_subcommand(
      "serve", "Answer over HTTP: Open Inference Protocol, POST of an image, a page");
  add_model_source(*sub, command->source);
  sub->get_option("model")->description(
      "Folder of a run or of one of its checkpoints; or a config, with --weights; or a file of "
      "`dnc-host export`");
  sub->add_option("--host", command->http.host, "Address to listen at; 0.0.0.0 is all of them")
      ->capture_default_str();
  sub->add_option("-p,--port", command->http.port, "0: one that is free, which is printed")
      ->check(CLI::Range(0, 65'535))
      ->capture_default_str();
  sub->add_option("--name", command->name, "Of the model in URLs (default: its folder or file)");
  sub->add_flag("--explain", command->explain,
                "Also say why, by the nearest training images: POST /predict?explain=1, and on the "
                "page. The training data is searched once");
  sub->add_option("--map", command->map, "Of an explanation, see `dnc-host explain`")
      ->check(CLI::IsMember({"occlusion", "gradient", "none"}))
      ->capture_default_str();
  sub->add_option("-k,--top-k", command->options.top_k, "Classes that POST /predict names")
      ->check(CLI::PositiveNumber)
      ->type_name("N")
      ->capture_default_str();
  add_limits(*sub, *command);
  sub->footer(
      example("  dnc-host serve runs/resnet8_dnc --explain\n"
              "  dnc-host serve resnet8_dnc.pt --port 0 --max-batch 64 --max-delay 500\n"
              "  curl --data-binary @shirt.png http://127.0.0.1:8080/predict\n"
              "SIGINT and SIGTERM end it after the last answer, with exit code 0."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
