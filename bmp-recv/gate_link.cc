#include "bmp-recv/gate_link.h"

#include "common/log.h"

namespace bmpha::recv {
namespace {

ZmqSocket::Settings router_settings() {
  ZmqSocket::Settings s;
  s.send_hwm = 0;  // credit limits what is under way
  s.recv_hwm = 1000;
  s.router_mandatory = true;
  return s;
}

std::string_view text_of(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

}  // namespace

GateLink::GateLink(Loop& loop, ZmqContext& context, RecordRing& ring, Counters& counters, std::uint64_t recv_inc,
                   OnApplied on_applied)
    : ring_(ring),
      counters_(counters),
      recv_inc_(recv_inc),
      on_applied_(std::move(on_applied)),
      socket_(context, SocketKind::kRouter, router_settings()),
      watch_(loop.watch(socket_.fd(), [this] {
        drain();
        watch_->arm();
      })) {}

Status GateLink::bind(const std::string& endpoint) {
  if (Status s = socket_.bind(endpoint); !s) return s;
  watch_->arm();
  return Status::ok();
}

void GateLink::drain() {
  if (draining_) return;  // a send inside a callback of ours
  draining_ = true;
  Frame identity;
  while (socket_.try_recv(identity)) {
    Frame body;
    bool more = identity.more();
    std::size_t parts = 1;
    Frame next;
    while (more && socket_.try_recv(next)) {
      more = next.more();
      if (++parts == 2) body = std::move(next);
      next = Frame();
    }
    if (parts == 2) {
      on_message(identity, body.bytes());
    } else {
      ++counters_.link_errors;
    }
  }
  draining_ = false;
}

void GateLink::on_message(const Frame& identity, Bytes body) {
  Result<LinkMessage> m = decode_link_message(body);
  if (!m) {
    ++counters_.link_errors;
    log_warn("link message not understood", kv("reason", m.error()));
    return;
  }
  if (const auto* hello = std::get_if<Hello>(&m.value())) return on_hello(identity, *hello);
  const auto* control = std::get_if<Control>(&m.value());
  // What an earlier gate or an earlier connection still says does not count.
  if (control == nullptr || control->gate_inc != gate_inc_ || text_of(identity.bytes()) != identity_) return;
  const RecordRing::Applied applied = ring_.on_control(*control);
  on_applied_(applied);
  if (applied.credited) pump();
}

void GateLink::on_hello(const Frame& identity, const Hello& hello) {
  if (hello.gate_inc == 0) {
    ++counters_.link_errors;
    return;
  }
  const std::string_view name = text_of(identity.bytes());
  if (hello.gate_inc != gate_inc_ || name != identity_) {
    identity_ = name;
    gate_inc_ = hello.gate_inc;
    ring_.on_hello();
    log_info("gate connected", kv("gate_inc", gate_inc_), kv("records", ring_.records()), kv("bytes", ring_.bytes()));
  }
  send_alive(BootClock::now());
  pump();
}

void GateLink::lose_gate() {
  if (gate_inc_ == 0) return;
  gate_inc_ = 0;
  identity_.clear();
  log_warn("gate lost", kv("records", ring_.records()), kv("bytes", ring_.bytes()));
}

bool GateLink::send_record(RecordRing::Queue& queue, const Record& record) {
  if (socket_.try_send(as_bytes(identity_), true) != ZmqSocket::Sent::kYes) {
    lose_gate();
    return false;
  }
  if (socket_.try_send(record.bytes(), record.data) != ZmqSocket::Sent::kYes) {
    lose_gate();
    return false;
  }
  ring_.sent(queue);
  return true;
}

void GateLink::offer(RecordRing::Queue& queue) {
  if (gate_inc_ == 0) return;
  while (const Record* record = RecordRing::next_of(queue))
    if (!send_record(queue, *record)) return;
}

void GateLink::pump() {
  RecordRing::Sendable s;
  while (gate_inc_ != 0 && ring_.next_sendable(s))
    if (!send_record(*s.queue, s.record)) return;
}

void GateLink::send_alive(BootTime now) {
  if (gate_inc_ == 0) return;
  Alive alive;
  alive.recv_inc = recv_inc_;
  alive.gate_inc = gate_inc_;
  alive.sessions = ring_.table(now);
  const std::string frame = encode_alive(alive);
  if (socket_.try_send(as_bytes(identity_), true) != ZmqSocket::Sent::kYes ||
      socket_.try_send(as_bytes(frame)) != ZmqSocket::Sent::kYes)
    lose_gate();
}

void GateLink::tick(BootTime now) {
  send_alive(now);
  drain();
}

}  // namespace bmpha::recv
