#include "support.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>

#include "psql-sink/migrations.h"
#include "tests/support/need_server.h"

namespace bmpha::sink::test {
namespace {

const std::string kTime = "2026-01-02 03:04:05.000006";

std::string prefix_text(int n) { return fmt::format("10.{}.{}.0", n / 256, n % 256); }

std::string time_text(std::int64_t us) { return timestamp_literal(us).substr(0, 26); }

}  // namespace

Hash128 hash_of(int n) {
  Hash128 h;
  h.bytes[0] = static_cast<std::uint8_t>(n * 37 + 11);
  h.bytes[1] = 0xab;
  h.bytes[12] = static_cast<std::uint8_t>(n >> 24);
  h.bytes[13] = static_cast<std::uint8_t>(n >> 16);
  h.bytes[14] = static_cast<std::uint8_t>(n >> 8);
  h.bytes[15] = static_cast<std::uint8_t>(n);
  return h;
}

InputRecord Record::input(std::string& bytes) const {
  encode_kafka_header(header, bytes);
  return {offset, 1700000000000000, true, as_bytes(bytes), value, -1};
}

KafkaHeader header(RecordKind kind, int router, std::uint64_t epoch, std::uint64_t session, const std::string& node) {
  KafkaHeader h;
  h.kind = kind;
  h.epoch = epoch;
  h.node = node;
  h.router = hash_of(router);
  h.session = {static_cast<std::uint64_t>(node[0]), session};
  h.seq = 1;
  h.read_wall_us = 1700000000000000;
  return h;
}

std::string message(const std::string& object, const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  for (const auto& row : rows) text += fmt::format("{}\n", fmt::join(row, "\t"));
  return fmt::format("V: 1.7\nC_HASH_ID: {}\nT: {}\nL: {}\nR: {}\n\n{}", to_hex(hash_of(9999)), object, text.size(),
                     rows.size(), text);
}

std::vector<std::string> peer_row(const std::string& action, int peer, int router) {
  std::vector<std::string> r(31);
  r[0] = action;
  r[1] = "0";
  r[2] = to_hex(hash_of(peer));
  r[3] = to_hex(hash_of(router));
  r[5] = "192.0.2.9";
  r[6] = "192.0.2.1";
  r[7] = kTime;
  r[8] = "65001";
  r[9] = fmt::format("10.255.0.{}", peer % 250);
  r[10] = "0:0";
  r[25] = "0";
  r[26] = r[27] = "1";
  r[28] = r[29] = "0";
  if (action == "down") {
    r[21] = "1";
    r[22] = "6";
    r[23] = "4";
    r[24] = "cease";
  }
  return r;
}

std::vector<std::string> route_row(int peer, const std::string& prefix, int length, int attributes, int router,
                                   std::int64_t time_us) {
  std::vector<std::string> r(32);
  r[0] = attributes < 0 ? "del" : "add";
  r[1] = "0";
  r[2] = to_hex(hash_of(123456));
  r[3] = to_hex(hash_of(router));
  r[4] = "192.0.2.1";
  r[6] = to_hex(hash_of(peer));
  r[7] = "10.255.0.1";
  r[8] = "65001";
  r[9] = time_text(time_us);
  r[10] = prefix;
  r[11] = std::to_string(length);
  r[12] = prefix.find(':') == std::string::npos ? "1" : "0";
  r[27] = "0";
  r[29] = r[30] = "1";
  if (attributes < 0) return r;
  r[5] = to_hex(hash_of(1000000 + attributes));
  r[13] = "igp";
  r[14] = fmt::format(" 65001 {}", attributes);
  r[15] = "2";
  r[16] = std::to_string(attributes);
  r[17] = "192.0.2.1";
  r[18] = "0";
  r[19] = "100";
  r[21] = fmt::format("65001:{}", attributes % 65536);
  r[24] = "0";
  r[25] = "1";
  return r;
}

Record control(RecordKind kind, int router, std::uint64_t epoch, std::uint64_t session, const std::string& node) {
  Record r;
  r.header = header(kind, router, epoch, session, node);
  r.header.in_dump = kind == RecordKind::kSynced;
  return r;
}

Record peer_up(int peer, bool in_dump, std::uint64_t epoch, std::uint64_t session, int router) {
  Record r;
  r.header = header(RecordKind::kPeer, router, epoch, session);
  r.header.in_dump = in_dump;
  r.header.opener = true;
  r.value = message("peer", {peer_row("up", peer, router)});
  return r;
}

Record peer_down(int peer, std::uint64_t epoch, std::uint64_t session, int router) {
  Record r;
  r.header = header(RecordKind::kPeer, router, epoch, session);
  r.value = message("peer", {peer_row("down", peer, router)});
  return r;
}

Record route(int peer, int prefix, int attributes, std::uint64_t epoch, std::uint64_t session, int router,
             std::int64_t time_us) {
  Record r;
  r.header = header(RecordKind::kRoutes, router, epoch, session);
  r.value = message("unicast_prefix", {route_row(peer, prefix_text(prefix), 24, attributes, router, time_us)});
  return r;
}

void number(std::vector<Record>& records) {
  for (std::size_t n = 0; n < records.size(); ++n) {
    records[n].offset = static_cast<std::int64_t>(n);
    records[n].header.read_wall_us += static_cast<std::int64_t>(n);
  }
}

Meaning meaning(const Record& record) {
  Meaning m;
  for (int router = 1; router < 10; ++router)
    if (hash_of(router) == record.header.router) m.router = router;
  if (record.value.empty()) return m;
  TextMessage text;
  parse_framing(record.value, text);
  Columns c;
  split_columns(text.rows.substr(0, text.rows.find('\n')), c);
  const bool is_peer = record.header.kind == RecordKind::kPeer;
  Hash128 hash;
  if (!from_hex(c[is_peer ? 2 : 6], hash)) return m;
  for (int peer = 10; peer < 100; ++peer)
    if (hash_of(peer) == hash) m.peer = peer;
  if (is_peer) {
    m.kind = c[0] == "down" ? Meaning::kDown : Meaning::kUp;
    return m;
  }
  m.kind = Meaning::kRoute;
  int a = 0, b = 0;
  std::sscanf(std::string(c[10]).c_str(), "10.%d.%d.0", &a, &b);
  m.prefix = a * 256 + b;
  m.attributes = c[0] == "del" ? -1 : std::stoi(std::string(c[16]));
  return m;
}

void Model::apply(const Record& record) {
  const KafkaHeader& h = record.header;
  const Meaning m = meaning(record);
  Router& router = routers_[m.router];
  if (h.solo ? router.settled.contains(h.node) && h.gen <= router.settled[h.node] : h.epoch < router.mark) {
    ++fenced_;
    return;
  }
  const std::pair session{h.session.recv_inc, h.session.number};
  switch (m.kind) {
    case Meaning::kUp: {
      Peer& p = peers_[m.peer];
      p.router = m.router;
      if (h.in_dump && p.up) {
        for (auto& [prefix, row] : p.rows) row.marked = true;
      } else {
        p.rows.clear();  // ended by the peer's event, no line for each
      }
      p.up = true;
      p.opener = session;
      for (auto& [s, since] : p.opened_since_run) since = true;
      for (const auto& s : router.ran) p.opened_since_run[s] = true;
      break;
    }
    case Meaning::kDown:
      peers_[m.peer].router = m.router;
      peers_[m.peer].up = false;
      break;
    case Meaning::kRoute: {
      Peer& p = peers_[m.peer];
      p.router = m.router;
      const auto row = p.rows.find(m.prefix);
      const int before = row == p.rows.end() ? -1 : row->second.attributes;
      if (before != m.attributes) history_.push_back({m.peer, m.prefix, m.attributes});
      if (m.attributes < 0) {
        p.rows.erase(m.prefix);
      } else {
        p.rows[m.prefix] = {m.attributes, false};
      }
      break;
    }
    case Meaning::kControl:
      if (h.kind == RecordKind::kRun) {
        if (!h.solo) {
          router.mark = std::max(router.mark, h.epoch);
          for (const SettledGen& s : h.settled) router.settled[s.node] = std::max(router.settled[s.node], s.gen);
        }
        router.ran.insert(session);
        for (auto& [peer, p] : peers_)
          if (p.router == m.router) p.opened_since_run[session] = false;
      }
      if (h.kind == RecordKind::kDown)
        for (auto& [peer, p] : peers_)
          if (p.router == m.router) p.up = false;
      if (h.kind != RecordKind::kSynced) break;
      for (auto& [peer, p] : peers_) {
        if (p.router != m.router) continue;
        if (p.opener == session) {
          for (auto row = p.rows.begin(); row != p.rows.end();) {
            if (!row->second.marked) {
              ++row;
              continue;
            }
            if (p.up) history_.push_back({peer, row->first, -1});
            row = p.rows.erase(row);
          }
        } else if (router.ran.contains(session) && !p.opened_since_run[session]) {
          p.up = false;
        }
      }
      break;
  }
}

std::map<std::pair<int, int>, int> Model::visible() const {
  std::map<std::pair<int, int>, int> out;
  for (const auto& [peer, p] : peers_)
    for (const auto& [prefix, row] : p.rows)
      if (p.up) out[{peer, prefix}] = row.attributes;
  return out;
}

std::vector<Record> random_traffic(std::uint32_t seed, std::size_t length) {
  std::mt19937 random(seed);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<std::uint32_t>(n)); };
  struct Node {
    std::string name;
    std::uint64_t session = 1, gen = 1, epoch = 0;
    bool solo = false, in_dump = false;
  };
  std::array<Node, 2> nodes{Node{"a"}, Node{"b"}};
  std::uint64_t epoch = 1;
  std::size_t owner = 0;
  nodes[0].epoch = 1;
  std::vector<Record> out;
  const auto stamp = [&](Record r, const Node& n) {
    r.header.node = n.name;
    r.header.session = {static_cast<std::uint64_t>(n.name[0]), n.session};
    r.header.epoch = n.epoch;
    r.header.gen = n.gen;
    r.header.solo = n.solo;
    r.header.in_dump = n.in_dump;
    out.push_back(std::move(r));
  };
  const auto claim = [&](std::size_t who) {
    owner = who;
    Node& n = nodes[who];
    n.epoch = ++epoch;
    n.solo = false;
    Record r = control(RecordKind::kRun);
    for (const Node& other : nodes)
      if (pick(2) == 0) r.header.settled.push_back({other.name, other.gen});
    stamp(std::move(r), n);
  };
  claim(0);
  while (out.size() < length) {
    // Mostly the owner speaks; sometimes one that was superseded and does not know it yet.
    Node& n = nodes[pick(12) == 0 ? 1 - owner : owner];
    const int peer = 10 + pick(3);
    switch (pick(20)) {
      case 0:
        claim(static_cast<std::size_t>(pick(2)));
        break;
      case 1: {  // a new session and its dump
        ++n.session;
        n.in_dump = true;
        stamp(control(RecordKind::kRun), n);
        break;
      }
      case 2:
        n.in_dump = true;
        stamp(control(RecordKind::kSynced), n);
        n.in_dump = false;
        break;
      case 3:
      case 4:
        stamp(peer_up(peer), n);
        break;
      case 5:
        if (pick(3) == 0) stamp(peer_down(peer), n);
        break;
      case 6: {
        if (pick(3) != 0) break;
        Node& alone = nodes[static_cast<std::size_t>(pick(2))];
        ++alone.gen;
        alone.solo = true;
        stamp(control(RecordKind::kRun), alone);
        break;
      }
      case 7:
        if (pick(6) == 0) stamp(control(RecordKind::kDown), n);
        break;
      default:
        // Router times are data: they may repeat and go backwards.
        stamp(route(peer, pick(8), pick(4) == 0 ? -1 : 1 + pick(3), 1, 1, 1, 1700000000000000 + pick(100) * 1000000),
              n);
    }
  }
  number(out);
  return out;
}

