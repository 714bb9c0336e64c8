#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/e2e/http_client.h"
#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

/// A server in the background, at a port of its own choice.
class Server {
 public:
  Server(const fs::path& output, std::vector<std::string> arguments) : output_(output) {
    arguments.insert(arguments.begin(), "serve");
    arguments.insert(arguments.end(), {"--port", "0"});
    running_ = std::make_unique<Running>(arguments, output);
    const std::string before = "at http://127.0.0.1:";
    while (port_ == 0) {
      if (running_->is_over()) throw std::runtime_error(running_->finish().output);
      const auto text = fs::exists(output) ? bytes_of(output) : "";
      const auto at = text.find(before);
      if (at != std::string::npos && text.find('\n', at) != std::string::npos) {
        port_ = std::stoi(text.substr(at + before.size()));
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

  HttpAnswer get(const std::string& target) const { return send_request(port_, "GET", target); }
  HttpAnswer post(const std::string& target, const std::string& body,
                  const std::string& headers = "") const {
    return send_request(port_, "POST", target, body, headers);
  }
  HttpAnswer raw(const std::string& bytes, bool end = false) const {
    return send_raw(port_, bytes, end);
  }
  bool is_alive() const { return get("/v2/health/live").status == 200; }
  int port() const { return port_; }
  Running& running() { return *running_; }

 private:
  fs::path output_;
  std::unique_ptr<Running> running_;
  int port_ = 0;
};

class Serve : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const auto config = write_small_config(folder_->path());
    const auto trained =
        run_program({"train", config.string(), "-o", in_folder("run"), "--set", "train.epochs=1"});
    ASSERT_EQ(trained.code, 0) << trained.output;
    for (int i = 0; i < 6; ++i) {
      std::ofstream file(in_folder(name_of(i)), std::ios::binary);
      file << "P6 16 16 255\n" << pixels_of(i);
    }
    server_ = new Server(*folder_ / "log", {in_folder("run"), "--max-body", "1", "--explain",
                                            "--max-pixels", "100000"});
  }
  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
  }

  static std::string in_folder(const std::string& name) { return (*folder_ / name).string(); }
  static std::string name_of(int picture) { return "p" + std::to_string(picture) + ".ppm"; }
  static std::string pixels_of(int picture) {
    std::string pixels;
    for (int i = 0; i < 16 * 16 * 3; ++i) {
      pixels.push_back(static_cast<char>((i * (picture + 3) + i * i % 91 + picture * 40) % 256));
    }
    return pixels;
  }
  static std::string picture(int i) { return bytes_of(*folder_ / name_of(i)); }

  /// What `predict` says of a picture: classes with scores, the best first.
  static json predicted(int i) {
    const auto done =
        run_program({"predict", in_folder("run"), in_folder(name_of(i)), "--format", "jsonl"});
    EXPECT_EQ(done.code, 0) << done.output;
    return json::parse(done.output)["predictions"];
  }
  static void expect_same(const json& found, const json& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i]["class"], expected[i]["class"]);
      EXPECT_NEAR(found[i]["score"].get<double>(), expected[i]["score"].get<double>(), 1e-5);
    }
  }

  static TemporaryFolder* folder_;
  static Server* server_;
};
TemporaryFolder* Serve::folder_ = nullptr;
Server* Serve::server_ = nullptr;

TEST_F(Serve, AnImageGetsWhatPredictGivesIt) {
  const auto answer = server_->post("/predict", picture(0));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  expect_same(json::parse(answer.body)["predictions"], predicted(0));

  const std::string part =
      "--XX\r\nContent-Disposition: form-data; name=\"image\"; "
      "filename=\"a.ppm\"\r\nContent-Type: image/x-portable-pixmap\r\n\r\n";
  const std::string other = "\r\n--XX\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nx";
  const auto form = server_->post("/predict?k=4", part + picture(1) + other + "\r\n--XX--\r\n",
                                  "Content-Type: multipart/form-data; boundary=XX\r\n");
  ASSERT_EQ(form.status, 200) << form.body;
  expect_same(json::parse(form.body)["predictions"], predicted(1));
}

