// Records that the gate has not released yet, and which of them may be sent to it now (common/link.h, docs/protocol.md
// A.3). Pure: no sockets, no clock.
//
// One Queue per session; it outlives the session until everything in it is released. Sequence, release and credit are
// per session, so one stuck router never holds up another.
//
// Memory: the sum of all queues stays within `limit` plus what one message becomes, however many routers there are: at
// `limit` nobody reads, and no session begins, until the gate releases. Below it three quarters are common, the rest is
// divided evenly among the routers that have records or a session: a router that holds less than its part may go on.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bmp-recv/record_builder.h"
#include "common/link.h"

namespace bmpha::recv {

class RecordRing {
 public:
  struct Queue {
    RouterId router;
    SessionId session;
    std::string name;
    bool up = true;  // the TCP connection is open
    bool read_paused = false;
    bool always_current = false;  // pseudo-router: has nothing to read, so it never lags
    BootTime last_read;
    std::uint64_t last_seq = 0;
    std::uint64_t released_seq = 0;
    BootTime released_read_time;
    std::optional<std::uint32_t> peers_up;  // none: not a router's session
    std::uint64_t bytes = 0;                // kept records, with their overhead
    std::uint64_t sent_bytes = 0;           // to the gate since its HELLO
    std::uint64_t credit = kInitialCredit;
    std::deque<Record> records;  // unreleased, oldest first
    std::size_t next = 0;        // index of the first record not sent yet
  };
  // Bookkeeping per kept record that its payload does not show.
  static constexpr std::uint64_t kRecordOverhead = 160;

  explicit RecordRing(std::uint64_t limit) : limit_(limit) {}
  void set_limit(std::uint64_t limit) { limit_ = limit; }

  // Opens the queue of a new session. The pointer stays valid until the queue is closed and fully released.
  Queue* open(const RouterId& router, const SessionId& session, std::string name, BootTime now);
  void append(Queue& queue, const Record& record);
  // The session is over. The queue goes when its last record is released; at once when none is kept.
  void close(Queue* queue);

  // May the router's session read on, or begin? When not, it may be asked again after each release.
  bool may_read(const RouterId& router) const;

  // A new gate, or the same over a new connection: everything kept is to be sent again.
  void on_hello();
  struct Applied {
    // Sessions whose connection the gate asks to close. A session number is unique for its router only.
    std::vector<std::pair<RouterId, SessionId>> resets;
    bool released = false;
    bool credited = false;
  };
  Applied on_control(const Control& control);

  // The next record of this queue that credit allows; null: none. Valid until the ring changes.
  static const Record* next_of(const Queue& queue);
  // The next record that credit allows, sessions in turn; null: none. sent() tells that it has gone.
  struct Sendable {
    Queue* queue = nullptr;
    Record record;
  };
  bool next_sendable(Sendable& out);
  void sent(Queue& queue);

  std::vector<AliveSession> table(BootTime now) const;
  const std::list<Queue>& queues() const { return queues_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t limit() const { return limit_; }
  std::uint64_t records() const { return records_; }
  bool empty() const { return records_ == 0; }

 private:
  Queue* find(const RouterId& router, const SessionId& session);
  void release(Queue& queue, std::uint64_t seq);
  void drop_if_done(Queue* queue);
  std::uint64_t router_part() const;

  struct RouterUse {
    std::uint64_t bytes = 0;
    std::size_t queues = 0;
  };
  std::uint64_t limit_;
  std::uint64_t bytes_ = 0;
  std::uint64_t records_ = 0;
  std::list<Queue> queues_;
  std::map<std::pair<RouterId, SessionId>, std::list<Queue>::iterator> index_;
  std::unordered_map<RouterId, RouterUse, HashOf> routers_;
  std::list<Queue>::iterator turn_ = queues_.end();
};

}  // namespace bmpha::recv