namespace {
int shell(const std::string& command) { return std::system(command.c_str()); }
constexpr const char* kBin = "/usr/lib/postgresql/15/bin";
}  // namespace

Server* Server::get() {
  static const std::unique_ptr<Server> server(new Server);
  static const std::string missing = server->start();
  return bmpha::test::have_server(missing) ? server.get() : nullptr;
}

std::string Server::start() {
  if (access(fmt::format("{}/initdb", kBin).c_str(), X_OK) != 0) return "PostgreSQL 15 is not installed";
  char name[] = "/tmp/bmpha-pg-XXXXXX";
  if (mkdtemp(name) == nullptr) return "cannot make a directory below /tmp";
  directory_ = name;
  keep();
  const bool root = geteuid() == 0;
  if (root) shell(fmt::format("chown postgres {0} && chmod 755 {0}", directory_));
  const std::string as = root ? "cd / && runuser -u postgres -- " : "";
  const std::string log = fmt::format(">>{}/log 2>&1", directory_);
  if (shell(fmt::format("{}{}/initdb -D {}/data -U postgres -E UTF8 --locale=C --auth=trust --no-sync {}", as, kBin,
                        directory_, log)) != 0)
    return "initdb failed";
  const std::string options =
      fmt::format("-c listen_addresses= -c unix_socket_directories={} -c fsync=off", directory_);
  if (shell(fmt::format("{}{}/pg_ctl -D {}/data -w -l {}/server.log -o '{}' start {}", as, kBin, directory_, directory_,
                        options, log)) != 0)
    return "pg_ctl start failed";
  return {};
}

