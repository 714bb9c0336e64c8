#pragma once

#include <map>
#include <string>
#include <vector>

namespace dnc::report {

/// An element of a page, with the text of itself and all within it.
struct XmlElement {
  std::string tag;
  std::map<std::string, std::string> attributes;
  std::string text;
};

/// Elements of a well-formed XML text in document order, entities decoded. Throws where a tag is
/// not closed, closed twice or in the wrong order, or where an '&' begins no entity.
std::vector<XmlElement> parse_xml(const std::string& xml);

/// Those with the tag and, where it is not empty, the class among theirs.
std::vector<XmlElement> select(const std::vector<XmlElement>& elements, const std::string& tag,
                               const std::string& css_class = "");

/// Their texts.
std::vector<std::string> texts(const std::vector<XmlElement>& elements, const std::string& tag,
                               const std::string& css_class = "");

}  // namespace dnc::report
