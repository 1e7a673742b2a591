#include "common/value_checks.h"

#include <doctest/doctest.h>

using namespace bmpha;

TEST_CASE("endpoints") {
  const std::string longest = "/" + std::string(106, 'x');
  for (const std::string good :
       {"ipc:///run/a.sock", "ipc://a", "tcp://127.0.0.1:5555", "tcp://[::1]:1", "tcp://*:65535"}) {
    CAPTURE(good);
    CHECK(check_endpoint(good).empty());
  }
  CHECK(check_endpoint("ipc://" + longest).empty());
  CHECK(check_endpoint("ipc://" + longest + "x") == "expected a path of at most 107 bytes");
  for (const std::string bad :
       {"", "garbage", "/run/a.sock", "ipc://", "ipc:/run/a", "tcp://", "tcp://host", "tcp://:1", "tcp://host:0",
        "tcp://host:65536", "tcp://host:1x", "tcp://::1:1", "inproc://a"}) {
    CAPTURE(bad);
    CHECK(check_endpoint(bad) == "expected ipc:///PATH or tcp://ADDRESS:PORT");
  }
}

TEST_CASE("Kafka brokers") {
  for (const std::string good :
       {"127.0.0.1:9092", "kafka-1.example.net:9092,kafka_2:1", "[2001:db8::1]:9092", "a:1, b:2"}) {
    CAPTURE(good);
    CHECK(check_kafka_brokers(good).empty());
  }
  for (const std::string bad : {"", "foo", "foo:bar:9", "foo:bar", "foo:", ":9092", "a:1,", ",a:1", "a:1,,b:2", "a b:1",
                                "a:1;b:2", "a:99999", "2001:db8::1:9092", "[]:1", "[a]:1", "[::1:1"}) {
    CAPTURE(bad);
    CHECK(check_kafka_brokers(bad) == "expected HOST:PORT, several with commas between");
  }
}

TEST_CASE("host and port are taken apart") {
  const std::optional<HostPort> name = split_host_port("r1.example.net:1790"), six = split_host_port("[::1]:65535");
  REQUIRE(name);
  CHECK((name->host == "r1.example.net" && name->port == 1790 && !name->is_bracketed));
  REQUIRE(six);
  CHECK((six->host == "::1" && six->port == 65535 && six->is_bracketed));
  for (const std::string bad : {"", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "::1:1790", "[]:1", "[::1:1", "[::1]"}) {
    CAPTURE(bad);
    CHECK_FALSE(split_host_port(bad));
    CHECK_FALSE(check_host_port(bad).empty());
  }
  for (const std::string good : {"192.0.2.1:1790", "[2001:db8::1]:1", "r_1:1"}) CHECK(check_host_port(good).empty());
  for (const std::string bad : {"a b:1", "[a]:1", "a/b:1"}) CHECK_FALSE(check_host_port(bad).empty());
}

TEST_CASE("names of topics") {
  for (const std::string good : {"openbmp.parsed", "a", "A_b-c.9", "..."}) {
    CAPTURE(good);
    CHECK(check_topic_name(good).empty());
  }
  CHECK(check_topic_name(std::string(249, 'x')).empty());
  CHECK_FALSE(check_topic_name(std::string(250, 'x')).empty());
  for (const std::string bad : {"", ".", "..", "bad topic/", "a b", "a/b", "\xc3\xa4"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_topic_name(bad).empty());
  }
}