TEST_F(Serve, ATensorGetsTheClassOfItsImage) {
  json tensor = {{"name", "images"},
                 {"shape", {2, 16, 16, 3}},
                 {"datatype", "UINT8"},
                 {"parameters", {{"binary_data_size", 2 * 768}}}};
  const auto header = json{{"inputs", {tensor}}}.dump();
  const auto answer =
      server_->post("/v2/models/run/infer", header + pixels_of(2) + pixels_of(3),
                    "Inference-Header-Content-Length: " + std::to_string(header.size()) + "\r\n");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto outputs = json::parse(answer.body)["outputs"];
  EXPECT_EQ(outputs[0]["shape"], json::parse("[2, 4]"));
  for (int i = 0; i < 2; ++i) {
    const auto expected = predicted(2 + i)[0];
    EXPECT_EQ(outputs[3]["data"][static_cast<size_t>(i)], expected["class"]);
    EXPECT_NEAR(outputs[2]["data"][static_cast<size_t>(i)].get<double>(),
                expected["score"].get<double>(), 1e-5);
  }
  tensor["datatype"] = "FP32";
  tensor.erase("parameters");
  tensor["shape"] = {1, 16, 16, 3};
  for (const char byte : pixels_of(2)) tensor["data"].push_back(static_cast<uint8_t>(byte) / 255.0);
  const auto floats =
      server_->post("/v2/models/run/infer",
                    json{{"inputs", {tensor}}, {"outputs", {{{"name", "labels"}}}}}.dump());
  ASSERT_EQ(floats.status, 200) << floats.body;
  EXPECT_EQ(json::parse(floats.body)["outputs"][0]["data"][0], predicted(2)[0]["class"]);
}

TEST_F(Serve, ManyClientsAtOnceGetTheSame) {
  std::vector<json> expected;
  for (int i = 0; i < 6; ++i) expected.push_back(predicted(i));
  std::vector<std::future<bool>> clients;
  for (int client = 0; client < 8; ++client) {
    clients.push_back(std::async(std::launch::async, [&, client] {
      for (int i = 0; i < 12; ++i) {
        const auto which = static_cast<size_t>((client + i) % 6);
        const auto answer = server_->post("/predict", picture(static_cast<int>(which)));
        if (answer.status != 200) return false;
        const auto found = json::parse(answer.body)["predictions"][0];
        const auto& wanted = expected[which][0];
        if (found["class"] != wanted["class"]) return false;
        if (std::abs(found["score"].get<double>() - wanted["score"].get<double>()) > 1e-5)
          return false;
      }
      return true;
    }));
  }
  for (auto& client : clients) EXPECT_TRUE(client.get());
}

TEST_F(Serve, AnExplanationHasTheTrainingImages) {
  const auto answer = server_->post("/predict?explain=1", picture(0));
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto parsed = json::parse(answer.body);
  expect_same(parsed["predictions"], predicted(0));
  const auto& decision = parsed["explanation"]["decisions"][0];
  EXPECT_EQ(decision["prediction"], parsed["predictions"][0]["class"]);
  EXPECT_THAT(decision["rule"]["text"].get<std::string>(), StartsWith("IF the image is more"));
  for (const auto& picture :
       {decision["nearest"][0]["picture"], decision["counter_evidence"]["picture"],
        decision["map"]["picture"], parsed["explanation"]["sheet"]}) {
    EXPECT_THAT(picture.get<std::string>(), StartsWith("data:image/png;base64,"));
  }
  EXPECT_NEAR(parsed["nearest"]["similarity"].get<double>(),
              decision["support"]["similarity"].get<double>(), 1e-5);
}

