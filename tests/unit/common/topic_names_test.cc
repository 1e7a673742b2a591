#include "common/topic_names.h"

#include <doctest/doctest.h>

using namespace bmpha;  // NOLINT

TEST_CASE("templates: variables are replaced, anything else in braces is refused with what is right") {
  TopicNames n;
  CHECK(n.expand("{root}.{parsed}.x-{raw}") == "openbmp.parsed.x-bmp_raw");
  n.root = "isp";
  CHECK(n.expand("{root}{root}") == "ispisp");
  for (const std::string good : {"openbmp.parsed", "{root}.{parsed}", "{raw}", "a{root}b"}) {
    CAPTURE(good);
    CHECK(check_topic_template(good).empty());
  }
  for (const std::string bad : {"", "{root", "root}", "{}", "{Root}", "a b", "{root}/x", "x{{root}}", "\xc3\xa4"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_topic_template(bad).empty());
  }
  CHECK(check_topic_template("{root}.{peer_asn}").find("{peer_asn} is not supported") != std::string::npos);
  CHECK(check_topic_template("a/b") == "expected 1 to 249 letters, digits or ._- and not only . or ..");
  CHECK(check_object_topic("unicast_prefix={root}.up").empty());
  for (const std::string bad : {"unicast_prefix", "unicast={root}", "bmp_raw=x", "=x", "peer=", "peer={x}"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_object_topic(bad).empty());
  }
}

TEST_CASE("layout single: one name for all parsed objects; raw BMP only where it has a topic") {
  TopicNames n;
  CHECK(n.name_of(TopicSelector::kUnicastPrefix) == "openbmp.parsed");
  CHECK(n.name_of(TopicSelector::kEor) == "openbmp.parsed");
  CHECK(n.name_of(TopicSelector::kOther).empty());
  CHECK(n.name_of(TopicSelector::kBmpRaw).empty());
  n.raw_topic = "{root}.{raw}";
  n.root = "isp";
  CHECK(n.name_of(TopicSelector::kBmpRaw) == "isp.bmp_raw");
  CHECK(n.name_of(TopicSelector::kPeer) == "isp.parsed");
  CHECK(check_topic_names(n).empty());
}

TEST_CASE("layout per-object: the contract's names, and others where they are given") {
  TopicNames n;
  n.layout = "per-object";
  CHECK(n.name_of(TopicSelector::kUnicastPrefix) == "openbmp.parsed.unicast_prefix");
  CHECK(n.name_of(TopicSelector::kBmpStat) == "openbmp.parsed.bmp_stat");
  CHECK(n.name_of(TopicSelector::kLsSrv6Sid) == "openbmp.parsed.ls_srv6_sid");
  n.object_topics = {"peer=a", "bmp_stat={root}.s", "peer={root}.p"};
  CHECK(n.name_of(TopicSelector::kPeer) == "openbmp.p");
  CHECK(n.name_of(TopicSelector::kBmpStat) == "openbmp.s");
  CHECK(n.name_of(TopicSelector::kBmpStatExt) == "openbmp.parsed.bmp_stat_ext");
  CHECK(check_topic_names(n).empty());
}

TEST_CASE("names that Kafka refuses and raw BMP among parsed records are told with the key") {
  TopicNames n;
  n.raw_topic = "openbmp.parsed";
  CHECK(check_topic_names(n) ==
        "key \"raw-topic\": value \"openbmp.parsed\": expected another topic than that of parsed records");
  n = {};
  n.topic = "{root}{root}";
  n.root = std::string(125, 'x');
  CHECK(check_topic_names(n).find("key \"topic\": the topic's name would be") == 0);
  n = {};
  n.layout = "per-object";
  n.object_topics = {"peer={root}"};
  n.root = "";
  CHECK(check_topic_names(n).find("key \"object-topic\"") == 0);
}
