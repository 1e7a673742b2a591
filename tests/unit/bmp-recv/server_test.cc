// The whole server in a thread: routers are sockets of the test, the gate is a DEALER.
#include "bmp-recv/server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "common/log.h"
#include "tests/unit/bmp-recv/builders.h"

using namespace bmpha;
using namespace bmpha::recv;
using namespace bmpha::recv::testing;

namespace {

template <class F>
bool wait_until(F&& f, Millis limit = Millis{5000}) {
  const BootTime end = BootClock::now() + limit;
  while (!f()) {
    if (BootClock::now() > end) return false;
    std::this_thread::sleep_for(Millis{2});
  }
  return true;
}

std::uint16_t free_port() {
  const int fd = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a);
  socklen_t size = sizeof a;
  getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
  close(fd);
  return ntohs(a.sin6_port);
}

class Router {
 public:
  explicit Router(std::uint16_t port, const char* from = "127.0.0.1") : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    inet_pton(AF_INET, from, &a.sin_addr);
    (void)bind(fd_, reinterpret_cast<const sockaddr*>(&a), sizeof a);
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    a.sin_port = htons(port);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0;
  }
  ~Router() { end(); }
  void end() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // False when the other side does not take everything within the limit.
  bool send(std::string_view bytes, Millis limit = Millis{5000}) {
    return wait_until(
        [&] {
          const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
          if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
          return bytes.empty();
        },
        limit);
  }
  bool closed() {
    char c = 0;
    const ssize_t n = ::recv(fd_, &c, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
  }
  bool connected() const { return connected_; }

 private:
  int fd_;
  bool connected_ = false;
};

class Gate {
 public:
  Gate(ZmqContext& context, const std::string& endpoint, std::uint64_t inc)
      : socket_(context, SocketKind::kDealer, {}), inc_(inc) {
    REQUIRE(socket_.connect(endpoint).is_ok());
    REQUIRE(socket_.try_send(as_bytes(encode_hello({inc}))) == ZmqSocket::Sent::kYes);
  }
  // Takes in what is there.
  void poll() {
    Frame f;
    while (socket_.try_recv(f)) {
      if (is_data_frame(f.bytes())) {
        Record r;
        r.size = f.bytes().size();
        auto data = std::make_shared<std::uint8_t[]>(r.size);
        std::copy(f.bytes().begin(), f.bytes().end(), data.get());
        r.data = data;
        records.push_back(read_record(r));
      } else if (Result<LinkMessage> m = decode_link_message(f.bytes()); m.is_ok()) {
        if (const auto* a = std::get_if<Alive>(&m.value())) alive = *a;
      }
    }
  }
  void control(const RouterId& router, const SessionId& session, std::uint64_t release, std::uint64_t credit,
               bool reset = false) {
    Control c;
    c.gate_inc = inc_;
    c.entries.push_back({router, session, release, credit, reset});
    CHECK(socket_.try_send(as_bytes(encode_control(c))) == ZmqSocket::Sent::kYes);
  }
  std::vector<Seen> of(const RouterId& router) const {
    std::vector<Seen> list;
    for (const Seen& s : records)
      if (s.envelope.router == router) list.push_back(s);
    return list;
  }
  bool wait_records(const RouterId& router, std::size_t count) {
    return wait_until([&] {
      poll();
      return of(router).size() >= count;
    });
  }
  std::vector<Seen> records;
  Alive alive;

 private:
  ZmqSocket socket_;
  std::uint64_t inc_;
};

class Node {
 public:
  explicit Node(const std::function<void(Config&)>& change = [](Config&) {}) {
    char name[] = "/tmp/bmp-recv-test.XXXXXX";
    directory_ = mkdtemp(name);
    port = free_port();
    config.listen = {"[::]:" + std::to_string(port)};
    config.gate_socket = "ipc://" + directory_ + "/link";
    config.publish_socket = "ipc://" + directory_ + "/records";
    config.collector_id = "test";
    change(config);
    server = std::make_unique<Server>(loop, config);
    REQUIRE(server->start().is_ok());
    thread_ = std::thread([this] { loop.run(); });
  }
  ~Node() {
    loop.post([this] { loop.stop(); });
    thread_.join();
    server.reset();
    unlink((directory_ + "/link").c_str());
    unlink((directory_ + "/records").c_str());
    rmdir(directory_.c_str());
  }
  static RouterId id(const std::string& text) { return router_hash("test", text); }