TEST_F(Serve, LivesOnAfterEachBadRequest) {
  const std::string post = "POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
  const std::string big(3 << 20, 'x');
  std::string bomb("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\2\0\0\0\0\0\0\0", 33);
  const auto expect = [&](const char* what, const HttpAnswer& answer, int status) {
    EXPECT_EQ(answer.status, status) << what << ": " << answer.body.substr(0, 300);
    EXPECT_TRUE(json::parse(answer.body, nullptr, false).contains("error")) << what;
    EXPECT_TRUE(server_->is_alive()) << what;
  };
  expect("no image", server_->post("/predict", "hello"), 400);
  expect("nothing", server_->post("/predict", ""), 400);
  expect("bomb", server_->post("/predict", bomb), 400);
  expect("unknown model", server_->post("/v2/models/x/infer", "{}"), 404);
  expect("no JSON", server_->post("/v2/models/run/infer", "{"), 400);
  expect("deep JSON", server_->post("/v2/models/run/infer", std::string(900'000, '[')), 400);
  expect("wrong method", send_request(server_->port(), "DELETE", "/predict"), 405);
  expect("body over the limit", server_->post("/predict", big), 413);
  expect(
      "chunks over the limit",
      server_->raw(post + "Transfer-Encoding: chunked\r\n\r\n300000\r\n" + big + "\r\n0\r\n\r\n"),
      413);
  expect(
      "form without end",
      server_->post("/predict", "--XX\r\n", "Content-Type: multipart/form-data; boundary=XX\r\n"),
      400);
  for (const auto& garbage :
       {std::string("\0\1\2\3\r\n\r\n", 8), std::string(100'000, 'a'), std::string("GET\r\n\r\n"),
        post + "Content-Length: 10\r\n\r\nabc",  // and then the client is gone
        post + "Content-Length: -1\r\n\r\nabc",
        post + "Content-Length: 99999999999999999999999\r\n\r\nabc",
        post + "Transfer-Encoding: chunked\r\n\r\nzzzz\r\nabc",
        "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n"}) {
    const auto answer = server_->raw(garbage, true);
    EXPECT_TRUE(answer.status == 0 || answer.status >= 400) << garbage.substr(0, 80);
    EXPECT_TRUE(server_->is_alive()) << garbage.substr(0, 80);
  }
  EXPECT_EQ(server_->post("/predict", picture(0)).status, 200);
}

// Else a line of a request could ask for thousands of copies of an answer.
TEST_F(Serve, AnAnswerIsAlwaysWhole) {
  const auto whole = server_->get("/v2");
  std::string ranges = "Range: bytes=0-1";
  for (int i = 0; i < 500; ++i) ranges += ",0-1";
  for (const auto& header : {ranges, std::string("Range: bytes=3-5")}) {
    const auto answer = send_request(server_->port(), "GET", "/v2", "", header + "\r\n");
    EXPECT_EQ(answer.status, 200) << header.substr(0, 30);
    EXPECT_EQ(answer.body, whole.body) << header.substr(0, 30);
  }
  EXPECT_TRUE(server_->is_alive());
}

TEST_F(Serve, CountsWhatItDoes) {
  server_->post("/predict", picture(0));
  const auto metrics = server_->get("/metrics");
  EXPECT_THAT(metrics.headers.at("content-type"), StartsWith("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics.body, HasSubstr("dnc_requests_total{endpoint=\"predict\",code=\"200\"} "));
  EXPECT_THAT(metrics.body,
              HasSubstr("dnc_request_seconds{endpoint=\"predict\",quantile=\"0.99\"} "));
}

TEST_F(Serve, AStopAnswersWhatWasAcceptedAndEndsWithZero) {
  for (const int number : {SIGINT, SIGTERM}) {
    Server server(*folder_ / "stopped", {in_folder("run"), "--max-delay", "1500000"});
    auto in_flight =
        std::async(std::launch::async, [&] { return server.post("/predict", picture(0)); });
    while (server.get("/metrics").body.find("dnc_queue_images 1\n") == std::string::npos) {
    }
    server.running().signal(number);
    const auto answer = in_flight.get();
    EXPECT_EQ(answer.status, 200) << answer.body;
    const auto finished = server.running().finish();
    EXPECT_EQ(finished.code, 0) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr("stopping: what was accepted is answered first"));
    EXPECT_THAT(finished.output, HasSubstr("predict: 1 requests; median "));
  }
}

TEST_F(Serve, AnExportedFileGivesTheSame) {
  const auto file = in_folder("exported.pt");
  ASSERT_EQ(run_program({"export", in_folder("run"), "--out", file}).code, 0);
  const Server server(*folder_ / "exported_log", {file});
  const auto answer = server.post("/predict", picture(4));
  ASSERT_EQ(answer.status, 200) << answer.body;
  expect_same(json::parse(answer.body)["predictions"], predicted(4));
  EXPECT_EQ(json::parse(server.get("/v2/models/exported").body)["platform"], "pytorch_torchscript");
}

TEST_F(Serve, SaysWhatItCannotServe) {
  const auto expect_error = [](const std::vector<std::string>& arguments, const std::string& what) {
    const auto done = run_program(arguments);
    EXPECT_EQ(done.code, 1) << done.output;
    EXPECT_THAT(done.output, HasSubstr(what));
  };
  const auto port = std::to_string(server_->port());
  expect_error({"serve", in_folder("run"), "--port", port},
               "error: --port: cannot listen on 127.0.0.1:" + port + ": Address already in use");
  expect_error({"serve", in_folder("none")}, "is not a run");
  put_bytes(*folder_ / "zip.pt", std::string("PK\3\4") + "nothing");
  expect_error({"serve", in_folder("zip.pt")}, "is no TorchScript file, or a damaged one");
  expect_error({"serve", in_folder("zip.pt"), "--explain"}, "error: --explain: ");
  expect_error({"serve", in_folder("run"), "--max-queue", "2"}, "--max-queue: 2 is less than");
  expect_error({"serve", in_folder("run"), "--name", "a/b"},
               "error: --name: 'a/b' cannot be a part of a URL");
}

}  // namespace
}  // namespace dnc
