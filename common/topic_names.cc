#include "common/topic_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "common/value_checks.h"

namespace bmpha {
namespace {

constexpr std::array<std::string_view, 3> kVariables = {"root", "parsed", "raw"};
constexpr std::string_view kUsualOfObject = "{root}.{parsed}.";

// Calls f with what stands between variables and with each variable's name. False: a brace without its other half.
template <class Text, class Variable>
bool walk(std::string_view text, Text&& on_text, Variable&& on_variable) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t brace = text.find_first_of("{}", at);
    on_text(text.substr(at, brace - at));
    if (brace == std::string_view::npos) return true;
    const std::size_t end = text.find('}', brace);
    if (text[brace] == '}' || end == std::string_view::npos) return false;
    on_variable(text.substr(brace + 1, end - brace - 1));
    at = end + 1;
  }
  return true;
}

const std::string* value_of(const TopicNames& names, std::string_view variable) {
  if (variable == "root") return &names.root;
  if (variable == "parsed") return &names.parsed;
  if (variable == "raw") return &names.raw;
  return nullptr;
}

bool find_selector(std::string_view object, TopicSelector& out) {
  for (std::size_t n = 0; n < kTopicSelectors; ++n) {
    out = static_cast<TopicSelector>(n);
    if (out != TopicSelector::kOther && out != TopicSelector::kBmpRaw && object == topic_object(out)) return true;
  }
  return false;
}

std::string check_variable(const std::string& text) {
  return text.empty() || check_topic_name("x" + text).empty() ? std::string() : "expected letters, digits or ._-";
}

}  // namespace

std::string check_topic_template(const std::string& text) {
  std::optional<std::string> unknown;
  const auto on_variable = [&](std::string_view v) {
    if (std::find(kVariables.begin(), kVariables.end(), v) == kVariables.end()) unknown = v;
  };
  std::string plain;
  const bool whole = walk(
      text, [&](std::string_view t) { plain += t; }, on_variable);
  if (!whole) return "expected a closed pair of braces around each of {root}, {parsed}, {raw}";
  if (unknown == "router_group" || unknown == "peer_group" || unknown == "peer_asn")
    return fmt::format(
        "variable {{{}}} is not supported: a topic's name must not change from record to record HINT: use "
        "{{root}}, {{parsed}}, {{raw}}",
        *unknown);
  if (unknown) return fmt::format("unknown variable {{{}}}, expected {{root}}, {{parsed}} or {{raw}}", *unknown);
  if (text.empty()) return "expected a name, or a template such as {root}.{parsed}";
  return plain == text ? check_topic_name(text) : check_variable(plain);
}

std::string check_object_topic(const std::string& text) {
  const std::size_t equals = text.find('=');
  TopicSelector selector{};
  if (equals == std::string::npos || !find_selector(text.substr(0, equals), selector))
    return "expected OBJECT=TEMPLATE such as unicast_prefix={root}.{parsed}.unicast_prefix; docs/wire.md lists the "
           "objects";
  return check_topic_template(text.substr(equals + 1));
}

std::string TopicNames::expand(const std::string& text) const {
  std::string out;
  walk(
      text, [&](std::string_view t) { out += t; },
      [&](std::string_view v) {
        if (const std::string* value = value_of(*this, v)) out += *value;
      });
  return out;
}

std::string TopicNames::name_of(TopicSelector selector) const {
  if (selector == TopicSelector::kOther) return {};
  if (selector == TopicSelector::kBmpRaw) return expand(raw_topic);
  if (!is_per_object()) return expand(topic);
  const std::string object = topic_object(selector);
  std::string text = std::string(kUsualOfObject) + object;
  for (const std::string& o : object_topics)  // the last one counts
    if (o.starts_with(object + "=")) text = o.substr(object.size() + 1);
  return expand(text);
}

void add_topic_options(Options& o, TopicNames& names) {
  o.choice("layout", &names.layout, {"single", "per-object"}, "one topic for all parsed objects, or one for each");
  o.text("topic", &names.topic, "layout single: topic of all parsed records, a name or a template",
         check_topic_template);
  o.list("object-topic", &names.object_topics,
         "layout per-object: OBJECT=TEMPLATE, where the topic is not {root}.{parsed}.OBJECT", check_object_topic);
  o.text("topic-root", &names.root, "what {root} stands for in names of topics", check_variable);
  o.text("topic-parsed", &names.parsed, "what {parsed} stands for in names of topics", check_variable);
  o.text("topic-raw", &names.raw, "what {raw} stands for in names of topics", check_variable);
}

std::string check_topic_names(const TopicNames& names) {
  const std::string raw = names.name_of(TopicSelector::kBmpRaw);
  for (std::size_t n = 0; n < kTopicSelectors; ++n) {
    const auto selector = static_cast<TopicSelector>(n);
    const std::string name = names.name_of(selector);
    if (selector == TopicSelector::kOther || (name.empty() && selector == TopicSelector::kBmpRaw)) continue;
    const bool is_raw = selector == TopicSelector::kBmpRaw;
    const char* key = is_raw ? "raw-topic" : names.is_per_object() ? "object-topic" : "topic";
    if (const std::string e = check_topic_name(name); !e.empty())
      return fmt::format("key \"{}\": the topic's name would be \"{}\": {}", key, name, e);
    if (!is_raw && name == raw)
      return fmt::format("key \"raw-topic\": value \"{}\": expected another topic than that of parsed records", raw);
  }
  return {};
}

}  // namespace bmpha