  Config config;
  Loop loop;
  ZmqContext zmq;
  std::unique_ptr<Server> server;
  std::uint16_t port = 0;

 private:
  std::string directory_;
  std::thread thread_;
};

const std::string kUp = peer_up(peer_header(1), open(64512, as4_capability(64512)), open(65001, as4_capability(65001)));
std::string route(unsigned n) {
  return monitoring(peer_header(1), update({}, plain_attributes(), hex("18 0a") + be16(n)));
}
std::string many_routes(unsigned count) {
  std::string s;
  for (unsigned n = 0; n < count; ++n) s += route(n);
  return s;
}

}  // namespace

TEST_CASE("records reach the gate, are replayed to a new one until released, and a session ends with its mark") {
  Node node;
  const RouterId id = Node::id("127.0.0.1");
  Router router(node.port);
  REQUIRE(router.send(initiation("r1") + kUp + route(1)));
  auto gate = std::make_unique<Gate>(node.zmq, node.config.gate_socket, 11);
  REQUIRE(gate->wait_records(id, 5));  // begin, router, peer, attributes, routes
  std::vector<Seen> got = gate->of(id);
  for (std::size_t n = 0; n < got.size(); ++n) CHECK(got[n].envelope.seq == n + 1);
  CHECK(got[0].envelope.kind == RecordKind::kSessionBegin);
  CHECK(got[0].data == "r1");
  CHECK(got[4].envelope.drained_time <= got[4].envelope.read_time);
  const SessionId session = got[0].envelope.session;
  CHECK(session.number == 1);
  gate->control(id, session, 2, 0);
  REQUIRE(wait_until([&] {
    gate->poll();
    for (const AliveSession& s : gate->alive.sessions)
      if (s.router == id && s.released_seq == 2 && s.up && s.last_seq == 5 && s.name == "r1" && s.peers_up == 1u)
        return true;
    return false;
  }));
  CHECK(gate->alive.gate_inc == 11);
  gate.reset();  // as if killed
  Gate next(node.zmq, node.config.gate_socket, 12);
  REQUIRE(next.wait_records(id, 3));
  CHECK(next.of(id)[0].envelope.seq == 3);
  REQUIRE(router.send(route(2)));
  router.end();
  REQUIRE(wait_until([&] {
    next.poll();
    return next.of(id).back().envelope.kind == RecordKind::kSessionEnd;
  }));
  const std::uint64_t last = next.of(id).back().envelope.seq;
  CHECK(next.of(id).size() == last - 2);  // nothing twice, nothing missing
  next.control(id, session, last, 0);
  CHECK(wait_until([&] {  // gone from the table
    next.poll();
    return next.alive.sessions.size() == 1;
  }));
}

TEST_CASE("the collector object has a session of its own, synced at once") {
  Node node([](Config& c) { c.heartbeat_interval = Millis{300}; });
  Gate gate(node.zmq, node.config.gate_socket, 11);
  const RouterId id = collector_hash("test");
  REQUIRE(gate.wait_records(id, 4));
  const std::vector<Seen> got = gate.of(id);
  CHECK(got[0].envelope.kind == RecordKind::kSessionBegin);
  CHECK(got[1].object == "collector");
  CHECK(got[1].rows[0][0] == "change");
  CHECK(got[1].envelope.in_dump);
  CHECK(got[2].envelope.kind == RecordKind::kSynced);
  CHECK(got[3].rows[0][0] == "heartbeat");
  CHECK_FALSE(got[3].envelope.in_dump);
  Router router(node.port);
  REQUIRE(router.send(initiation("r1")));
  REQUIRE(wait_until([&] {
    gate.poll();
    const Seen last = gate.of(id).back();
    return last.rows[0][0] == "change" && last.rows[0][4] == "127.0.0.1" && last.rows[0][5] == "1";
  }));
}

