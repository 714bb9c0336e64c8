#include "formats/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "formats/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using Kind = PickleValue::Kind;

// A storage "0" of four floats, and a tensor [2, 2] in it, each as PyTorch writes it.
const std::string kStorage =
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"s + "0X\3\0\0\0cpuK\4tQ"s;

std::string tensor(const std::string& geometry, const std::string& storage = kStorage) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + geometry + "\x89}tR";
}
const std::string kTensor = tensor("K\0(K\2K\2t(K\2K\1t"s);

std::string rejection(const std::string& bytes) {
  ByteStream stream("x.pth", bytes);
  return message_of<FormatError>([&] { const Pickle pickle(stream); });
}

/// What is wrong with these bytes, without the file and the place.
std::string reason(const std::string& bytes) {
  const auto message = rejection(bytes);
  const std::string begin = "x.pth: the pickle is wrong at byte ";
  if (!message.starts_with(begin) || !message.ends_with('.')) return message;
  const auto text = message.substr(0, message.size() - 1);
  return text.substr(text.find(": ", begin.size()) + 2);
}

TEST(Pickle, ReadsPlainValues) {
  const auto bytes =
      "\x80\2(NK\7M\1\1J\xff\xff\xff\xff\x8a\2\0\x80\x8a\0\x88\x89G\x3f\xf8\0\0\0\0\0\0X\2\0\0\0hi]t."s;
  ByteStream stream("x", bytes);
  const Pickle pickle(stream);
  const auto& items = pickle.root().items;
  ASSERT_EQ(items.size(), 11u);
  EXPECT_TRUE(items[0]->is(Kind::kNone));
  EXPECT_EQ(items[1]->number, 7);
  EXPECT_EQ(items[2]->number, 257);
  EXPECT_EQ(items[3]->number, -1);
  EXPECT_EQ(items[4]->number, -32768);
  EXPECT_EQ(items[5]->number, 0);
  EXPECT_EQ(items[6]->number, 1);
  EXPECT_EQ(items[7]->number, 0);
  EXPECT_EQ(items[8]->real, 1.5);
  EXPECT_EQ(items[9]->text, "hi");
  EXPECT_TRUE(items[10]->is(Kind::kList));
}

TEST(Pickle, FindsTheLaterOfTwoValuesWithOneKey) {
  const auto bytes = "}(X\1\0\0\0aK\1X\1\0\0\0aK\2u."s;
  ByteStream stream("x", bytes);
  const Pickle pickle(stream);
  EXPECT_EQ(pickle.root().find("a")->number, 2);
  EXPECT_EQ(pickle.root().find("b"), nullptr);
}

// As Python 2 and 3 write them in protocol 0.
TEST(Pickle, ReadsValuesThatAreLinesOfText) {
  const auto bytes =
      "(lp0\nI7\naI-12\naI01\naI00\naL123L\naF1.5\naS'it\\'s\\x00'\np1\nag1\na"
      "V\\u20acx\xe9\na(dp2\nS'k'\nI1\nsa(I1\nI2\nta(S'k'\nI3\nda."s;
  ByteStream stream("x", bytes);
  const Pickle pickle(stream);
  const auto& items = pickle.root().items;
  ASSERT_EQ(items.size(), 12u);
  EXPECT_EQ(items[0]->number, 7);
  EXPECT_EQ(items[1]->number, -12);
  EXPECT_TRUE(items[2]->is(Kind::kBool) && items[2]->number == 1);
  EXPECT_TRUE(items[3]->is(Kind::kBool) && items[3]->number == 0);
  EXPECT_EQ(items[4]->number, 123);
  EXPECT_EQ(items[5]->real, 1.5);
  EXPECT_EQ(items[6]->text, "it's\0"s);
  EXPECT_EQ(items[7], items[6]);
  EXPECT_EQ(items[8]->text, "\u20acx\u00e9");
  EXPECT_EQ(items[9]->find("k")->number, 1);
  EXPECT_EQ(items[10]->items.size(), 2u);
  EXPECT_EQ(items[11]->find("k")->number, 3);
}

