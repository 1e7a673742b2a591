// The processes of a node around the real classes, as their services drive them.
#include <fmt/format.h>

#include <algorithm>

#include "ha-arbiter/node_blob.h"
#include "tests/simulate/sim.h"

namespace bmpha::simulate {
namespace {

constexpr Nanos kRedisTimeout = Millis(400);
constexpr Nanos kSoonPause = Millis(50);
constexpr Nanos kLeaveAtMost = Millis(3000);
constexpr Nanos kLookInterval = Millis(100);

void begin_life(Process& p) {
  p.alive = true;
  ++p.life;
  p.stopped_until = Nanos{0};
}

}  // namespace

// --- bmp-recv

void Sim::start_recv(Node& n) {
  begin_life(n.recv);
  n.recv.inc = ++incs_;
  n.recv.gate_inc = 0;
  n.recv.routers = {};
  every(n.recv, Millis(250), [this, &n] { send_alive(n); });
}

void Sim::send_record(Node& n, const Kept& kept) {
  if (!n.gate.alive || n.recv.gate_inc != n.gate.inc) return;
  in_process(n.gate, link(n.to_gate), [this, &n, kept] {
    gate::Body body;
    body.owner = kept.said;
    n.gate.gate->record(kept.envelope, body, clock(n));
    gate_turn(n);
  });
}

void Sim::send_alive(Node& n) {
  if (!n.gate.alive) return;
  Alive table;
  table.recv_inc = n.recv.inc;
  table.gate_inc = n.recv.gate_inc;
  for (int r = 0; r < kRouters; ++r) {
    const RecvRouter& x = n.recv.routers[static_cast<std::size_t>(r)];
    if (x.number == 0) continue;
    AliveSession row;
    row.router = router_id(r);
    row.session = {n.recv.inc, x.number};
    row.up = x.up;
    row.last_read = x.last_read;
    row.released_seq = x.released;
    row.released_read_time = x.released_read;
    row.last_seq = x.seq;
    row.name = fmt::format("r{}", r);
    // Sessions that are over, and of which records are still kept.
    std::set<std::uint64_t> older;
    for (const Kept& k : x.ring)
      if (k.envelope.session.number != x.number) older.insert(k.envelope.session.number);
    for (const std::uint64_t number : older) {
      AliveSession old = row;
      old.session.number = number;
      old.up = false;
      old.released_read_time = {};
      old.released_seq = old.last_seq = 0;
      for (const Kept& k : x.ring) {
        if (k.envelope.session.number != number) continue;
        if (old.last_seq == 0) old.released_seq = k.envelope.seq - 1;
        old.last_seq = k.envelope.seq;
      }
      table.sessions.push_back(old);
    }
    table.sessions.push_back(row);
  }
  in_process(n.gate, link(n.to_gate), [this, &n, table] {
    n.gate.gate->alive(table, clock(n));
    gate_turn(n);
  });
}

void Sim::hello(Node& n, std::uint64_t gate_inc) {
  n.recv.gate_inc = gate_inc;
  for (const RecvRouter& r : n.recv.routers)
    for (const Kept& k : r.ring) send_record(n, k);
  send_alive(n);
}

void Sim::control(Node& n, const std::vector<ControlEntry>& entries) {
  for (const ControlEntry& c : entries) {
    if (c.session.recv_inc != n.recv.inc) continue;
    const int router = router_index(c.router);
    RecvRouter& r = n.recv.routers[static_cast<std::size_t>(router)];
    if (c.reset) {
      if (c.session.number == r.number && r.up) {
        tell("{} session of router {} is reset for a new dump", n.id, router);
        end_session(n, router, between(Millis(200), Millis(1000)));
      }
      continue;
    }
    while (!r.ring.empty()) {
      const Envelope& e = r.ring.front().envelope;
      if (e.session.number > c.session.number) break;
      if (e.session.number == c.session.number && e.seq > c.release_seq) break;
      if (e.session.number < c.session.number) break;  // released by an entry of its own
      if (e.session.number == r.number) {
        r.released = e.seq;
        r.released_read = e.read_time;
      }
      r.ring.pop_front();
    }
  }
}

// --- kafka-gate

void Sim::start_gate(Node& n) {
  begin_life(n.gate);
  GateProcess& g = n.gate;
  g.inc = ++incs_;
  gate::Gate::Settings s;
  s.held = held_[static_cast<std::size_t>(n.index)];
  s.gate_inc = g.inc;
  g.gate = std::make_unique<gate::Gate>(s);
  g.health.emplace(std::chrono::seconds(5), std::chrono::seconds(10), clock(n));
  g.kafka_ok = true;
  ++g.producer;
  g.outstanding = 0;
  every(g, Millis(100), [this, &n, &g] {
    const BootTime now = clock(n);
    g.gate->tick(now);
    if (g.gate->wants_hello(now) && n.recv.alive)
      in_process(n.recv, link(n.to_recv), [this, &n, inc = g.inc] { hello(n, inc); });
    if (!g.health->ok() && g.gate->is_idle() && g.outstanding > 0) replace_producer(n);
    const bool ok = g.health->tick(now);
    const bool changed = std::exchange(g.kafka_ok, ok) != ok;
    if (changed) gate_status(n);
    gate_turn(n);
  });
  every(g, Millis(250), [this, &n] { gate_status(n); });
}

void Sim::gate_turn(Node& n) {
  gate::Gate& g = *n.gate.gate;
  g.pump(clock(n), 100'000, [this, &n](const gate::Copy& copy) {
    hand_over(n, copy);
    return gate::Gate::Handed::kYes;
  });
  (void)g.take_notes();
  if (g.take_urgent()) gate_status(n);
  std::vector<ControlEntry> entries = g.take_control();
  if (!entries.empty() && n.recv.alive)
    in_process(n.recv, link(n.to_recv), [this, &n, entries = std::move(entries)] { control(n, entries); });
}

