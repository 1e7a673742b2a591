// The arbiter's wiring: sockets, store, timers and signals around the pure Decider. One thread, one loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/event_loop.h"
#include "common/metrics.h"
#include "common/outage.h"
#include "common/zmq_socket.h"
#include "ha-arbiter/alarm_watch.h"
#include "ha-arbiter/config.h"
#include "ha-arbiter/decider.h"
#include "ha-arbiter/join_guard.h"
#include "ha-arbiter/state_dump.h"
#include "ha-arbiter/state_file.h"
#include "ha-arbiter/store.h"

namespace bmpha::arbiter {

// Signals that the service reads; block them first thing in main.
std::vector<int> service_signals();

class Service {
 public:
  // config must outlive the object; reload() reads it again.
  Service(const Config& config, std::function<Options::Reloaded()> reload);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Runs until TERM or INT, or until the node's name turns out to be in use. Returns the exit code.
  int run();

 private:
  Status start();
  bool load_state(int& exit_code);
  void on_signal(int signo);
  void on_gate();
  void on_control();
  void answer(const Frame& client, const Frame& request);
  void on_tick();
  void watch_alarms(BootTime now);
  void send_census(BootTime now);
  void census_answered(const Result<Store::Pairs>& result);
  void look();
  void looked(const TickReply& reply, BootTime at);
  void send_tick();
  void ticked(Result<TickReply> result, BootTime at);
  void decide();
  void send_roles(const Roles& roles);
  void send_claims(const ClaimBatch& batch);
  void claimed(Result<ClaimReply> result);
  void send_forget();
  void idle();
  void tick_soon();
  void persist();
  void log(const Event& event);
  void store_answered(const Result<TickReply>& result, BootTime at);
  void refuse(const std::string& why);
  void leave();
  void finish();
  void finish_when_idle();
  void reload();
  void dump();
  void publish_metrics();
  std::int64_t made_ms(BootTime now) const;

  const Config& config_;
  std::function<Options::Reloaded()> reload_;
  EventLoop loop_;
  ZmqContext context_;
  ZmqSocket status_socket_;
  ZmqSocket roles_socket_;
  ZmqSocket control_socket_;
  StateFile state_file_;
  std::unique_ptr<Decider> decider_;
  std::unique_ptr<JoinGuard> guard_;
  std::unique_ptr<Store> store_;
  bool store_busy_ = false;
  bool tick_wanted_ = false;
  bool soon_armed_ = false;
  BootTime tick_sent_;
  std::vector<std::pair<std::string, std::string>> forget_;
  // Redis' clock as last heard, also from answers that were too late to count.
  std::int64_t heard_ms_ = 0;
  BootTime heard_at_;
  Outage redis_outage_;
  Millis other_retain_{0};      // kafka-gate's, when it is another one than ours and that was said
  std::optional<Millis> skew_;  // where it is too much
  AlarmWatch alarms_;
  Census census_;
  BootTime census_sent_;
  bool census_failed_ = false, census_malformed_ = false, census_cut_ = false;  // that was said
  bool persist_failed_ = false;
  std::string last_tick_warning_;
  std::uint64_t inc_ = 0;
  BootTime leaving_at_;
  bool finishing_ = false;
  int exit_code_ = 0;
  DumpFacts facts_;
  MetricsServer metrics_;
};

}  // namespace bmpha::arbiter