TEST(Pickle, RefusesLinesThatAreNoValues) {
  EXPECT_EQ(reason("Iseven\n"), "'seven' is no number");
  EXPECT_EQ(reason("I99999999999999999999\n"), "'99999999999999999999' is no number");
  EXPECT_EQ(reason("L\n"), "'' is no number");
  EXPECT_EQ(reason("F1.5.2\n"), "'1.5.2' is no number");
  EXPECT_EQ(reason("S'open\n"), "a text as Python does not write it");
  EXPECT_EQ(reason("V\\u12\n"), "a text as Python does not write it");
  EXPECT_EQ(reason("g7\n"), "memo 7 is used before it is set");
  EXPECT_EQ(reason("Np-1\n"), "'-1' is no number");
  EXPECT_EQ(reason("(Nd"), "a key of a dict without a value");
  EXPECT_EQ(reason("l"), "a mark is needed, there is none");
}

TEST(Pickle, ReadsBytesOfEachProtocol) {
  const std::vector<std::string> all{
      "C\2\xff\0."s,                                                  // 3
      "\x8e\2\0\0\0\0\0\0\0\xff\0."s,                                 // 4, long
      "\x96\2\0\0\0\0\0\0\0\xff\0."s,                                 // 5, a bytearray
      "c_codecs\nencode\n(V\xff\\u0000\nVlatin1\ntR."s,               // 0, of Python 3
      "c_codecs\nencode\nX\3\0\0\0\xc3\xbf\0X\6\0\0\0latin1\x86R."s,  // 2, of Python 3
  };
  for (const auto& bytes : all) {
    ByteStream stream("x", bytes);
    const Pickle pickle(stream);
    EXPECT_TRUE(pickle.root().is(Kind::kBytes));
    EXPECT_EQ(pickle.root().text, "\xff\0"s);
  }
  EXPECT_EQ(reason("c_codecs\nencode\n(V\\u20ac\nVlatin1\ntR"),
            "bytes with a character beyond Latin-1");
  EXPECT_EQ(reason("c_codecs\nencode\n(Vx\nVrot13\ntR"), "bytes need a text and 'latin1'");
  EXPECT_EQ(reason("\x8e\xff\xff\xff\xff\xff\xff\xff\xff"s + "abc"),
            "a text of 18446744073709551615 bytes, but only 3 follow");
}

TEST(Pickle, FindsKeysOfBytesToo) {
  const auto bytes = "}C\1aK\1s."s;
  ByteStream stream("x", bytes);
  EXPECT_EQ(Pickle(stream).root().find("a")->number, 1);
}

TEST(Pickle, DescribesTensorsWithTheirStorage) {
  const auto bytes = kTensor + ".";
  ByteStream stream("x", bytes);
  const Pickle pickle(stream);
  ASSERT_TRUE(pickle.root().is(Kind::kTensor));
  const auto& found = *pickle.root().tensor;
  EXPECT_EQ(found.type, c10::ScalarType::Float);
  EXPECT_EQ(found.sizes, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(found.storage->key, "0");
  EXPECT_EQ(found.storage->bytes(), 16u);
  EXPECT_EQ(pickle.storages().size(), 1u);
}

TEST(Pickle, CallsNothingAndKeepsTheName) {
  const auto bytes = "cos\nsystem\n(X\6\0\0\0rm -rftR."s;
  ByteStream stream("x", bytes);
  const Pickle pickle(stream);
  EXPECT_TRUE(pickle.root().is(Kind::kObject));
  EXPECT_EQ(pickle.root().text, "os.system");
}

TEST(Pickle, RefusesEveryOpcodeThatIsNotOnTheList) {
  const std::set<unsigned char> known{
      '(',  '.',  '0',  '1',  '2',  'B',  'C',  'F',  'G',  'I',  'J',  'K',  'L',  'M',  'N',
      'Q',  'R',  'S',  'T',  'U',  'V',  'X',  'a',  'b',  'c',  'd',  'e',  'g',  'h',  'j',
      'l',  'p',  'q',  'r',  's',  't',  'u',  '}',  ']',  ')',  0x80, 0x81, 0x85, 0x86, 0x87,
      0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96};
  for (int byte = 0; byte < 256; ++byte) {
    const auto opcode = static_cast<unsigned char>(byte);
    char hex[8];
    std::snprintf(hex, sizeof hex, "0x%02x", byte);
    const auto expected = "opcode "s + hex + " is none of plain data";
    const std::string bytes(1, static_cast<char>(opcode));
    EXPECT_EQ(reason(bytes) == expected, !known.contains(opcode)) << hex;
  }
  EXPECT_EQ(rejection("\x80\2Nivalue"),
            "x.pth: the pickle is wrong at byte 3: opcode 0x69 is none of plain data.");
}

TEST(Pickle, RefusesWhatEndsEarly) {
  EXPECT_EQ(rejection(""),
            "x.pth: is cut short: 1 more bytes are needed at byte 0, 0 follow. Copy or download it "
            "again.");
  EXPECT_EQ(reason("X\xff\xff\xff\x7f"s + "abc"), "a text of 2147483647 bytes, but only 3 follow");
  const auto good = "}(X\1\0\0\0a"s + kTensor + "u.";
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_NE(rejection(good.substr(0, length)), "") << length;
  }
  EXPECT_EQ(rejection(good), "");
}