void Sim::gate_status(Node& n) {
  if (!n.arbiter.alive) return;
  in_process(n.arbiter, link(n.to_arbiter), [this, &n, s = n.gate.gate->status(clock(n), n.gate.kafka_ok)] {
    if (n.arbiter.decider->gate(s, clock(n))) decide(n);
  });
}

void Sim::hand_over(Node& n, const gate::Copy& copy) {
  GateProcess& g = n.gate;
  g.health->sent(clock(n), ++g.outstanding);
  Lane& lane = lanes_[{n.index, g.producer}][copy.partition];
  lane.last =
      std::max(lane.last, t_ + (chance(150) ? between(Millis(100), Millis(900)) : between(Millis(1), Millis(25))));
  at(lane.last, [this, &n, producer = g.producer, life = g.life, copy] { try_to_land(n, producer, life, copy); });
}

void Sim::try_to_land(Node& n, std::uint64_t producer, std::uint64_t life, const gate::Copy& copy) {
  Lane& lane = lanes_[{n.index, producer}][copy.partition];
  GateProcess& g = n.gate;
  const bool gone = !g.alive || g.life != life || g.producer != producer;
  if (gone && chance(4)) lane.broken = true;
  if (gone && lane.broken) return;
  if (!gone && t_ < g.stopped_until && t_ >= lane.blocked_until && chance(3)) lane.blocked_until = g.stopped_until;
  const Nanos wait = std::max(n.kafka_cut_until, lane.blocked_until);
  if (t_ < wait) {
    lane.last = std::max(lane.last, wait);
    return at(wait, [this, &n, producer, life, copy] { try_to_land(n, producer, life, copy); });
  }
  land(copy);
  if (gone) return;
  in_process(g, between(Millis(1), Millis(8)), [this, &n, &g, producer, ticket = copy.ticket] {
    if (g.producer != producer) return;
    g.health->answered(clock(n), --g.outstanding);
    g.gate->answered(ticket, true);
    gate_turn(n);
  });
}

void Sim::replace_producer(Node& n) {
  tell("{} replaces its producer", n.id);
  ++n.gate.producer;
  n.gate.outstanding = 0;
  n.gate.health->cleared();
  n.gate.gate->producer_lost();
}

// --- ha-arbiter

void Sim::start_arbiter(Node& n) {
  begin_life(n.arbiter);
  ArbiterProcess& a = n.arbiter;
  arbiter::DeciderSettings s;
  s.node = n.id;
  s.inc = ++incs_;
  s.margin = s_.margin;
  a.decider = std::make_unique<arbiter::Decider>(s, n.stored, clock(n), redis_ms());
  a.guard.emplace(s.inc, Millis(500), Millis(2000));
  a.store_busy = a.soon_armed = a.tick_wanted = a.finishing = false;
  a.heard_ms = 0;
  a.forget.clear();
  n.w.clear();
  in_process(a, Nanos{0}, [this, &n] { look(n); });
  every(a, Millis(500), [this, &n] {
    n.arbiter.decider->begin_tick(clock(n));
    decide(n);
    if (n.arbiter.alive && n.arbiter.decider->has_joined()) send_tick(n);
  });
}