TEST_CASE("a bad frame closes its session and no other") {
  Node node;
  Router bad(node.port), good(node.port, "127.0.0.2");
  REQUIRE(good.send(initiation("good")));
  REQUIRE(bad.send(initiation("bad") + kUp + hex("07 00 00")));
  CHECK(wait_until([&] { return bad.closed(); }));
  CHECK_FALSE(good.closed());
  Gate gate(node.zmq, node.config.gate_socket, 11);
  REQUIRE(gate.wait_records(Node::id("127.0.0.1"), 4));
  CHECK(gate.of(Node::id("127.0.0.1")).back().envelope.kind == RecordKind::kSessionEnd);
  REQUIRE(good.send(kUp));
  CHECK(gate.wait_records(Node::id("127.0.0.2"), 3));
}

TEST_CASE("bytes that are no BMP message are kept, those at the end of a connection too") {
  char name[] = "/tmp/bmp-recv-kept.XXXXXX";
  const std::string directory = mkdtemp(name);
  const auto kept = [&] {
    std::multiset<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      if (entry.path().string().ends_with("-bad_frame.bmp")) all.insert(read_file(entry.path().string()));
    return all;
  };
  {
    Node node([&](Config& c) { c.keep_malformed = directory; });
    Router bad(node.port);
    REQUIRE(bad.send(initiation("bad") + hex("07 00 00")));
    CHECK(wait_until([&] { return bad.closed(); }));
    Router cut(node.port, "127.0.0.2");
    REQUIRE(cut.send(initiation("cut") + kUp.substr(0, 40)));
    cut.end();
    CHECK(wait_until([&] { return kept() == std::multiset<std::string>{hex("07 00 00"), kUp.substr(0, 40)}; }));
  }
  std::filesystem::remove_all(directory);
}

TEST_CASE("RESET closes the session's connection; the next one has the next number") {
  Node node;
  const RouterId id = Node::id("127.0.0.1");
  Router other(node.port, "127.0.0.2");  // with a session of the same number
  REQUIRE(other.send(initiation("r2")));
  Router router(node.port);
  REQUIRE(router.send(initiation("r1")));
  Gate gate(node.zmq, node.config.gate_socket, 11);
  REQUIRE(gate.wait_records(id, 2));
  REQUIRE(gate.wait_records(Node::id("127.0.0.2"), 2));
  gate.control(id, gate.of(id)[0].envelope.session, 0, 0, true);
  CHECK(wait_until([&] { return router.closed(); }));
  Router again(node.port);
  REQUIRE(again.send(initiation("r1")));
  REQUIRE(gate.wait_records(id, 5));
  CHECK(gate.of(id).back().envelope.session.number == 2);
  CHECK(!other.closed());
}

TEST_CASE("RESET of the collector's session begins a new one, with all that it has to tell") {
  Node node;
  const RouterId id = collector_hash("test");
  Gate gate(node.zmq, node.config.gate_socket, 11);
  REQUIRE(gate.wait_records(id, 3));
  gate.control(id, gate.of(id)[0].envelope.session, 3, 0, true);
  REQUIRE(gate.wait_records(id, 7));
  const std::vector<Seen> got = gate.of(id);
  CHECK(got[3].envelope.kind == RecordKind::kSessionEnd);
  CHECK(got[4].envelope.kind == RecordKind::kSessionBegin);
  CHECK(got[4].envelope.session.number == 2);
  CHECK(got[6].envelope.kind == RecordKind::kSynced);
}

TEST_CASE("only an orderly end of a session says that nothing more was on its way") {
  for (const bool orderly : {false, true}) {
    CAPTURE(orderly);
    Node node;
    const RouterId id = Node::id("127.0.0.1");
    Router router(node.port);
    REQUIRE(router.send(initiation("r1")));
    Gate gate(node.zmq, node.config.gate_socket, 11);
    REQUIRE(gate.wait_records(id, 2));
    std::this_thread::sleep_for(Millis{600});  // the socket is seen empty meanwhile
    if (orderly)
      router.end();
    else
      gate.control(id, gate.of(id)[0].envelope.session, 0, 0, true);
    REQUIRE(gate.wait_records(id, 3));
    const Envelope last = gate.of(id)[1].envelope, end = gate.of(id)[2].envelope;
    REQUIRE(end.kind == RecordKind::kSessionEnd);
    CHECK((end.drained_time > last.read_time) == orderly);
  }
}

