#include "bmp-recv/server.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>

#include "bmp-recv/bmp_parser.h"
#include "bmp-recv/compat_hash.h"
#include "bmp-recv/metrics.h"
#include "bmp-recv/state_dump.h"
#include "common/log.h"
#include "common/rules.h"

namespace bmpha::recv {
namespace {

std::uint64_t random_id() {
  std::random_device device;
  const std::uint64_t id = (std::uint64_t{device()} << 32) | device();
  return id == 0 ? 1 : id;
}

std::string bytes_text(std::string_view s) { return clean(s, 200); }

}  // namespace

// Where a session's records go: ring, gate, publication.
class Server::Emitter : public RecordSink, public RawSink {
 public:
  Emitter(Server& server, std::string router_hex) : server_(server), router_hex_(std::move(router_hex)) {}
  void on_record(const Record& record) override { server_.on_record(queue, router_hex_, record); }
  void on_malformed(const BmpFrame& frame, Fault fault) override {
    server_.malformed_.keep(frame.whole, router_hex_, fault_name(fault), wall_us());
  }
  RecordRing::Queue* queue = nullptr;

 private:
  Server& server_;
  std::string router_hex_;
};

struct Server::Listener {
  ListenAddress address;
  Fd fd;
  std::unique_ptr<Loop::Watch> watch;
};

struct Server::Connection {
  Fd fd;
  std::unique_ptr<Loop::Watch> watch;  // before fd in destruction: see ~Connection
  IpAddress address{};
  std::string ip;  // the same as text
  std::string tag;
  std::string other_name;              // than its sysName: of the configuration, or of its address; empty: not known
  std::optional<std::size_t> dialled;  // number of its address in the Dialer
  std::uint16_t port = 0;
  Phase phase = Phase::kHandshake;
  bool is_unnamed = false;     // not read yet: its address's name is awaited
  bool is_given_name = false;  // other_name is of the configuration
  bool dropped = false;
  bool paused = false;
  bool all_read = false;  // the other side has ended, and its last byte was read
  bool id_known = false;
  BootTime paused_at;
  BootTime accepted;
  BootTime waiting_since;
  BootTime drained;  // last instant at which the socket was seen empty
  BootTime last_read;
  ReadTimes times;                 // of the bytes in `rest`
  std::vector<std::uint8_t> rest;  // read, not yet decoded
  std::uint64_t offset = 0;        // of rest in the stream
  RouterId id;
  std::string name;
  std::unique_ptr<Emitter> emitter;
  std::unique_ptr<SessionDecoder> decoder;
  SessionId session;
  ~Connection() { watch.reset(); }