std::int64_t Sim::made_ms(const Node& n) const {
  if (n.arbiter.heard_ms == 0) return 0;
  return n.arbiter.heard_ms + std::chrono::duration_cast<Millis>(clock(n) - n.arbiter.heard_at).count();
}

template <class Reply>
void Sim::ask(Node& n, std::function<Reply()> question, std::function<void(std::optional<Reply>)> done) {
  const bool slow = chance(40);
  const Nanos there = slow ? between(Millis(50), Millis(500)) : between(Nanos{0}, Millis(12));
  const Nanos back = slow ? between(Millis(50), Millis(500)) : between(Nanos{0}, Millis(12));
  auto reply = std::make_shared<std::optional<Reply>>();
  at(t_ + there, [this, &n, question = std::move(question), reply] {
    if (reaches_redis(n)) *reply = question();
  });
  // After the timeout an answer counts for nothing.
  const bool in_time = there + back < kRedisTimeout;
  const Nanos wait = in_time ? there + back : kRedisTimeout;
  at(t_ + wait, [this, &n, reply, done = std::move(done), in_time, life = n.arbiter.life] {
    const bool heard = in_time && reply->has_value() && reaches_redis(n) && t_ >= n.answers_lost_until;
    run_in(n.arbiter, life, [done, answer = heard ? *reply : std::optional<Reply>()] { done(answer); });
  });
}

void Sim::look(Node& n) {
  ArbiterProcess& a = n.arbiter;
  if (a.decider->has_joined() || a.finishing || a.store_busy) return;
  a.store_busy = true;
  ask<arbiter::TickReply>(
      n, [this, &n] { return redis_.tick(n.id, {}, redis_ms()); },
      [this, &n, &a, asked = clock(n)](const std::optional<arbiter::TickReply>& reply) {
        a.store_busy = false;
        if (reply && a.guard->look(reply->before, reply->redis_ms, clock(n)) == arbiter::JoinGuard::Verdict::kJoin) {
          a.heard_ms = reply->redis_ms;
          a.heard_at = asked;
          const auto& left = a.guard->left_behind();
          a.decider->join(left ? &*left : nullptr, reply->redis_ms, asked, clock(n));
          n.stored = a.decider->persisted();
          return send_tick(n);
        }
        in_process(a, kLookInterval, [this, &n] { look(n); });
      });
}

void Sim::send_tick(Node& n) {
  ArbiterProcess& a = n.arbiter;
  if (a.finishing) return;
  if (a.store_busy) {
    a.tick_wanted = true;
    return;
  }
  a.tick_wanted = false;
  a.store_busy = true;
  a.tick_sent = t_;
  const arbiter::NodeBlob blob = a.decider->blob(clock(n));
  ask<arbiter::TickReply>(
      n,
      [this, &n, blob, made = made_ms(n), said_at = t_] {
        arbiter::TickReply reply = redis_.tick(n.id, {encode_blob(blob), made}, redis_ms());
        if (!reply.late) note_published(n, blob, said_at);
        return reply;
      },
      [this, &n, asked = clock(n)](const std::optional<arbiter::TickReply>& reply) { ticked(n, reply, asked); });
}

void Sim::ticked(Node& n, const std::optional<arbiter::TickReply>& reply, BootTime asked) {
  ArbiterProcess& a = n.arbiter;
  a.store_busy = false;
  if (reply) {
    a.heard_ms = reply->redis_ms;
    a.heard_at = asked;
  }
  if (a.finishing) return;
  if (!reply) {
    decide(n);
    return idle(n);
  }
  if (reply->late) {
    tick_soon(n);
    return idle(n);
  }
  std::size_t malformed = 0;
  a.decider->observe(arbiter::read_observation(*reply, asked, malformed), clock(n));
  if (malformed != 0) fail("a value in Redis is malformed");
  decide(n);
  check_w(n);
  idle(n);
}

void Sim::tick_soon(Node& n) {
  ArbiterProcess& a = n.arbiter;
  if (a.soon_armed || !a.decider->has_joined()) return;
  a.soon_armed = true;
  in_process(a, std::max(Nanos{0}, kSoonPause - (t_ - a.tick_sent)), [this, &n] {
    n.arbiter.soon_armed = false;
    send_tick(n);
  });
}