// The server is a daemon; a test run that is killed would leave it behind for ever.
void Server::keep() {
  const std::string as = geteuid() == 0 ? "runuser -u postgres -- " : "";
  const std::string end =
      fmt::format("cd /; {}{}/pg_ctl -D {}/data -m immediate stop; rm -rf '{}'", as, kBin, directory_, directory_);
  int pipe[2];
  REQUIRE(pipe2(pipe, O_CLOEXEC) == 0);
  keeper_ = fork();
  if (keeper_ == 0) {
    setsid();  // what ends the tests by their process group does not end this
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) dup2(null, fd);
    close(pipe[1]);
    char byte = 0;
    while (read(pipe[0], &byte, 1) < 0 && errno == EINTR) {
    }
    execl("/bin/sh", "sh", "-c", end.c_str(), nullptr);
    _exit(127);
  }
  close(pipe[0]);
  alive_ = pipe[1];
}

Server::~Server() {
  if (keeper_ <= 0) return;
  close(alive_);
  waitpid(keeper_, nullptr, 0);
}

std::string Server::conninfo(const std::string& database) const {
  return fmt::format("host={} user=postgres dbname={}", directory_, database);
}

std::string Server::fresh_database() {
  const std::string name = fmt::format("t{}", ++databases_);
  PgConnection pg(admin());
  REQUIRE(pg.connect().is_ok());
  REQUIRE(pg.exec("CREATE DATABASE " + name).is_ok());
  PgConnection fresh(conninfo(name));
  REQUIRE(fresh.connect().is_ok());
  REQUIRE(migrate(fresh).outcome == MigrateOutcome::kDone);
  return conninfo(name);
}

}  // namespace bmpha::sink::test
