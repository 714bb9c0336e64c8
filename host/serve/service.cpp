#include "host/serve/service.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <charconv>
#include <iostream>

#include "host/inference.h"
#include "host/out_of_memory.h"
#include "host/report/format.h"
#include "host/report/label_picture.h"
#include "host/serve/page.h"
#include "host/serve/request_error.h"

namespace dnc::serve {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Response json_response(const ordered_json& value) { return {.body = text_of(value)}; }

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t at = 1; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

[[noreturn]] void not_found(const Request& request) {
  throw RequestError(
      404, fmt::format("there is no {} here; see GET / and GET /v2", request.path.substr(0, 100)));
}

void need_method(const Request& request, const char* method) {
  if (request.method == method) return;
  throw RequestError(405,
                     fmt::format("{} takes {} requests only", request.path.substr(0, 100), method));
}

bool is_set(const Request& request, const char* name) {
  const auto found = request.query.find(name);
  return found != request.query.end() && found->second != "0" && found->second != "false";
}

int64_t top_k_of(const Request& request, int64_t usual) {
  const auto found = request.query.find("k");
  if (found == request.query.end()) return usual;
  int64_t k = 0;
  const auto* const end = found->second.data() + found->second.size();
  const auto parsed = std::from_chars(found->second.data(), end, k);
  if (parsed.ec != std::errc() || parsed.ptr != end || k < 1) {
    throw RequestError(400, "k must be a whole number from 1 on: how many classes to name");
  }
  return k;
}

ordered_json best_classes(const torch::Tensor& shares, const ClassInfo& classes, int64_t top_k) {
  const auto [values, labels] = shares.topk(std::min(top_k, classes.size()));
  auto list = ordered_json::array();
  for (int64_t i = 0; i < values.size(0); ++i) {
    const auto label = labels[i].item<int64_t>();
    list.push_back(ordered_json::object({{"class", classes.names[static_cast<size_t>(label)]},
                                         {"label", label},
                                         {"score", values[i].item<double>()}}));
  }
  return list;
}

// An error that nobody has told apart: what is left of it is in the log.
Response fault(const Request& request, const std::string& what) {
  std::cerr << fmt::format("error: {} {}: {}\n", request.method,
                           report::printable(request.path.substr(0, 100)), what);
  return {.status = 500, .body = error_body("internal error: " + what.substr(0, what.find('\n')))};
}

// A model of pixels: which share of them has each class, and pictures of where.
ordered_json pixel_prediction(const torch::Tensor& scores, const Image& image,
                              const ClassInfo& classes, int64_t top_k) {
  const auto labels =
      classes_at_size(scores, {image.height(), image.width()}).to(torch::kUInt8).contiguous();
  const Image label_image(image.height(), image.width(), 1, labels.const_data_ptr<uint8_t>());
  const auto counts = labels.flatten().bincount({}, classes.size()).to(torch::kFloat64);
  ordered_json json;
  json["predictions"] = best_classes(counts / static_cast<double>(labels.numel()), classes, top_k);
  json["pictures"]["labels"] = data_uri(label_image);
  json["pictures"]["overlay"] =
      data_uri(report::overlay(image.to_channels(3), label_image, report::palette_of(classes)));
  return json;
}

}  // namespace

Service::Service(InferenceModel& model, const ServiceOptions& options, ImageExplainer* explainer)
    : model_(model),
      options_(options),
      explainer_(explainer),
      decoder_(
          ImageDecoder::Options{.max_pixels = options.max_pixels, .max_bytes = options.max_body}),
      batcher_(model, options.batcher, metrics_) {
  const auto& info = model.info();
  if (info.task == Task::kPixels && info.classes.size() > 255) {
    throw Error(info.name + ": label images have at most 255 classes");
  }
}

Response Service::handle(const Request& request) {
  const auto begin = Clock::now();
  std::string endpoint = "other";
  Response response;
  try {
    response = route(request, endpoint);
  } catch (const RequestError& error) {
    response = {.status = error.status(), .body = error_body(error.what())};
    if (error.status() == 503) response.headers.emplace_back("Retry-After", "1");
  } catch (const DataError& error) {  // the image of the request
    response = {.status = 400, .body = error_body(error.what())};
  } catch (const std::exception& error) {
    response = is_out_of_memory(error)
                   ? Response{.status = 503, .body = error_body("out of memory")}
                   : fault(request, error.what());
  }
  const std::chrono::duration<double> took = Clock::now() - begin;
  metrics_.add_request(endpoint, response.status, took.count());
  return response;
}