void Sim::idle(Node& n) {
  ArbiterProcess& a = n.arbiter;
  if (a.store_busy || a.finishing || !a.alive) return;
  if (!a.forget.empty()) {
    a.store_busy = true;
    ask<bool>(
        n, [this, routers = std::exchange(a.forget, {})] { return redis_.forget(routers), true; },
        [this, &n](const std::optional<bool>&) {
          n.arbiter.store_busy = false;
          idle(n);
        });
    return;
  }
  if (a.tick_wanted) send_tick(n);
}

void Sim::decide(Node& n) {
  ArbiterProcess& a = n.arbiter;
  if (a.finishing) return;
  const BootTime now = clock(n);
  arbiter::Decision d = a.decider->decide(now);
  n.stored = a.decider->persisted();
  for (const arbiter::Event& e : d.events)
    tell("{} {} {} epoch={} {}", n.id, e.what, e.router == RouterId{} ? -1 : router_index(e.router), e.epoch, e.why);
  if (d.roles && n.gate.alive)
    in_process(n.gate, link(n.to_roles), [this, &n, roles = std::move(*d.roles)] {
      n.gate.gate->roles(roles, clock(n));
      gate_turn(n);
    });
  for (const auto& [router, expected] : d.forget) a.forget.emplace_back(to_hex(router), expected);
  if (d.claims) send_claims(n, *d.claims);
  if (d.tick_soon) tick_soon(n);
  if (!a.store_busy && !a.forget.empty()) idle(n);
  if (a.decider->is_leaving() && (a.decider->may_exit(now) || t_ - a.leaving_at >= kLeaveAtMost)) finish(n);
}

void Sim::send_claims(Node& n, const arbiter::ClaimBatch& batch) {
  ArbiterProcess& a = n.arbiter;
  if (a.store_busy) return a.decider->claims_failed(clock(n));
  a.store_busy = true;
  ask<arbiter::ClaimReply>(
      n,
      [this, &n, batch, request = arbiter::encode_claims(batch, n.id, made_ms(n)), said_at = t_] {
        arbiter::ClaimReply reply = redis_.claim(n.id, request, redis_ms());
        for (std::size_t i = 0; i < reply.won.size(); ++i)
          if (reply.won[i]) note_claim(n, batch.items[i]);
        // A claim shows W where its sending begins: who takes over before anything is delivered begins there.
        arbiter::NodeBlob shown = batch.base;
        shown.routers.clear();
        for (std::size_t i = 0; i < reply.won.size(); ++i)
          if (reply.won[i]) shown.routers.push_back(batch.items[i].won);
        note_published(n, shown, said_at);
        return reply;
      },
      [this, &n](const std::optional<arbiter::ClaimReply>& reply) { claimed(n, reply); });
}

void Sim::claimed(Node& n, const std::optional<arbiter::ClaimReply>& reply) {
  ArbiterProcess& a = n.arbiter;
  a.store_busy = false;
  if (reply && !reply->late) {
    a.decider->claims_answered(reply->won, reply->redis_ms, clock(n));
    for (auto& [router, claims] : claims_) {
      const auto st = a.decider->routers().find(router);
      if (st == a.decider->routers().end()) continue;
      const auto claim = claims.find(st->second.epoch);
      if (claim == claims.end() || claim->second.node != n.index || st->second.start == BootTime{}) continue;
      ClaimMade& c = claim->second;
      if (c.start != Nanos{0}) continue;
      c.start = virtual_time(n, st->second.start);
      if (st->second.emit != Emit::kNone) continue;
      verdict_.replayed = std::max(verdict_.replayed, c.at - c.start);
      // After an outage of Redis a node may go by what it saw of another one before.
      if (!has_been_apart() && c.start < c.floor - s_.margin - kRedisTimeout - Millis(5))
        fail(fmt::format("{} replays from {} ms before the lowest W that counts, less the margin", n.id,
                         (c.floor - s_.margin - c.start).count() / 1'000'000));
    }
  } else {
    a.decider->claims_failed(clock(n));
  }
  decide(n);
  idle(n);
}

void Sim::finish(Node& n) {
  ArbiterProcess& a = n.arbiter;
  a.finishing = true;
  if (n.gate.alive)
    in_process(n.gate, link(n.to_roles), [this, &n, roles = a.decider->farewell(clock(n))] {
      n.gate.gate->roles(roles, clock(n));
      gate_turn(n);
    });
  n.stored = a.decider->persisted();
  if (reaches_redis(n)) redis_.leave(n.id);
  a.alive = false;
  tell("{} has left", n.id);
}

}  // namespace bmpha::simulate