TEST_CASE("a second session waits for the first to end; if that lives on, the second is refused") {
  Node node;
  const RouterId id = Node::id("127.0.0.1");
  Gate gate(node.zmq, node.config.gate_socket, 11);
  Router first(node.port);
  REQUIRE(first.send(initiation("r1")));
  REQUIRE(gate.wait_records(id, 2));
  Router second(node.port);
  REQUIRE(second.send(initiation("r1") + kUp));
  std::this_thread::sleep_for(Millis{300});
  gate.poll();
  CHECK(gate.of(id).size() == 2);  // nothing of the second
  first.end();
  REQUIRE(gate.wait_records(id, 6));
  CHECK(gate.of(id)[2].envelope.kind == RecordKind::kSessionEnd);
  CHECK(gate.of(id)[3].envelope.session.number == 2);
  Router third(node.port);
  REQUIRE(third.send(initiation("r1")));
  CHECK_FALSE(wait_until([&] { return third.closed(); }, Millis{4000}));
  CHECK(wait_until([&] { return third.closed(); }, Millis{3000}));
  CHECK_FALSE(second.closed());
}

TEST_CASE("with router-id = sysname two routers behind one address are two routers") {
  Node node([](Config& c) { c.router_id = "sysname"; });
  Gate gate(node.zmq, node.config.gate_socket, 11);
  Router a(node.port), b(node.port), nameless(node.port);
  REQUIRE(a.send(initiation("ra")));
  REQUIRE(b.send(initiation("rb")));
  REQUIRE(nameless.send(kUp));
  CHECK(gate.wait_records(Node::id("ra"), 2));
  CHECK(gate.wait_records(Node::id("rb"), 2));
  CHECK(wait_until([&] { return nameless.closed(); }));
}

TEST_CASE("allow list, session limit and handshake timeout") {
  Node node([](Config& c) {
    c.allow = {"127.0.0.0/30"};
    c.session_limit = 2;
    c.handshake_timeout = Millis{500};
  });
  Router outside(node.port, "127.0.0.9");
  CHECK(wait_until([&] { return outside.closed(); }));
  Router silent(node.port), talking(node.port, "127.0.0.2"), third(node.port, "127.0.0.3");
  CHECK(wait_until([&] { return third.closed(); }));
  REQUIRE(talking.send(initiation("r1")));
  CHECK(wait_until([&] { return silent.closed(); }));
  CHECK_FALSE(talking.closed());
}

TEST_CASE("without a gate a full ring stops the router that fills it, and a gate's releases let it go on") {
  Node node([](Config& c) { c.ring_bytes = 4 << 20; });
  Router big(node.port), small(node.port, "127.0.0.2");
  const std::string block = many_routes(20000);  // each some 350 bytes of record
  REQUIRE(big.send(initiation("big") + kUp));
  bool stopped = false;
  unsigned blocks = 0;
  while (!stopped && blocks < 50) {
    stopped = !big.send(block, Millis{1000});
    ++blocks;
  }
  CHECK(stopped);
  const BootTime full = BootClock::now();
  REQUIRE(small.send(initiation("small") + kUp + route(1)));
  Gate gate(node.zmq, node.config.gate_socket, 11);
  const RouterId small_id = Node::id("127.0.0.2"), big_id = Node::id("127.0.0.1");
  CHECK(gate.wait_records(small_id, 5));  // was read although the ring was full
  REQUIRE(wait_until([&] {
    gate.poll();
    return gate.of(big_id).size() > 2 && !gate.alive.sessions.empty();
  }));
  bool paused = false;
  for (const AliveSession& s : gate.alive.sessions) paused = paused || (s.router == big_id && s.read_paused);
  CHECK(paused);
  const SessionId session = gate.of(big_id)[0].envelope.session;
  std::uint64_t seen = 0, routes = 0;
  std::set<BootTime> behind;  // reads after that, of a socket that had not been seen empty since before
  CHECK(wait_until(
      [&] {
        gate.records.clear();
        gate.poll();
        for (const Seen& s : gate.of(big_id)) {
          seen = std::max(seen, s.envelope.seq);
          if (s.envelope.read_time > full && s.envelope.drained_time < full) behind.insert(s.envelope.read_time);
          routes += s.object == "unicast_prefix" ? s.rows.size() : 0;
        }
        gate.control(big_id, session, seen, UINT64_MAX / 2);
        return routes > 30000;
      },
      Millis{20000}));
  CHECK(behind.size() > 1);  // drained_time stands still from read to read
}