Response Service::route(const Request& request, std::string& endpoint) {
  if (request.path == "/") {
    need_method(request, "GET");
    return {.type = "text/html; charset=utf-8",
            .body = page(model_.info(), explainer_ != nullptr),
            .headers = {{"Content-Security-Policy", kPagePolicy}}};
  }
  if (request.path == "/metrics") {
    need_method(request, "GET");
    return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_.prometheus()};
  }
  if (request.path == "/predict") {
    const bool explain = is_set(request, "explain");
    endpoint = explain ? "explain" : "predict";
    need_method(request, "POST");
    return predict(request, Clock::now() + options_.timeout, explain);
  }
  const auto parts = split(request.path);
  if (parts.empty() || parts[0] != "v2") not_found(request);
  if (parts.size() == 1) {
    need_method(request, "GET");
    return json_response(server_metadata());
  }
  if (request.path == "/v2/health/live") {
    need_method(request, "GET");
    return json_response(ordered_json::object({{"live", true}}));
  }
  if (request.path == "/v2/health/ready") {
    need_method(request, "GET");
    auto response = json_response(ordered_json::object({{"ready", ready_.load()}}));
    if (!ready_) response.status = 503;
    return response;
  }
  if (parts[1] == "models" && parts.size() > 2) return route_model(request, parts, endpoint);
  not_found(request);
}

// /v2/models/NAME[/versions/VERSION][/ready|/infer]
Response Service::route_model(const Request& request, std::vector<std::string> parts,
                              std::string& endpoint) {
  const auto& info = model_.info();
  if (parts[2] != info.name) {
    throw RequestError(404, fmt::format("there is no model '{}' here, only '{}'",
                                        parts[2].substr(0, 100), info.name));
  }
  parts.erase(parts.begin(), parts.begin() + 3);
  if (parts.size() >= 2 && parts[0] == "versions") {
    const auto version = std::to_string(info.version);
    if (parts[1] != version) {
      throw RequestError(404, fmt::format("there is no version '{}' of '{}' here, only {}",
                                          parts[1].substr(0, 100), info.name, version));
    }
    parts.erase(parts.begin(), parts.begin() + 2);
  }
  if (parts.empty()) {
    need_method(request, "GET");
    return json_response(model_metadata(info));
  }
  if (parts.size() > 1) not_found(request);
  if (parts[0] == "ready") {
    need_method(request, "GET");
    auto response =
        json_response(ordered_json::object({{"name", info.name}, {"ready", ready_.load()}}));
    if (!ready_) response.status = 503;
    return response;
  }
  if (parts[0] != "infer") not_found(request);
  endpoint = "infer";
  need_method(request, "POST");
  return infer(request);
}

Response Service::infer(const Request& request) {
  const auto deadline = Clock::now() + options_.timeout;
  const auto& info = model_.info();
  const auto parsed = parse_infer_request(request.body, request.header_length, info,
                                          {options_.batcher.max_batch, options_.max_pixels});
  auto scores = batcher_.infer(parsed.images, false, deadline).scores;
  if (info.task == Task::kPixels) {
    scores = resize_scores(scores, {parsed.images.size(2), parsed.images.size(3)});
  }
  auto reply = make_infer_reply(parsed, info, scores);
  Response response{.body = std::move(reply.body)};
  if (reply.header_length > 0) {
    response.type = "application/octet-stream";
    response.headers.emplace_back("Inference-Header-Content-Length",
                                  std::to_string(reply.header_length));
  }
  return response;
}

Image Service::decode(const Request& request) const {
  if (request.body.empty()) {
    throw RequestError(400,
                       "the body is empty; expected an image: JPEG, PNG, WebP, TIFF, BMP, PGM "
                       "or PPM, as it is or as multipart/form-data");
  }
  return decoder_.open({request.body.begin(), request.body.end()}, "the image");
}

ordered_json Service::prediction(const Image& image, int64_t top_k, Clock::time_point deadline) {
  const auto& info = model_.info();
  const auto answer =
      batcher_.infer(model_.prepare(image).unsqueeze(0), info.sub_centroids, deadline);
  if (info.task == Task::kPixels)
    return pixel_prediction(answer.scores, image, info.classes, top_k);
  ordered_json json;
  json["predictions"] = best_classes(answer.scores.softmax(1)[0], info.classes, top_k);
  if (answer.nearest.defined()) {
    json["nearest"] = {{"sub_centroid", answer.nearest.item<int64_t>()},
                       {"similarity", answer.similarities.item<double>()}};
  }
  return json;
}

Response Service::predict(const Request& request, Clock::time_point deadline, bool explain) {
  if (explain && explainer_ == nullptr) {
    throw RequestError(400, "this server explains nothing; start it with --explain");
  }
  const auto top_k = top_k_of(request, options_.top_k);
  const auto image = decode(request);
  ordered_json json = {{"model", model_.info().name}};
  json.update(prediction(image, top_k, deadline));
  if (explain) json["explanation"] = explainer_->explain(image, deadline);
  return json_response(json);
}

}  // namespace dnc::serve
