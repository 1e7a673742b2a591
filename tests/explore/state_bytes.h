// The whole state of the classes that are explored, as bytes: two states with equal bytes go on equally. Of numbers
// that are only compared with one another (epochs, ages of sessions, offsets) the order stands here, not the value;
// what only counts up is left out.
//
// A member that is added to one of these classes must be added here: the sizes checked in state_bytes.cc say so.
#pragma once

#include <string>

#include "tests/explore/world.h"

namespace bmpha::explore {

struct StateBytes {
  static std::string of(const World& w);

 private:
  // The first round collects the values that are told by their order, the second writes.
  struct Ranked {
    std::vector<std::uint64_t> values;
    void end_round();
  };
  void rank(Ranked& ranked, std::uint64_t v);
  void epoch(std::uint64_t v) { rank(epochs_, v); }
  void since(std::uint64_t v) { rank(sinces_, v); }
  void offset(std::int64_t v) { rank(offsets_, static_cast<std::uint64_t>(v + 1)); }

  template <class T>
  void raw(const T& v) {
    if (writing_) out_.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  void put(const std::string& s) {
    raw(s.size());
    if (writing_) out_ += s;
  }
  template <class T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) void put(const T& v) { raw(v); }
  void put(const Hash128& h) { raw(h.bytes); }
  void put(const SessionId& s) { all(s.recv_inc, s.number); }
  void put(Nanos d) { raw(d.count()); }
  void put(Millis d) { raw(d.count()); }
  void put(BootTime t) { raw(to_ns(t)); }
  template <class A, class B>
  void put(const std::pair<A, B>& p) {
    all(p.first, p.second);
  }
  template <class T>
  void put(const std::optional<T>& v) {
    put(v.has_value());
    if (v) put(*v);
  }
  template <class C>
  requires requires(const C& c) {
    c.begin();
    c.size();
  }
  void put(const C& c) {
    raw(c.size());
    for (const auto& v : c) put(v);
  }
  template <class... T>
  void all(const T&... v) {
    (put(v), ...);
  }

  void put(const SettledGen& s) { all(s.node, s.gen); }
  void put(const Bracket& b) { all(b.session, b.first, b.synced); }
  void put(const Envelope& e);
  void put(const GateRouter& g);
  void put(const GateStatus& s);
  void put(const arbiter::RouterEntry& e);
  void put(const arbiter::NodeBlob& b);
  void put(const arbiter::NodeView& v);
  void put(const arbiter::NodeView::Router& r) { all(r.entry, r.w, r.last_read); }
  void put(const arbiter::OwnEntry& o);
  void put(const arbiter::RouterState& s);
  void put(const arbiter::Persisted& p);
  void put(const arbiter::Decider& d);
  void put(const arbiter::MemoryCluster& c);
  void put(const gate::HeldRecords& h);
  void put(const gate::HeldRecords* gate, const gate::Ticket& t);
  void put(const gate::Copy& c);
  void put(const PartitionWorld& p);
  void put(const World& w);
  void put(const RouterMessage& m) { all(m.kind, m.peer, m.announced, m.in_dump, m.versions, m.written); }
  void put(const RouterSession& s) { all(s.open, s.silent, s.walk, s.dial_in, s.found_in, s.wire); }
  void put(const Receiver::Kept& k) { all(k.envelope, k.fed); }
  void put(const Receiver& r);
  void put(const NodeWorld& n);

  std::string out_;
  bool writing_ = false;
  Ranked epochs_, sinces_, offsets_;
};

}  // namespace bmpha::explore