  std::string peer() const { return fmt::format("{}:{}", ip, port); }
};

Server::Server(Loop& loop, const Config& config)
    : loop_(loop),
      config_(config),
      allowed_(config.allowed()),
      recv_inc_(random_id()),
      router_id_(config.router_id),
      collector_id_(config.collector()),
      openbmp_hashes_(config.openbmp_hashes()),
      collector_(openbmp_hashes_ ? compat::collector_hash(collector_id_) : collector_hash(collector_id_)),
      groups_(config.router_groups),
      given_names_(config.names()),
      ring_(config.ring_bytes),
      resolver_([this] { loop_.post([this] { on_answers(); }); }),
      dialer_(config.dial_addresses(),
              [this](std::size_t number, const std::string& host) { return resolver_.ask_addresses(number, host); }),
      buffer_(kReadSize + 2 * std::size_t{kMaxBmpMessage}),
      started_(BootClock::now()) {}
Server::~Server() = default;

Status Server::start() {
  link_ = std::make_unique<GateLink>(loop_, zmq_, ring_, shared_.counters, recv_inc_,
                                     [this](const RecordRing::Applied& a) { on_link(a); });
  if (Status s = link_->bind(config_.gate_socket); !s) return s;
  if (Status s = metrics_.listen(config_.metrics_listen); !s) return s;
  if (Status s = malformed_.open(config_.keep_malformed); !s) return s;
  publisher_ = std::make_unique<Publisher>(loop_, zmq_);
  if (Status s = publisher_->bind(config_.publish_socket); !s) return s;
  for (const ListenAddress& address : config_.listen_addresses()) {
    Result<Fd> fd = listen_on(address);
    if (!fd) return Status::error(fd.error());
    auto listener = std::make_unique<Listener>();
    listener->address = address;
    listener->fd = std::move(fd.value());
    Listener* l = listener.get();
    listener->watch = loop_.watch(l->fd.get(), [this, l] { accept_waiting(*l); });
    listener->watch->arm();
    listeners_.push_back(std::move(listener));
    log_info("listening", kv("address", address.text), kv("tag", address.tag));
  }
  if (!config_.replay.empty()) {
    if (listeners_.empty()) return Status::error("replay needs an address to connect to HINT: set listen");
    replay_ = std::make_unique<Replay>();
    if (Status s = replay_->start(config_.replay, listeners_.front()->address.text); !s) return s;
  }
  begin_collector(BootClock::now());
  loop_.every(kTick, [this] { tick(); });
  publish_metrics();
  if (metrics_.is_on()) loop_.every(kMetricsInterval, [this] { publish_metrics(); });
  return Status::ok();
}

void Server::reload() {
  allowed_ = config_.allowed();
  ring_.set_limit(config_.ring_bytes);
  resume_paused();
}

// ---- accepting

bool Server::accept_waiting(Listener& l) {
  if (stopping_) return true;
  const BootTime now = BootClock::now();
  for (int n = 0; n < 64; ++n) {  // then the others have their turn
    Accepted accepted;
    const AcceptState state = accept_one(l.fd.get(), accepted);
    if (state == AcceptState::kNone) break;
    if (state == AcceptState::kExhausted) {
      const char* reason = std::strerror(errno);
      if (shortage_.failed(now, now))
        log_error("cannot accept", kv("address", l.address.text), kv("reason", reason),
                  kv("hint", "raise the limit of open files"));
      return false;
    }
    admit(l, std::move(accepted), now);
  }
  l.watch->arm();
  return true;
}

// The shortage is over when no listener meets it any more: with one descriptor to spare it would end and begin anew
// all the time.
void Server::accept_again(BootTime now) {
  bool enough = true;
  for (const auto& l : listeners_) enough = accept_waiting(*l) && enough;
  if (!enough) return;
  if (const auto lasted = shortage_.works(now)) log_info("accepting again", kv("seconds", seconds_of(*lasted)));
}

void Server::admit(Listener& l, Accepted accepted, BootTime now) {
  const std::string ip = ip_text(accepted.ip);
  const bool allowed = allowed_.empty() || std::any_of(allowed_.begin(), allowed_.end(),
                                                       [&](const IpPrefix& p) { return p.contains(accepted.ip); });
  const bool full = connections_.size() >= config_.session_limit;
  if (!allowed || full) {
    ++shared_.counters.sessions_refused;
    if (now - refused_logged_ < Millis{1000}) return;
    refused_logged_ = now;
    log_warn("connection refused", kv("router", ip), kv("reason", allowed ? "session-limit reached" : "not in allow"));
    return;
  }
  start_connection(add_connection(std::move(accepted), l.address.tag, now));
}

void Server::dial(BootTime now) {
  if (stopping_) return;
  dialer_.poll(now, [&](std::size_t number, const std::string& tag, Accepted connection) {
    if (connections_.size() >= config_.session_limit) {
      ++shared_.counters.sessions_refused;
      return dialer_.ended(number, now, Nanos{0});
    }
    Connection& c = add_connection(std::move(connection), tag, now);
    c.dialled = number;
    start_connection(c);
  });
}

Server::Connection& Server::add_connection(Accepted accepted, const std::string& tag, BootTime now) {
  set_keepalive(accepted.fd.get());
  auto connection = std::make_unique<Connection>();
  Connection& c = *connection;
  c.fd = std::move(accepted.fd);
  c.address = accepted.ip;
  c.ip = ip_text(accepted.ip);
  c.port = accepted.port;
  c.tag = tag;
  c.accepted = c.drained = c.last_read = now;
  c.watch = loop_.watch(c.fd.get(), [this, &c] { on_readable(c); });
  connections_.push_back(std::move(connection));
  return c;
}

void Server::start_connection(Connection& c) {
  ask_name(c);
  if (router_id_ != "sysname") {
    c.id = identity_of(router_id_ == "tag" ? c.tag : c.ip);
    c.id_known = true;
    c.name = c.ip;
    if (!claim(c)) return;
  }
  arm(c);
}

// ---- names

// A name in the configuration goes before all others. Else nothing is read before the name is known: it belongs to the
// session from its first record on. A name that has been known before costs no time.
void Server::ask_name(Connection& c) {
  if (const auto given = given_names_.find(c.address); given != given_names_.end()) {
    c.other_name = given->second;
    c.is_given_name = true;
    return;
  }
  if (!config_.reverse_dns) return;
  const NameCache::Answer answer = names_.look(c.address, BootClock::now());
  if (answer.is_due && resolver_.ask_name(c.address)) ++shared_.counters.name_lookups;
  c.other_name = answer.name;
  c.is_unnamed = !answer.is_known;
}

void Server::name_known(Connection& c) {
  c.is_unnamed = false;
  c.accepted = BootClock::now();  // its time for the handshake begins now
  arm(c);
}

void Server::on_answers() {
  const BootTime now = BootClock::now();
  Resolver::Answers answers = resolver_.take();
  for (Resolver::NameAnswer& a : answers.names) {
    if (a.name.empty()) ++shared_.counters.names_not_found;
    const std::string name = clean(a.name, 200);
    names_.store(a.address, name, now);
    for (const auto& c : connections_) {
      if (!c->is_unnamed || c->address != a.address) continue;
      c->other_name = name;
      name_known(*c);
    }
  }
  for (Resolver::AddressAnswer& a : answers.addresses) dialer_.resolved(a.number, std::move(a.addresses), a.error, now);
}

// ---- reading

void Server::arm(Connection& c) {
  if (!c.dropped && !c.paused && !c.is_unnamed && c.phase != Phase::kWaiting) c.watch->arm();
}

void Server::on_readable(Connection& c) {
  if (c.dropped || c.phase == Phase::kWaiting || c.paused) return;
  read(c);
  arm(c);
  link_->settle();
}

void Server::read(Connection& c) {
  if (!ring_.may_read(c.id)) return pause(c);  // an id that is not known yet has nothing in the ring
  const std::size_t have = c.rest.size();
  std::copy(c.rest.begin(), c.rest.end(), buffer_.begin());
  const BootTime before = BootClock::now();
  const ReadResult r = read_some(c.fd.get(), buffer_.data() + have, kReadSize);
  const BootTime now = BootClock::now();
  switch (r.state) {
    case ReadState::kEmpty:
      c.drained = before;
      return;
    case ReadState::kEnd:
      c.drained = before;
      c.all_read = true;
      return ended(c, "closed by the router", true);
    case ReadState::kFailed:
      return ended(c, std::strerror(r.error), false);
    case ReadState::kData:
      break;
  }
  shared_.counters.read_bytes += r.size;
  c.last_read = now;
  c.times = {now, c.drained, wall_us()};
  process(c, Bytes(buffer_.data(), have + r.size));
  if (c.dropped) return;
  // Seen empty at an instant: everything that had come before it has been read. So the clock is read first.
  const BootTime check = BootClock::now();
  if ((r.size < kReadSize && is_drained(c.fd.get())) || !rule_on("A3-drained")) c.drained = check;
}

void Server::keep(Connection& c, Bytes rest) {
  if (rest.empty()) {
    std::vector<std::uint8_t>().swap(c.rest);  // an idle session costs no buffer
    return;
  }
  // `rest` may lie in c.rest itself.
  std::vector<std::uint8_t> copy(rest.begin(), rest.end());
  c.rest.swap(copy);
}

void Server::process(Connection& c, Bytes data) {
  std::size_t used = 0;
  const bool alive = process_frames(c, data, used);
  c.offset += used;
  if (alive) keep(c, data.subspan(used));
}

// False: the connection is gone.
bool Server::process_frames(Connection& c, Bytes data, std::size_t& used) {
  BmpFrame frame;
  FrameState state = next_frame(data, frame);
  if (c.phase == Phase::kHandshake && state == FrameState::kFrame) {
    if (!identify(c, frame)) return false;
    if (!claim(c)) return !c.dropped;  // waits with what it has read
    if (!ring_.may_read(c.id)) {       // so does this: the queue of a session costs memory as well
      pause(c);
      return true;
    }
    begin(c);
  }
  if (c.phase == Phase::kUp) {
    c.decoder->begin_pass(c.times);
    while (state == FrameState::kFrame && ring_.may_read(c.id)) {
      c.decoder->on_frame(frame, c.offset + used);
      used += frame.size;
      state = next_frame(data.subspan(used), frame);
    }
    c.decoder->end_pass();
    c.emitter->queue->peers_up = static_cast<std::uint32_t>(c.decoder->peers_up());
    log_faults(c);
    if (state == FrameState::kFrame) pause(c);
  }
  if (state == FrameState::kFrame || state == FrameState::kNeedMore) return true;
  c.offset += used;
  bad_frame(c, state, data.subspan(used));
  used = 0;
  return false;
}

// `rest` begins with the frame, at c.offset. The line says that the session has ended as well.
void Server::bad_frame(Connection& c, FrameState state, Bytes rest) {
  ++shared_.counters.bad_frames;
  malformed_.keep(rest.first(std::min<std::size_t>(rest.size(), kMaxBmpMessage)), c.ip, "bad_frame", wall_us());
  log_warn("bad frame", kv("router", c.name.empty() ? c.ip : c.name), kv("ip", c.ip), kv("session", c.session.number),
           kv("offset", c.offset), kv("reason", frame_error(state)), kv("have", rest.size()),
           kv("need", frame_size(rest)));
  end(c);
}

// By the other side or the network. What has been read and is not decoded is then the beginning of a message.
void Server::ended(Connection& c, const std::string& reason, bool expected) {
  if (c.rest.empty()) return drop(c, reason, expected);
  bad_frame(c, FrameState::kNeedMore, c.rest);
}

void Server::log_faults(Connection& c) {
  for (const SessionDecoder::FirstFault& f : c.decoder->take_first_faults())
    log_warn("bad message", kv("router", c.name), kv("peer", f.peer), kv("reason", fault_name(f.fault)),
             kv("offset", f.offset), kv("hint", "further ones of this kind are only counted"));
}

// ---- sessions

RouterId Server::identity_of(std::string_view router) const {
  return openbmp_hashes_ ? compat::router_hash(router, to_hex(collector_)) : router_hash(collector_id_, router);
}

// Who is it? The first message tells the name, and with router-id = sysname the identity.
bool Server::identify(Connection& c, const BmpFrame& first) {
  Initiation init;
  if (static_cast<BmpType>(first.type) == BmpType::kInitiation)
    (void)parse_initiation(ByteReader(first.body), init);  // faults are counted when the decoder sees it
  const bool says_name = !init.sys_name.empty();
  if (c.is_given_name || (!says_name && !c.other_name.empty()))
    c.name = c.other_name;
  else if (says_name)
    c.name = bytes_text(init.sys_name);
  if (c.name.empty()) c.name = c.ip;
  if (c.id_known) return true;
  if (init.sys_name.empty()) {
    shared_.counters.fault(Fault::kNoInitiation);
    drop(c, "no Initiation with a sysName as first message, and router-id is sysname", false);
    return false;
  }
  c.id = identity_of(init.sys_name);
  c.id_known = true;
  return true;
}

// False: the router id is in use; the connection waits, or has been dropped.
bool Server::claim(Connection& c) {
  const auto at = active_.find(c.id);
  if (at == active_.end()) return true;
  c.phase = Phase::kWaiting;
  c.waiting_since = BootClock::now();
  log_info("second session waits for the first to end", kv("router", c.name), kv("ip", c.ip), kv("port", c.port),
           kv("first", at->second->peer()));
  return false;
}

void Server::begin(Connection& c) {
  c.session = {recv_inc_, session_numbers_.next(c.id, [&](const RouterId& id) { return active_.contains(id); })};
  c.phase = Phase::kUp;
  active_[c.id] = &c;
  c.emitter = std::make_unique<Emitter>(*this, to_hex(c.id));
  c.emitter->queue = ring_.open(c.id, c.session, c.name, c.last_read);
  SessionDecoder::Settings s;
  s.identity = {c.id, c.session, collector_, openbmp_hashes_};
  s.router_ip = c.ip;
  s.name = c.name;
  s.dns_name = c.other_name;
  s.dump = {config_.eor_quiet, config_.dump_cap};
  s.raw = c.emitter.get();
  s.publish_raw = config_.bmp_raw;
  s.collector_id = collector_id_;
  s.router_group = groups_.group_of(c.name, c.address);
  c.decoder = std::make_unique<SessionDecoder>(std::move(s), shared_, *c.emitter);
  c.decoder->begin(c.times);
  ++shared_.counters.sessions_opened;
  collector_changed_ = true;
  log_info("session up", kv("router", c.name), kv("ip", c.ip), kv("port", c.port), kv("session", c.session.number),
           kv("id", to_hex(c.id)));
}

void Server::drop(Connection& c, const std::string& reason, bool expected) {
  if (c.dropped) return;
  const bool was_up = c.phase == Phase::kUp;
  log_event(expected ? LogLevel::kInfo : LogLevel::kWarn, was_up ? "session down" : "connection closed",
            kv("router", c.name.empty() ? c.ip : c.name), kv("ip", c.ip), kv("session", c.session.number),
            kv("bytes", c.offset + c.rest.size()), kv("messages", was_up ? c.decoder->messages() : 0),
            kv("reason", reason), kv("terminated", was_up && c.decoder->terminated()),
            kv("termination", was_up ? c.decoder->termination() : std::string()));
  end(c);
}

// Without a word; once.
void Server::end(Connection& c) {
  c.dropped = true;
  const BootTime ended_at = BootClock::now();
  if (c.dialled.has_value()) dialer_.ended(*c.dialled, ended_at, ended_at - c.accepted);
  const bool was_up = c.phase == Phase::kUp;
  if (was_up) {
    // Only an orderly end proves that nothing more was on its way; else W must not pass what was read.
    const BootTime drained = c.all_read && c.rest.empty() ? c.drained : std::min(c.drained, c.times.drained);
    c.decoder->end({std::max(BootClock::now(), drained), drained, wall_us()});
    ring_.close(c.emitter->queue);
    active_.erase(c.id);
    collector_changed_ = true;
  }
  c.watch.reset();
  c.fd.reset();
  const auto at = std::find_if(connections_.begin(), connections_.end(), [&](const auto& p) { return p.get() == &c; });
  dropped_.push_back(std::move(*at));
  connections_.erase(at);
  loop_.post([this] { dropped_.clear(); });
  if (was_up) wake_waiting(c.id);
}

void Server::wake_waiting(const RouterId& id) {
  const auto waits = [&](const auto& p) { return p->phase == Phase::kWaiting && p->id == id; };
  const auto at = std::find_if(connections_.begin(), connections_.end(), waits);
  if (at == connections_.end() || stopping_) return;
  Connection& c = **at;
  c.phase = Phase::kHandshake;
  resume(c);
}

// ---- pausing: the session whose router holds more than its part; every one, begun or not, when the ring is full

void Server::pause(Connection& c) {
  if (c.paused) return;
  c.paused = true;
  c.paused_at = BootClock::now();
  ++shared_.counters.pauses;
  if (c.emitter != nullptr) c.emitter->queue->read_paused = true;
  log_debug("reading paused", kv("router", c.name), kv("ring_bytes", ring_.bytes()));
}

void Server::resume(Connection& c) {
  c.paused = false;
  if (c.phase == Phase::kHandshake) c.accepted = BootClock::now();  // its time for the handshake begins now
  if (c.emitter != nullptr) {
    c.emitter->queue->read_paused = false;
    c.decoder->on_pause(BootClock::now() - c.paused_at);
  }
  if (!c.rest.empty()) {
    std::vector<std::uint8_t> data = std::move(c.rest);
    c.rest.clear();
    process(c, data);
  }
  arm(c);
}

void Server::resume_paused() {
  // resume() may drop connections: go by index over what is there.
  for (std::size_t n = 0; n < connections_.size(); ++n) {
    Connection& c = *connections_[n];
    if (c.paused && ring_.may_read(c.id)) resume(c);
  }
  link_->settle();
}

void Server::on_link(const RecordRing::Applied& applied) {
  for (const auto& reset : applied.resets) {
    if (collector_queue_ != nullptr && reset == std::pair(collector_, collector_queue_->session)) {
      ++shared_.counters.resets;
      loop_.post([this] { restart_collector(); });
      continue;
    }
    const auto at = std::find_if(connections_.begin(), connections_.end(), [&](const auto& p) {
      return p->phase == Phase::kUp && p->id == reset.first && p->session == reset.second;
    });
    if (at == connections_.end()) continue;
    ++shared_.counters.resets;
    drop(**at, "reset on request of the gate", true);
  }
  // Not from inside the gate's callback: resuming sends to the gate.
  if (applied.released) loop_.post([this] { resume_paused(); });
}

void Server::on_record(RecordRing::Queue* queue, const std::string& router_hex, const Record& record) {
  ++shared_.counters.records;
  shared_.counters.record_bytes += record.size;
  if (record.kind != RecordKind::kSessionEnd && !queue->always_current) queue->last_read = record.read_time;
  ring_.append(*queue, record);
  link_->offer(*queue);
  publisher_->publish(router_hex, record);
}

// ---- time

void Server::tick() {
  const BootTime now = BootClock::now();
  for (std::size_t n = 0; n < connections_.size();) {
    Connection* c = connections_[n].get();
    tick_connection(*c, now);
    if (n < connections_.size() && connections_[n].get() == c) ++n;  // else it is gone
  }
  std::erase_if(clashes_, [&](const auto& clash) { return now - clash.second > kClashLasts; });
  dial(now);
  tick_collector(now);
  link_->tick(now);
  resume_paused();
  if (shortage_.lasts()) accept_again(now);
  if (stopping_) finish_if_released(now);
}

void Server::tick_connection(Connection& c, BootTime now) {
  if (c.is_unnamed) {
    if (now - c.accepted >= kNameWait) name_known(c);
    return;
  }
  if (c.phase == Phase::kWaiting) return tick_waiting(c, now);
  if (c.phase == Phase::kHandshake) {
    // A paused connection is not read, so its end would not be noticed.
    if (c.paused && !is_established(c.fd.get())) return drop(c, "its connection ended while it waited for room", false);
    if (c.paused || now - c.accepted < config_.handshake_timeout) return;
    ++shared_.counters.handshake_timeouts;
    return drop(c, "no BMP message within handshake-timeout", false);
  }
  if (config_.idle_timeout > Millis{0} && !c.paused && now - c.last_read > config_.idle_timeout) {
    ++shared_.counters.idle_timeouts;
    return drop(c, "nothing received for idle-timeout", false);
  }
  if (c.paused) return c.decoder->on_stall(now);
  const bool current = is_drained(c.fd.get());
  if (current)
    c.drained = now;
  else
    c.decoder->on_stall(now);
  // A dump that never comes to rest ends by its cap, at what has really been read.
  if (!(current ? c.decoder->poll_dump({now, c.drained, wall_us()}) : c.decoder->poll_dump_cap(now, c.times))) return;
  log_info("dump ended", kv("router", c.name), kv("session", c.session.number), kv("peers", c.decoder->peers_up()));
}

void Server::tick_waiting(Connection& c, BootTime now) {
  const auto at = active_.find(c.id);
  if (at == active_.end()) return wake_waiting(c.id);
  Connection& first = *at->second;
  // A paused session is not read, so its end would not be noticed.
  if (first.paused && !is_established(first.fd.get())) return drop(first, "replaced: its connection has ended", false);
  if (now - c.waiting_since < kReplaceWait) return;
  ++shared_.counters.sessions_refused;
  clashes_[c.id] = now;
  log_error(
      "router id in use", kv("alarm", "router-id-in-use"), kv("router", c.name), kv("ip", c.ip), kv("port", c.port),
      kv("first", first.peer()),
      kv("hint", "two routers share this id: set router-id = sysname, or router-id = tag with a tag per listener"));
  end(c);
}

// ---- the collector object

void Server::begin_collector(BootTime now) {
  const SessionId session{recv_inc_, ++collector_session_};
  collector_emitter_ = std::make_unique<Emitter>(*this, to_hex(collector_));
  collector_queue_ = ring_.open(collector_, session, "collector", now);
  collector_queue_->always_current = true;
  collector_emitter_->queue = collector_queue_;
  collector_builder_ = std::make_unique<RecordBuilder>(
      RecordBuilder::Identity{collector_, session, collector_, openbmp_hashes_}, *collector_emitter_);
  mark_collector(RecordKind::kSessionBegin, "collector", now);
  emit_collector("change");
  mark_collector(RecordKind::kSynced, {}, now);
  collector_builder_->set_in_dump(false);
}

void Server::mark_collector(RecordKind kind, std::string_view text, BootTime now) {
  collector_builder_->set_times({now, now, wall_us()});
  shared_.rows.clear();
  shared_.rows.text.append(text);
  collector_builder_->emit({kind, TopicSelector::kOther, nullptr, collector_, false}, shared_.rows);
}

void Server::end_collector(BootTime now) {
  mark_collector(RecordKind::kSessionEnd, {}, now);
  ring_.close(collector_queue_);
  collector_queue_ = nullptr;
}

// As a router would: what the gate no longer has is told anew.
void Server::restart_collector() {
  if (collector_queue_ == nullptr || stopping_) return;
  const BootTime now = BootClock::now();
  end_collector(now);
  begin_collector(now);
  link_->settle();
}

void Server::emit_collector(const char* action) {
  const BootTime now = BootClock::now();
  collector_last_ = now;
  collector_changed_ = false;
  constexpr std::size_t kRoutersLimit = 4096;
  CollectorRow row;
  row.action = action;
  row.seq = collector_seq_++;
  row.collector_id = collector_id_;
  row.collector_hash = to_hex(collector_);
  for (const auto& c : connections_) {
    if (c->phase != Phase::kUp) continue;
    ++row.router_count;
    if (row.routers.size() + c->ip.size() + 2 > kRoutersLimit) continue;
    if (!row.routers.empty()) row.routers += ", ";
    row.routers += c->ip;
  }
  collector_builder_->set_times({now, now, wall_us()});
  row.stamp = stamp_of(collector_builder_->times().wall_us);
  shared_.rows.clear();
  append_collector(shared_.rows, row);
  collector_builder_->emit({RecordKind::kCollector, TopicSelector::kCollector, "collector", collector_, false},
                           shared_.rows);
}

void Server::tick_collector(BootTime now) {
  if (collector_queue_ == nullptr) return;
  if (collector_changed_) return emit_collector("change");
  if (now - collector_last_ >= config_.heartbeat_interval) emit_collector("heartbeat");
}

// ---- the end

void Server::stop() {
  if (stopping_) return;
  stopping_ = true;
  stop_deadline_ = BootClock::now() + kReleaseWait;
  listeners_.clear();
  replay_.reset();
  while (!connections_.empty()) drop(*connections_.back(), "bmp-recv stops", true);
  const BootTime now = BootClock::now();
  end_collector(now);
  log_info("stopping", kv("records", ring_.records()), kv("gate", link_->connected()));
  finish_if_released(now);
}

void Server::finish_if_released(BootTime now) {
  const bool released = ring_.empty();
  if (!released && link_->connected() && now < stop_deadline_) return;
  log_info("stopped", kv("unreleased_records", ring_.records()));
  loop_.stop();
}

StateView Server::state() const {
  StateView view{config_,    shared_.counters,   ring_,           recv_inc_, link_->gate_inc(), publisher_->wanted(),
                 malformed_, dialer_.failures(), clashes_.size(), {}};
  for (const auto& c : connections_) {
    StateView::Session s;
    s.name = c->name;
    s.ip = c->ip;
    s.port = c->port;
    s.tag = c->tag;
    s.id = c->id_known ? to_hex(c->id) : std::string();
    s.phase = c->phase == Phase::kUp ? "up" : c->phase == Phase::kWaiting ? "waiting" : "handshake";
    s.session = c->session.number;
    s.paused = c->paused;
    s.bytes = c->offset;
    const BootTime now = BootClock::now();
    s.last_read_age_ms = std::chrono::duration_cast<Millis>(now - c->last_read).count();
    s.drained_age_ms = std::chrono::duration_cast<Millis>(now - c->drained).count();
    if (c->decoder != nullptr) {
      s.synced = c->decoder->synced();
      s.peers_up = c->decoder->peers_up();
      s.peers_known = c->decoder->peers_known();
      s.messages = c->decoder->messages();
      s.faults = c->decoder->faults();
      s.peer_faults = &c->decoder->peer_faults();
    }
    view.sessions.push_back(std::move(s));
  }
  return view;
}

std::string Server::dump() const { return state_json(state()); }

void Server::publish_metrics() {
  if (metrics_.is_on()) metrics_.publish(metrics_page(state()));
}

}  // namespace bmpha::recv
