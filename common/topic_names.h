// Names of Kafka topics, the same in kafka-gate, psql-sink and bmp-tap: one topic for all parsed objects, or one for
// each of them, by templates with OpenBMP's variables {root}, {parsed} and {raw}. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/options.h"
#include "common/record.h"

namespace bmpha {

struct TopicNames {
  std::string layout = "single";           // or "per-object"
  std::string topic = "{root}.{parsed}";   // layout single: of all parsed objects
  std::string raw_topic;                   // of BMP as it came; empty: none
  std::vector<std::string> object_topics;  // layout per-object: OBJECT=TEMPLATE where it is not the usual one
  // What the variables stand for.
  std::string root = "openbmp";
  std::string parsed = "parsed";
  std::string raw = "bmp_raw";

  bool is_per_object() const { return layout == "per-object"; }
  // With the variables replaced.
  std::string expand(const std::string& text) const;
  // Where records of this kind go; empty: nowhere of their own (kOther, or raw BMP without a topic).
  std::string name_of(TopicSelector selector) const;
};

// Registers `layout`, `topic`, `object-topic` and the variables; `names` must outlive the options.
void add_topic_options(Options& options, TopicNames& names);
// For Options: what would be right, or empty. Of a template, and of OBJECT=TEMPLATE.
std::string check_topic_template(const std::string& text);
std::string check_object_topic(const std::string& text);
// For Options' cross check: names that Kafka refuses, and raw BMP among parsed records; empty when all is right.
std::string check_topic_names(const TopicNames& names);

}  // namespace bmpha