TEST_CASE("while reading is paused, dump-cap does not end a dump of which half waits in the socket") {
  Node node([](Config& c) {
    c.ring_bytes = 4 << 20;
    c.dump_cap = Millis{700};
  });
  Router router(node.port);
  REQUIRE(router.send(initiation("r") + kUp));
  const std::string block = many_routes(20000);
  for (int n = 0; n < 50 && router.send(block, Millis{500}); ++n) continue;
  std::this_thread::sleep_for(Millis{1500});
  Gate gate(node.zmq, node.config.gate_socket, 11);
  const RouterId id = Node::id("127.0.0.1");
  REQUIRE(wait_until([&] {
    gate.poll();
    return gate.of(id).size() > 2 && !gate.alive.sessions.empty();
  }));
  for (const Seen& s : gate.of(id)) CHECK(s.envelope.kind != RecordKind::kSynced);
  for (const AliveSession& s : gate.alive.sessions) CHECK((s.router != id || s.read_paused));
}

TEST_CASE("at the ring's limit no session begins, whatever its router id; a release lets those begin that still wait") {
  Node node([](Config& c) {
    c.ring_bytes = 4 << 20;
    c.router_id = "sysname";
    c.handshake_timeout = Millis{700};
  });
  std::string nlri;
  for (unsigned n = 0; n < 15900; ++n) nlri += hex("18 0a") + be16(n);
  const std::string large = monitoring(
      peer_header(1), update({}, plain_attributes() + attribute(8, hex("fde90001 fde90002 fde90003 fde90004")),
                             nlri));  // over 4 MiB of rows
  Gate gate(node.zmq, node.config.gate_socket, 11);
  const auto session = [&](const std::string& name) {
    for (const AliveSession& s : gate.alive.sessions)
      if (s.name == name) return s;
    return AliveSession{};
  };
  Router first(node.port);
  REQUIRE(first.send(initiation("r0") + kUp + large));
  REQUIRE(wait_until([&] {
    gate.poll();
    return session("r0").last_seq > 20;
  }));
  Router waits(node.port), leaves(node.port), slow(node.port);
  REQUIRE(waits.send(initiation("r1") + kUp + route(1)));
  REQUIRE(leaves.send(initiation("r2") + kUp + route(1)));
  REQUIRE(slow.send(hex("03")));  // and not more
  std::this_thread::sleep_for(Millis{300});
  leaves.end();
  std::this_thread::sleep_for(Millis{700});
  gate.poll();
  CHECK(gate.alive.sessions.size() == 2);  // r0 and the collector
  CHECK_FALSE(waits.closed());             // the time in which it cannot begin does not count
  CHECK_FALSE(slow.closed());
  gate.control(Node::id("r0"), session("r0").session, session("r0").last_seq, UINT64_MAX / 2);
  CHECK(gate.wait_records(Node::id("r1"), 5));
  CHECK(gate.of(Node::id("r2")).empty());
  CHECK_FALSE(waits.closed());
  CHECK_FALSE(slow.closed());
  CHECK(wait_until([&] { return slow.closed(); }));
  REQUIRE(first.send(route(2)));
  CHECK(wait_until([&] {
    gate.poll();
    return !gate.of(Node::id("r0")).empty() && session("r0").last_seq > session("r0").released_seq;
  }));
}

