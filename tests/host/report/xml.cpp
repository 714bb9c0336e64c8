#include "tests/host/report/xml.h"

#include <cctype>
#include <stdexcept>

namespace dnc::report {
namespace {

/// Reads the strict subset of XML that the pages are written in: elements, attributes in double
/// quotes, text, and five entities; no comments, no processing instructions.
class XmlParser {
 public:
  explicit XmlParser(const std::string& xml) : xml_(xml) {}

  std::vector<XmlElement> parse() {
    element();
    while (at_ < xml_.size() && std::isspace(static_cast<unsigned char>(xml_[at_]))) ++at_;
    if (at_ < xml_.size()) fail("text after the end");
    return std::move(elements_);
  }

 private:
  /// Reads an element; returns its text.
  std::string element() {
    take("<");
    const size_t index = elements_.size();
    const auto tag = name();
    elements_.push_back({tag, {}, ""});
    while (peek(" ")) {
      take(" ");
      const auto key = name();
      take("=\"");
      if (!elements_[index].attributes.emplace(key, text_until('"')).second) fail("second " + key);
      take("\"");
    }
    if (peek("/>")) {
      take("/>");
      return "";
    }
    take(">");
    std::string text;
    while (!peek("</")) text += peek("<") ? element() : text_until('<');
    take("</" + tag + ">");
    elements_[index].text = text;
    return text;
  }

  std::string name() {
    std::string name;
    while (at_ < xml_.size() && (std::isalnum(static_cast<unsigned char>(xml_[at_])) ||
                                 xml_[at_] == '-' || xml_[at_] == ':')) {
      name += xml_[at_++];
    }
    if (name.empty()) fail("no name");
    return name;
  }

  std::string text_until(char end) {
    static const std::map<std::string, char> entities{
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}};
    std::string text;
    while (!peek(std::string(1, end))) {
      if (at_ >= xml_.size() || xml_[at_] == '<') fail("misplaced end or '<'");
      if (xml_[at_] != '&') {
        text += xml_[at_++];
        continue;
      }
      const auto size = xml_.find(';', at_) - at_ + 1;
      const auto entity = entities.find(xml_.substr(at_, size));
      if (entity == entities.end()) fail("'&' without an entity");
      text += entity->second;
      at_ += size;
    }
    return text;
  }

  bool peek(const std::string& expected) const {
    return xml_.compare(at_, expected.size(), expected) == 0;
  }

  void take(const std::string& expected) {
    if (!peek(expected)) fail("expected " + expected);
    at_ += expected.size();
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(what + " at: " + xml_.substr(at_, 60));
  }

  const std::string& xml_;
  size_t at_ = 0;
  std::vector<XmlElement> elements_;
};

}  // namespace

std::vector<XmlElement> parse_xml(const std::string& xml) { return XmlParser(xml).parse(); }

std::vector<XmlElement> select(const std::vector<XmlElement>& elements, const std::string& tag,
                               const std::string& css_class) {
  std::vector<XmlElement> selected;
  for (const auto& element : elements) {
    const auto classes = element.attributes.find("class");
    const bool has_class =
        classes != element.attributes.end() &&
        (" " + classes->second + " ").find(" " + css_class + " ") != std::string::npos;
    if (element.tag == tag && (css_class.empty() || has_class)) selected.push_back(element);
  }
  return selected;
}

std::vector<std::string> texts(const std::vector<XmlElement>& elements, const std::string& tag,
                               const std::string& css_class) {
  std::vector<std::string> texts;
  for (const auto& element : select(elements, tag, css_class)) texts.push_back(element.text);
  return texts;
}

}  // namespace dnc::report
