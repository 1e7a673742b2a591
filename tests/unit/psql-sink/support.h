// Builders of records as kafka-gate writes them, a private PostgreSQL, and an independent model of what a sink must
// end up with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/kafka_header.h"
#include "psql-sink/batch.h"
#include "psql-sink/ingest.h"

namespace bmpha::sink::test {

Hash128 hash_of(int n);  // distinct, not zero

// A record that owns its bytes.
struct Record {
  std::int64_t offset = 0;
  KafkaHeader header;
  std::string value;

  // The encoded header must outlive the result; `bytes` is its place.
  InputRecord input(std::string& bytes) const;
};

KafkaHeader header(RecordKind kind, int router = 1, std::uint64_t epoch = 1, std::uint64_t session = 1,
                   const std::string& node = "a");
std::string message(const std::string& object, const std::vector<std::vector<std::string>>& rows);
std::vector<std::string> peer_row(const std::string& action, int peer, int router = 1);
// attributes < 0: a withdrawal.
std::vector<std::string> route_row(int peer, const std::string& prefix, int length, int attributes, int router = 1,
                                   std::int64_t time_us = 1700000000000000);

Record control(RecordKind kind, int router = 1, std::uint64_t epoch = 1, std::uint64_t session = 1,
               const std::string& node = "a");
Record peer_up(int peer, bool in_dump = true, std::uint64_t epoch = 1, std::uint64_t session = 1, int router = 1);
Record peer_down(int peer, std::uint64_t epoch = 1, std::uint64_t session = 1, int router = 1);
Record route(int peer, int prefix, int attributes, std::uint64_t epoch = 1, std::uint64_t session = 1, int router = 1,
             std::int64_t time_us = 1700000000000000);
void number(std::vector<Record>& records);

// What must be visible and what must be history, worked out record by record from the protocol's words with plain maps:
// no generations, but rows that are marked at a refresh and unmarked when they are announced again.
class Model {
 public:
  struct Change {
    int peer, prefix, attributes;  // attributes -1: gone
    auto operator<=>(const Change&) const = default;
  };
  void apply(const Record& record);
  // (peer, prefix) -> attributes
  std::map<std::pair<int, int>, int> visible() const;
  const std::vector<Change>& history() const { return history_; }
  std::uint64_t fenced() const { return fenced_; }

 private:
  struct Row {
    int attributes = 0;
    bool marked = false;
  };
  struct Peer {
    bool up = false;
    int router = 0;
    std::pair<std::uint64_t, std::uint64_t> opener{0, 0};
    std::map<std::pair<std::uint64_t, std::uint64_t>, bool>
        opened_since_run;  // session -> an opener came since its run
    std::map<int, Row> rows;
  };
  struct Router {
    std::uint64_t mark = 0;
    std::map<std::string, std::uint64_t> settled;
    std::set<std::pair<std::uint64_t, std::uint64_t>> ran;
  };
  std::map<int, Router> routers_;
  std::map<int, Peer> peers_;
  std::vector<Change> history_;
  std::uint64_t fenced_ = 0;
};

// What a test record says, so that the model need not parse text.
struct Meaning {
  enum Kind { kControl, kUp, kDown, kRoute } kind = kControl;
  int peer = 0, prefix = 0, attributes = 0, router = 1;
};
Meaning meaning(const Record& record);

// Random but plausible traffic: sessions, dumps, take-overs, solo episodes, late records of old owners, flaps.
std::vector<Record> random_traffic(std::uint32_t seed, std::size_t length);

// One private PostgreSQL for the whole program.
class Server {
 public:
  // Without a server the test case fails, or is to be left out (null): see tests/support/need_server.h.
  static Server* get();
  // A new empty database with the schema; its connection string. The test case fails when there is none.
  std::string fresh_database();
  std::string admin() const { return conninfo("postgres"); }
  ~Server();

 private:
  Server() = default;
  std::string start();  // why it does not run, empty when it does
  std::string conninfo(const std::string& database) const;
  void keep();  // from now on the server ends with this process, however that ends
  std::string directory_;
  int databases_ = 0;
  int alive_ = -1;  // closed when this process is gone
  pid_t keeper_ = -1;
};

// First line of a test case that wants `server`.
#define NEED_SERVER                     \
  Server* const server = Server::get(); \
  if (server == nullptr) return

}  // namespace bmpha::sink::test