TEST(Pickle, RefusesAStackThatIsEmpty) {
  EXPECT_EQ(reason("."), "a value is needed, the stack has none");
  EXPECT_EQ(reason("R"), "a value is needed, the stack has none");
  EXPECT_EQ(reason("N(0000"), "a value is needed, the stack has none");
  EXPECT_EQ(reason("]N(a"), "a value is needed, the stack has none");  // not below the mark
  EXPECT_EQ(reason("]e"), "a mark is needed, there is none");
  EXPECT_EQ(reason("}(Nu"), "a key of a dict without a value");
  EXPECT_EQ(reason("NNa"), "items for what is no list");
  EXPECT_EQ(reason("]NNs"), "keys for what is no dict");
}

TEST(Pickle, RefusesAMemoThatIsNotSet) {
  EXPECT_EQ(reason("h\7"), "memo 7 is used before it is set");
  EXPECT_EQ(reason("j\xff\xff\xff\xff"), "memo 4294967295 is used before it is set");
}

TEST(Pickle, RefusesOtherProtocolsAndNamesWithoutEnd) {
  EXPECT_EQ(reason("\x80\6"), "a protocol above 5");
  EXPECT_EQ(reason("c" + std::string(5000, 'a')), "a name of more than 1000 bytes");
  EXPECT_EQ(reason("NN\x93"), "a global without a name");
}

TEST(Pickle, RefusesTensorsOutsideTheirStorage) {
  EXPECT_EQ(reason(tensor("K\1(K\2K\2t(K\2K\1t"s)),
            "a tensor reaches byte 20 of storage '0', which has 16");
  EXPECT_EQ(reason(tensor("K\0(K\2t(K\4t"s)),
            "a tensor reaches byte 20 of storage '0', which has 16");
  EXPECT_EQ(reason(tensor("K\5(K\0t(K\1t"s)),
            "a tensor reaches byte 20 of storage '0', which has 16");
  EXPECT_EQ(reason(tensor("J\xff\xff\xff\xff(K\1t(K\1t"s)),
            "a tensor's sizes and strides do not go together");
  EXPECT_EQ(reason(tensor("K\0(K\2t(K\1K\1t"s)), "a tensor's sizes and strides do not go together");
  EXPECT_EQ(reason(tensor("K\0(J\xff\xff\xff\xfft(K\1t"s)), "a shape is a list of numbers from 0");
  EXPECT_EQ(reason(tensor("K\0K\1(K\1t"s)), "a shape is a list of numbers");
  EXPECT_EQ(reason(tensor("K\0("s + std::string(65 * 2, 'K') + "t(K\1t")),
            "a shape is a list of numbers");
  const auto huge = "\x8a\x8\0\0\0\0\0\0\0\x40"s;
  EXPECT_EQ(reason(tensor("K\0("s + huge + "K\4t(K\1K\1t"s)),
            "a tensor that is too large for any memory");
  EXPECT_EQ(reason(tensor("K\0(K\3t("s + huge + "t")), "a tensor that is too large for any memory");
  // No elements, yet strides that do not fit.
  EXPECT_EQ(reason(tensor("K\0(K\0"s + huge + "K\4t(K\1K\1K\1t"s)),
            "a tensor that is too large for any memory");
  EXPECT_EQ(reason(tensor("K\4(K\0t(K\1t"s) + "."), "");
}

