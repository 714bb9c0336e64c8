#include "host/serve/open_inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstring>
#include <limits>

#include "host/serve/request_error.h"
#include "tests/host/serve/fake_model.h"

namespace dnc::serve {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const InferLimits kLimits{.max_images = 4, .max_pixels = 1000};

InferRequest parse(const std::string& body, const std::optional<std::string>& header_length = {},
                   Task task = Task::kImages) {
  return parse_infer_request(body, header_length, FakeModel(task).info(), kLimits);
}

json input(const std::vector<int64_t>& shape, const std::string& type = "UINT8") {
  return {{"name", "images"}, {"shape", shape}, {"datatype", type}};
}

std::string body_with(const json& tensor, json more = json::object()) {
  more["inputs"] = json::array({tensor});
  return more.dump();
}

std::string bytes_of_tensor(const torch::Tensor& tensor) {
  const auto whole = tensor.contiguous();
  return {static_cast<const char*>(whole.const_data_ptr()), whole.nbytes()};
}

/// A body with a binary tensor, and the length of its JSON.
std::pair<std::string, std::string> binary_body(json tensor, const std::string& bytes) {
  tensor["parameters"] = {{"binary_data_size", bytes.size()}};
  const auto header = body_with(tensor);
  return {header + bytes, std::to_string(header.size())};
}

const torch::Tensor kPixels =
    (torch::arange(2 * 4 * 5 * 3) * 7 % 256).to(torch::kUInt8).view({2, 4, 5, 3});
const torch::Tensor kImages = kPixels.permute({0, 3, 1, 2});

TEST(InferRequest, TensorsAreTheSameHoweverTheyAreSent) {
  std::vector<int> flat(kPixels.const_data_ptr<uint8_t>(),
                        kPixels.const_data_ptr<uint8_t>() + kPixels.numel());
  auto as_json = input({2, 4, 5, 3});
  as_json["data"] = flat;
  EXPECT_TRUE(torch::equal(parse(body_with(as_json)).images, kImages));

  json rows = json::array();
  for (size_t i = 0; i < flat.size(); i += 3) rows.push_back({flat[i], flat[i + 1], flat[i + 2]});
  as_json["data"] = {rows};
  EXPECT_TRUE(torch::equal(parse(body_with(as_json)).images, kImages)) << "nested";

  const auto [body, length] = binary_body(input({2, 4, 5, 3}), bytes_of_tensor(kPixels));
  EXPECT_TRUE(torch::equal(parse(body, length).images, kImages)) << "binary";

  const auto [planes, planes_length] = binary_body(input({2, 3, 4, 5}), bytes_of_tensor(kImages));
  EXPECT_TRUE(torch::equal(parse(planes, planes_length).images, kImages)) << "channels first";

  const auto floats = kPixels.to(torch::kFloat32) / 255;
  const auto [real, real_length] =
      binary_body(input({2, 4, 5, 3}, "FP32"), bytes_of_tensor(floats));
  const auto parsed = parse(real, real_length).images;
  EXPECT_EQ(parsed.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(torch::equal(parsed, floats.permute({0, 3, 1, 2})));
}

TEST(InferRequest, OutputsAreAllUnlessSomeAreNamed) {
  auto tensor = input({1, 1, 1, 3});
  tensor["data"] = {1, 2, 3};
  const auto names = [](const InferRequest& request) {
    std::string text;
    for (const auto& output : request.outputs) text += output.name + (output.binary ? "* " : " ");
    return text;
  };
  EXPECT_EQ(names(parse(body_with(tensor))), "scores classes probabilities labels ");
  EXPECT_EQ(names(parse(body_with(tensor), {}, Task::kPixels)), "scores classes probabilities ");
  json all_binary = {{"parameters", {{"binary_data_output", true}}}};
  EXPECT_EQ(names(parse(body_with(tensor, all_binary))),
            "scores* classes* probabilities* labels* ");
  all_binary["outputs"] = json::array(
      {{{"name", "labels"}}, {{"name", "scores"}, {"parameters", {{"binary_data", false}}}}});
  EXPECT_EQ(names(parse(body_with(tensor, all_binary))), "labels* scores ");
}

struct Hostile {
  std::string name;
  std::string body;
  std::optional<std::string> header_length;
  std::string words;
};

json with(json object, const std::string& key, json value) {
  object[key] = std::move(value);
  return object;
}

std::vector<Hostile> hostile_bodies() {
  const auto good = with(input({1, 1, 1, 3}), "data", {1, 2, 3});
  const auto shaped = [&](json shape) { return body_with(with(good, "shape", std::move(shape))); };
  const auto valued = [&](json data) { return body_with(with(good, "data", std::move(data))); };
  const auto sized = [&](json size) {
    return body_with(
        with(input({1, 1, 1, 3}), "parameters", {{"binary_data_size", std::move(size)}}));
  };
  const auto [whole, length] = binary_body(input({1, 1, 1, 3}), "abc");
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  std::string nan_bytes(3 * sizeof(float), '\0');
  std::memcpy(nan_bytes.data(), &nan, sizeof nan);
  const auto [nan_body, nan_length] = binary_body(input({1, 1, 1, 3}, "FP32"), nan_bytes);
  const auto outputs = [&](json list) { return body_with(good, {{"outputs", std::move(list)}}); };
  const auto huge = std::string(100'000, '[');
  return {
      {"Empty", "", {}, "the body is empty"},
      {"NotJson", "GIF89a", {}, "the body is not JSON"},
      {"CutOff", body_with(good).substr(0, 30), {}, "the body is not JSON"},
      {"NotUtf8", "{\"id\": \"\xff\xfe\"}", {}, "the body is not JSON"},
      {"NumberTooLarge", "{\"a\": 1e999}", {}, "a number that is too large"},
      {"UnfinishedText", "{\"id\": \"" + std::string(9000, 'x'), {}, "wrong at byte"},
      {"NoObject", "[1, 2]", {}, "must be a JSON object"},
      {"DeepNesting", huge, {}, "nested more than 16 deep"},
      {"DeepNestingInside", R"({"inputs":)" + huge, {}, "nested more than 16 deep"},
      {"NoInputs", "{}", {}, "'inputs' must be a list with one tensor"},
      {"TwoInputs", json{{"inputs", {good, good}}}.dump(), {}, "a list with one tensor"},
      {"InputIsNoObject", body_with(json(3)), {}, "each of 'inputs' must be an object"},
      {"NameIsNoText", body_with(with(good, "name", 3)), {}, "'name' must be a text"},
      {"OtherInput", body_with(with(good, "name", "x")), {}, "there is no input 'x'"},
      {"LongName", body_with(with(good, "name", std::string(9000, 'x'))), {}, "xxx...'"},
      {"NoShape", body_with({{"name", "images"}, {"datatype", "UINT8"}}), {}, "shape of 'images'"},
      {"ShapeOfThree", shaped({1, 1, 3}), {}, "must be [N, H, W, 3] or [N, 3, H, W]"},
      {"NoChannels", shaped({1, 4, 4, 4}), {}, "must be [N, H, W, 3] or [N, 3, H, W]"},
      {"Negative", shaped({1, -1, 1, 3}), {}, "has -1; each number must be from 1"},
      {"Zero", shaped({0, 1, 1, 3}), {}, "has 0; each number"},
      {"Fraction", shaped({1, 1.5, 1, 3}), {}, "has 1.5; each number"},
      {"TextInShape", shaped({1, "a", 1, 3}), {}, "has \"a\"; each number"},
      {"Overflow",
       shaped({1, 2147483647, 2147483647, 3}),
       {},
       "more pixels than the limit of 1000"},
      {"Overflow64", shaped({1, 4294967296, 4294967296, 3}), {}, "each number must be from 1 to"},
      {"Beyond64",
       R"({"inputs":[{"name":"images","shape":[1,99999999999999999999999,1,3],)"
       R"("datatype":"UINT8","data":[]}]})",
       {},
       "each number must be from 1 to"},
      {"ManyImages", shaped({5, 1, 1, 3}), {}, "5 images, more than 4 at once"},
      {"ManyPixels", shaped({4, 16, 16, 3}), {}, "more pixels than the limit of 1000"},
      {"OtherType", body_with(with(good, "datatype", "INT64")), {}, "is 'INT64'; this model takes"},
      {"NoType", body_with({{"name", "images"}, {"shape", {1, 1, 1, 3}}}), {}, "is missing"},
      {"NoData", body_with(input({1, 1, 1, 3})), {}, "has neither 'data'"},
      {"FewValues", valued({1, 2}), {}, "'data' has 2 values, the shape of 'images' says 3"},
      {"ManyValues", valued({1, 2, 3, 4}), {}, "'data' has 4 values, the shape of 'images' says 3"},
      {"ValueBeyond", valued({1, 2, 256}), {}, "whole numbers from 0 to 255"},
      {"ValueBelow", valued({1, 2, -1}), {}, "whole numbers from 0 to 255"},
      {"TextValue", valued({1, 2, "3"}), {}, "whole numbers from 0 to 255"},
      {"TextAsData", valued("abc"), {}, "has neither 'data'"},
      {"SizeIsText", sized("3"), {}, "'binary_data_size' must be a whole number"},
      {"SizeIsNegative", sized(-3), {}, "'binary_data_size' must be a whole number"},
      {"OtherSize",
       sized(4),
       {},
       "binary_data_size of 'images' is 4, its shape and datatype make 3"},
      {"NothingFollows", sized(3), {}, "0 bytes follow the JSON, 'images' says 3"},
      {"Truncated", whole.substr(0, whole.size() - 1), length, "2 bytes follow the JSON"},
      {"TooLong", whole + "d", length, "4 bytes follow the JSON"},
      {"BytesUnannounced", body_with(good) + "abc", std::to_string(body_with(good).size()),
       "no binary_data_size"},
      {"LengthBeyond", whole, "100000", "Inference-Header-Content-Length is '100000'"},
      {"LengthNegative", whole, "-1", "Inference-Header-Content-Length is '-1'"},
      {"LengthOverflows", whole, "99999999999999999999999", "expected a number up to"},
      {"LengthIsText", whole, "12a", "expected a number up to"},
      {"LengthIsEmpty", whole, "", "expected a number up to"},
      {"NotFinite", nan_body, nan_length, "not finite"},
      {"OtherOutput", outputs({{{"name", "x"}}}), {}, "there is no output 'x'; this model has"},
      {"OutputTwice", outputs({{{"name", "scores"}}, {{"name", "scores"}}}), {}, "asked for twice"},
      {"OutputsEmpty", outputs(json::array()), {}, "must be a list that is not empty"},
      {"OutputIsText", outputs({"scores"}), {}, "each of 'outputs' must be an object"},
      {"IdIsNumber", body_with(good, {{"id", 3}}), {}, "'id' must be a text"},
      {"ParametersAreList", body_with(good, {{"parameters", {1}}}), {}, "'parameters' must be an"},
  };
}

class HostileBody : public testing::TestWithParam<Hostile> {};

TEST_P(HostileBody, IsRefusedInWords) {
  const auto& hostile = GetParam();
  const auto [status, what] =
      refusal_of<RequestError>([&] { parse(hostile.body, hostile.header_length); });
  EXPECT_EQ(status, 400);
  EXPECT_THAT(what, HasSubstr(hostile.words));
  EXPECT_LT(what.size(), 400u) << "a message does not repeat what the client sent at length";
}

INSTANTIATE_TEST_SUITE_P(, HostileBody, testing::ValuesIn(hostile_bodies()),
                         [](const auto& info) { return info.param.name; });

TEST(InferRequest, ManyJsonValuesAreRefusedBeforeTheyFillTheMemory) {
  std::string body = R"({"inputs": [)";
  for (int i = 0; i < 4'000'001; ++i) body += "1,";
  const auto [status, what] = refusal_of<RequestError>([&] { parse(body); });
  EXPECT_EQ(status, 400);
  EXPECT_EQ(what, "the JSON has more than 4000000 values; send tensors in binary");
}

TEST(InferRequest, AnswersThatWouldFillTheMemoryAreRefused) {
  const auto pixels = std::string(1200 * 1200 * 3, 'x');
  const auto refusal = [&](int classes, json output) {
    auto info = FakeModel(Task::kPixels).info();
    info.classes.names.assign(static_cast<size_t>(classes), "a");
    auto tensor = input({1, 1200, 1200, 3});
    tensor["parameters"] = {{"binary_data_size", pixels.size()}};
    const auto header = body_with(tensor, {{"outputs", json::array({std::move(output)})}});
    return refusal_of<RequestError>([&] {
      parse_infer_request(header + pixels, std::to_string(header.size()), info,
                          {.max_images = 1, .max_pixels = 2'000'000});
    });
  };
  const json scores = {{"name", "scores"}}, classes = {{"name", "classes"}};
  json binary = scores;
  binary["parameters"] = {{"binary_data", true}};
  EXPECT_EQ(refusal(3, scores),
            std::pair(400, std::string("the output 'scores' has 4320000 values, more than 4000000 "
                                       "in JSON; ask for it in binary, or for other outputs")));
  EXPECT_EQ(refusal(3, binary).first, 0);
  EXPECT_EQ(refusal(3, classes).first, 0);
  EXPECT_EQ(refusal(200, classes),
            std::pair(400, std::string("there would be 288000000 scores, more than the limit of "
                                       "268435456; send fewer or smaller images")));
}

InferRequest request_for(const std::vector<InferRequest::Output>& outputs) {
  InferRequest request;
  request.id = "42";
  request.outputs = outputs;
  return request;
}

const torch::Tensor kScores = torch::tensor({{0.5F, 2.0F, 1.0F}, {3.0F, -1.0F, 0.0F}});

TEST(InferReply, IsJson) {
  const auto reply =
      make_infer_reply(request_for({{"scores"}, {"classes"}, {"probabilities"}, {"labels"}}),
                       FakeModel().info(), kScores);
  EXPECT_EQ(reply.header_length, 0u);
  const auto parsed = json::parse(reply.body);
  EXPECT_EQ(parsed["model_name"], "fake");
  EXPECT_EQ(parsed["model_version"], "7");
  EXPECT_EQ(parsed["id"], "42");
  const auto& outputs = parsed["outputs"];
  EXPECT_EQ(outputs[0], json::parse(R"({"name": "scores", "datatype": "FP32", "shape": [2, 3],
                                        "data": [0.5, 2, 1, 3, -1, 0]})"));
  EXPECT_EQ(outputs[1], json::parse(R"({"name": "classes", "datatype": "INT64", "shape": [2],
                                        "data": [1, 0]})"));
  EXPECT_EQ(outputs[2]["datatype"], "FP32");
  EXPECT_NEAR(outputs[2]["data"][0].get<double>(), 0.628531, 1e-6);  // e^2 / (e^.5 + e^2 + e)
  EXPECT_EQ(outputs[3], json::parse(R"({"name": "labels", "datatype": "BYTES", "shape": [2],
                                        "data": ["dog", "cat"]})"));
}

TEST(InferReply, BinaryTensorsFollowTheJsonInTheirOrder) {
  const auto reply =
      make_infer_reply(request_for({{"labels", true}, {"classes", false}, {"scores", true}}),
                       FakeModel().info(), kScores);
  const auto header = json::parse(reply.body.substr(0, reply.header_length));
  const auto bytes = reply.body.substr(reply.header_length);
  EXPECT_EQ(header["outputs"][0]["parameters"]["binary_data_size"], 14);
  EXPECT_FALSE(header["outputs"][0].contains("data"));
  EXPECT_EQ(header["outputs"][1]["data"], json::parse("[1, 0]"));
  EXPECT_EQ(header["outputs"][2]["parameters"]["binary_data_size"], 24);
  ASSERT_EQ(bytes.size(), 14u + 24u);
  EXPECT_EQ(bytes.substr(0, 14), std::string("\3\0\0\0dog\3\0\0\0cat", 14));
  EXPECT_EQ(bytes.substr(14), bytes_of_tensor(kScores));
}

TEST(InferReply, OfPixelsHasAClassForEach) {
  const auto scores = torch::tensor({{{{1.0F, 0.0F}}, {{0.0F, 1.0F}}, {{0.0F, 0.0F}}}});
  const auto reply =
      make_infer_reply(request_for({{"classes"}}), FakeModel(Task::kPixels).info(), scores);
  const auto output = json::parse(reply.body)["outputs"][0];
  EXPECT_EQ(output["shape"], json::parse("[1, 1, 2]"));
  EXPECT_EQ(output["data"], json::parse("[0, 1]"));
}

TEST(Metadata, NamesInputsAndOutputs) {
  const auto model = model_metadata(FakeModel().info());
  EXPECT_EQ(json::parse(model.dump()), json::parse(R"({
    "name": "fake", "versions": ["7"], "platform": "test",
    "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
    "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]},
                {"name": "classes", "datatype": "INT64", "shape": [-1]},
                {"name": "probabilities", "datatype": "FP32", "shape": [-1]},
                {"name": "labels", "datatype": "BYTES", "shape": [-1]}]})"));
  auto fixed = FakeModel().info();
  fixed.any_size = false;
  fixed.size = {20, 30};
  EXPECT_EQ(model_metadata(fixed)["inputs"][0]["shape"].dump(), "[-1,20,30,3]");
  EXPECT_EQ(server_metadata()["extensions"].dump(), "[\"binary_tensor_data\"]");
}

TEST(ErrorBody, IsJsonWhateverTheWordsAre) {
  EXPECT_EQ(json::parse(error_body("a \"b\"\n\xff"))["error"], "a \"b\"\n\xEF\xBF\xBD");
}

}  // namespace
}  // namespace dnc::serve