TEST_CASE("subscribers get topic and record; without any nothing is sent") {
  Node node;
  ZmqSocket viewer(node.zmq, SocketKind::kSub, {});
  REQUIRE(viewer.connect(node.config.publish_socket).is_ok());
  const RouterId id = Node::id("127.0.0.1");
  REQUIRE(viewer.subscribe(to_hex(id) + " routes").is_ok());
  Router router(node.port);
  REQUIRE(router.send(initiation("r1") + kUp));
  Frame topic, record;
  unsigned n = 0;
  REQUIRE(wait_until([&] {
    (void)router.send(route(++n));
    return viewer.try_recv(topic);
  }));
  REQUIRE(viewer.try_recv(record));
  CHECK(std::string(reinterpret_cast<const char*>(topic.bytes().data()), topic.bytes().size()) ==
        to_hex(id) + " routes");
  Result<Envelope> e = decode_envelope(record.bytes());
  REQUIRE(e.is_ok());
  CHECK(e.value().kind == RecordKind::kRoutes);
}

TEST_CASE("neither read_time nor drained_time goes back, and drained_time is never the later one") {
  Node node([](Config& c) { c.ring_bytes = 64 << 20; });
  Gate gate(node.zmq, node.config.gate_socket, 11);
  const RouterId id = Node::id("127.0.0.1");
  Router router(node.port);
  REQUIRE(router.send(initiation("r1") + kUp));
  REQUIRE(gate.wait_records(id, 3));
  const std::string block = many_routes(30000);  // several reads' worth, written at once
  REQUIRE(router.send(block));
  gate.control(id, gate.of(id)[0].envelope.session, 0, UINT64_MAX / 2);
  std::uint64_t rows = 0;
  REQUIRE(wait_until([&] {
    gate.poll();
    rows = 0;
    for (const Seen& s : gate.of(id)) rows += s.object == "unicast_prefix" ? s.rows.size() : 0;
    return rows == 30000;
  }));
  BootTime read{}, drained{};
  for (const Seen& s : gate.of(id)) {
    CHECK(s.envelope.drained_time <= s.envelope.read_time);
    CHECK(s.envelope.drained_time >= drained);
    CHECK(s.envelope.read_time >= read);
    drained = s.envelope.drained_time;
    read = s.envelope.read_time;
  }
}

TEST_CASE("stopping ends all sessions and waits for the gate's release") {
  Node node;
  Gate gate(node.zmq, node.config.gate_socket, 11);
  const RouterId id = Node::id("127.0.0.1"), collector = collector_hash("test");
  Router router(node.port);
  REQUIRE(router.send(initiation("r1")));
  REQUIRE(gate.wait_records(id, 2));
  node.loop.post([&] { node.server->stop(); });
  REQUIRE(wait_until([&] {
    gate.poll();
    return !gate.of(id).empty() && gate.of(id).back().envelope.kind == RecordKind::kSessionEnd &&
           gate.of(collector).back().envelope.kind == RecordKind::kSessionEnd;
  }));
  CHECK(wait_until([&] { return router.closed(); }));
  Router late(node.port);
  CHECK_FALSE(late.connected());
}

TEST_CASE("a reload changes limits but no identity") {
  Node node;
  node.loop.post([&] {
    node.config.allow = {"127.0.0.2/32"};
    node.config.router_id = "sysname";
    node.config.collector_id = "other";
    node.server->reload();
  });
  CHECK(wait_until([&] {
    Router outside(node.port);
    return wait_until([&] { return outside.closed(); }, Millis{200});
  }));
  Router inside(node.port, "127.0.0.2");
  REQUIRE(inside.send(initiation("r1")));
  Gate gate(node.zmq, node.config.gate_socket, 11);
  CHECK(gate.wait_records(Node::id("127.0.0.2"), 2));
}