TEST(Pickle, RefusesStoragesThatAreNone) {
  const auto storage = [](const std::string& type, const std::string& count) {
    return "(X\7\0\0\0storagec"s + type + "\nX\1\0\0\0"s + "0X\3\0\0\0cpu"s + count + "tQ";
  };
  EXPECT_EQ(reason(storage("torch\nFloatStorage", "J\xff\xff\xff\xff")),
            "a storage of impossible size");
  EXPECT_EQ(reason(storage("torch\nFloatStorage", "\x8a\x8\0\0\0\0\0\0\0\x40"s)),
            "a storage of impossible size");
  EXPECT_EQ(reason(storage("torch\nQInt8Storage", "K\4")),
            "'torch.QInt8Storage' is no type of storages that is known here");
  EXPECT_EQ(reason("(" + kStorage + storage("torch\nFloatStorage", "K\5")),
            "storage '0' has two sizes or types");
  EXPECT_EQ(reason("NQ"), "an object outside the pickle without a name");
  EXPECT_EQ(reason("(X\4\0\0\0evilK\1tQ"s), "an object outside the pickle that is no storage");
  EXPECT_EQ(reason("(X\7\0\0\0storageK\1tQ"s), "a storage needs five values");
  EXPECT_EQ(reason("ctorch._utils\n_rebuild_tensor_v2\n)R"),
            "a tensor needs a storage, an offset, sizes and strides");
  EXPECT_EQ(reason("ctorch._utils\n_rebuild_parameter\n)R"), "a parameter needs a tensor");
}

TEST(Pickle, RefusesClassesInsideClasses) {
  const std::string type = "ctorch._tensor\n_rebuild_from_type_v2\n";
  EXPECT_EQ(reason(type + "(" + type + "NNNtR"), "a class inside a class");
  EXPECT_EQ(reason(type + ")R"), "a tensor of a class needs four values");
}

TEST(Pickle, TakesCirclesAndDeepNestingWithoutRecursion) {
  EXPECT_EQ(rejection("]q\0h\0a."s), "");                    // a list in itself
  EXPECT_EQ(rejection("}q\0X\1\0\0\0ah\0s."s), "");          // a dict in itself
  EXPECT_EQ(rejection("clost\nThing\n)\x81q\0h\0b."s), "");  // an object
  EXPECT_EQ(rejection(std::string(1'000'000, ']') + std::string(999'999, 'a') + "."), "");
  EXPECT_EQ(rejection(std::string(1'000'000, '(') + "."),
            "x.pth: the pickle is wrong at byte "
            "1000000: a value is needed, the stack has none.");
}

TEST(Pickle, LimitsWhatAFileCanCost) {
  EXPECT_EQ(reason(std::string(4'000'001, ']')), "more than 4000000 values");
  EXPECT_EQ(reason("]" + std::string(4'000'001, '2')), "a stack of 4000000 values");
  EXPECT_EQ(reason(std::string(4'000'001, '(')), "more than 4000000 marks");
  // One list of a million items, copied again and again in a few bytes.
  std::string copies = "](" + std::string(1'000'000, 'N') + "eq\0"s;
  for (int i = 0; i < 20; ++i) copies += "](" + std::string(1'000'000, 'N') + "e";
  EXPECT_EQ(reason(copies), "more than 16000000 items in lists and dicts");
}

TEST(Pickle, ReadsOrRefusesRandomBytes) {
  const std::string opcodes =
      "(.012BCGJKMNQRTUXabcehjqrstu}])"
      "\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8f\x90\x91\x92\x93\x94\x95";
  const auto good = "}(X\1\0\0\0a"s + kTensor + "X\1\0\0\0b"s + kTensor + "u.";
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = good;
    for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; --changes) {
      bytes[random() % bytes.size()] =
          random() % 2 ? opcodes[random() % opcodes.size()] : static_cast<char>(random());
    }
    refused += !rejection(bytes).empty();
  }
  EXPECT_GT(refused, 5'000);
  EXPECT_LT(refused, 20'000);
}

}  // namespace
}  // namespace dnc