TEST_CASE("a router that listens is dialled, again when it comes late or has gone") {
  const std::uint16_t port = free_port();
  Node node([&](Config& c) { c.dial = {"127.0.0.1:" + std::to_string(port)}; });
  std::this_thread::sleep_for(Millis{300});  // nobody listens yet: the first try fails
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(bind(listener, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(listen(listener, 1) == 0);
  Gate gate(node.zmq, node.config.gate_socket, 11);
  const RouterId id = Node::id("127.0.0.1");
  for (std::size_t session = 1; session <= 2; ++session) {
    const int router = accept(listener, nullptr, nullptr);
    REQUIRE(router >= 0);
    const std::string hello = initiation("r1");
    REQUIRE(::send(router, hello.data(), hello.size(), 0) == static_cast<ssize_t>(hello.size()));
    REQUIRE(gate.wait_records(id, session == 1 ? 2 : 5));
    close(router);
  }
  close(listener);
  CHECK(gate.of(id).back().envelope.session.number == 2);
}

TEST_CASE("a router to dial may be a name, and a connection to what it stands for is one of that address") {
  const std::uint16_t port = free_port();
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(bind(listener, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(listen(listener, 1) == 0);
  Node node([&](Config& c) { c.dial = {"localhost:" + std::to_string(port)}; });
  const int router = accept(listener, nullptr, nullptr);
  REQUIRE(router >= 0);
  const std::string hello = initiation("r1");
  REQUIRE(::send(router, hello.data(), hello.size(), 0) == static_cast<ssize_t>(hello.size()));
  Gate gate(node.zmq, node.config.gate_socket, 11);
  CHECK(gate.wait_records(Node::id("127.0.0.1"), 2));
  close(router);
  close(listener);
}

TEST_CASE("with reverse-dns a router without a sysName has the name of its address, groups by name included") {
  const auto description = be16(1) + be16(4) + "test";
  for (const bool has_name : {false, true}) {
    CAPTURE(has_name);
    Node node([](Config& c) {
      c.reverse_dns = true;
      c.bmp_raw = true;
      c.router_groups = {"here=/localhost/", "there=/^r1$/"};
    });
    Gate gate(node.zmq, node.config.gate_socket, 11);
    const RouterId id = Node::id("127.0.0.1");
    for (std::size_t session = 1; session <= 2; ++session) {  // asked for, and remembered
      Router router(node.port);
      REQUIRE(router.send((has_name ? initiation("r1") : bmp(4, description)) + kUp));
      REQUIRE(gate.wait_records(id, session * 5 + (session - 1)));  // begin, raw, router, raw, peer; end
      const std::vector<Seen> got = gate.of(id);
      const std::size_t first = (session - 1) * 6;
      const std::string name = got[first].data;
      if (has_name) {
        CHECK(name == "r1");
      } else {
        CHECK(name.find("localhost") != std::string::npos);
      }
      CHECK(got[first + 2].rows.at(0)[2] == name);
      CHECK(got[first + 1].data.find(has_name ? "there" : "here") != std::string::npos);
      router.end();
      REQUIRE(gate.wait_records(id, session * 6));
    }
  }
}

TEST_CASE("a name in the configuration goes before what the router says and what its address is called") {
  for (const bool has_name : {false, true}) {
    CAPTURE(has_name);
    Node node([](Config& c) {
      c.reverse_dns = true;
      c.bmp_raw = true;
      c.router_names = {"other=127.0.0.2", "edge-1=127.0.0.1"};
      c.router_groups = {"edges=/^edge-/"};
    });
    Gate gate(node.zmq, node.config.gate_socket, 11);
    const RouterId id = Node::id("127.0.0.1");
    Router router(node.port);
    REQUIRE(router.send(has_name ? initiation("r1") : bmp(4, be16(1) + be16(4) + "test")));
    REQUIRE(gate.wait_records(id, 3));  // begin, raw, router
    const std::vector<Seen> got = gate.of(id);
    CHECK(got[0].data == "edge-1");
    CHECK(got[1].data.find("edges") != std::string::npos);
    CHECK(got[2].rows.at(0)[2] == (has_name ? "r1" : "edge-1"));  // of the router's own, where it has one
  }
}

TEST_CASE("with reverse-dns a router whose address has no name, or whose name server is silent, is read all the same") {
  Node node([](Config& c) { c.reverse_dns = true; });
  Router router(node.port, "127.200.200.200");
  REQUIRE(router.send(bmp(4, be16(1) + be16(4) + "test") + kUp));
  Gate gate(node.zmq, node.config.gate_socket, 11);
  CHECK(gate.wait_records(Node::id("127.200.200.200"), 3));
}
