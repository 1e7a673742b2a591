#include "ha-arbiter/service.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "common/dump_file.h"
#include "common/log.h"
#include "common/program.h"
#include "ha-arbiter/control.h"
#include "ha-arbiter/memory_store.h"
#include "ha-arbiter/metrics.h"
#include "ha-arbiter/node_blob.h"
#include "ha-arbiter/redis_store.h"

namespace bmpha::arbiter {
namespace {

constexpr Millis kLookInterval{100};
constexpr Millis kSoonPause{50};  // between two ticks out of turn
constexpr Millis kLeaveAtMost{3000};
constexpr Millis kFarewell{100};  // for the last table to reach the gate
constexpr std::int64_t kMaxSkewMs = 60'000;
// As pmacct numbers them: SIGRTMIN and the three after it.
constexpr int kSignalRestamp = 34;
constexpr int kSignalForceActive = 35;
constexpr int kSignalForceStandby = 36;
constexpr int kSignalAutomatic = 37;

ZmqSocket::Settings table_socket() {
  ZmqSocket::Settings s;
  s.send_hwm = 16;
  s.recv_hwm = 64;
  return s;
}

ZmqSocket::Settings control_socket() {
  ZmqSocket::Settings s = table_socket();
  s.max_message = kMaxControlRequest;
  return s;
}

std::uint64_t random_inc() {
  std::uint64_t v = 0;
  while (v == 0)
    if (getrandom(&v, sizeof v, 0) != sizeof v) v = static_cast<std::uint64_t>(to_ns(BootClock::now()));
  return v;
}

}  // namespace

std::vector<int> service_signals() {
  return {SIGTERM, SIGINT, SIGHUP, SIGUSR1, kSignalRestamp, kSignalForceActive, kSignalForceStandby, kSignalAutomatic};
}

Service::Service(const Config& config, std::function<Options::Reloaded()> reload)
    : config_(config),
      reload_(std::move(reload)),
      status_socket_(context_, SocketKind::kSub, table_socket()),
      roles_socket_(context_, SocketKind::kPub, table_socket()),
      control_socket_(context_, SocketKind::kRouter, control_socket()),
      state_file_(config.state_file) {}

Service::~Service() = default;

// --- start

bool Service::load_state(int& exit_code) {
  std::string why;
  switch (state_file_.open(why)) {
    case StateFile::Opened::kYes:
      break;
    case StateFile::Opened::kInUse:
      log_error("refused to start", kv("reason", why));
      exit_code = kExitUsage;
      return false;
    case StateFile::Opened::kFailed:
      log_error("cannot start", kv("reason", why));
      exit_code = kExitEnvironment;
      return false;
  }
  Persisted persisted;
  if (auto loaded = state_file_.load())
    persisted = loaded.value();
  else {
    persisted.unsettled = true;  // it may have died while it sent without Redis
    log_warn("state file not readable, starting without", kv("file", config_.state_file), kv("reason", loaded.error()));
  }
  inc_ = random_inc();
  decider_ = std::make_unique<Decider>(decider_settings(config_, inc_), persisted, BootClock::now(), wall_us() / 1000);
  guard_ = std::make_unique<JoinGuard>(inc_, config_.tick, config_.ttl);
  return true;
}

Status Service::start() {
  if (config_.standalone)
    store_ = std::make_unique<MemoryStore>(config_.node, config_.ttl.count(), [] { return wall_us() / 1000; });
  else
    store_ = std::make_unique<RedisStore>(loop_, redis_settings(config_));
  if (config_.standalone) facts_.redis = "standalone";
  if (Status s = metrics_.listen(config_.metrics_listen); !s) return s;
  if (Status s = roles_socket_.bind(config_.roles_socket); !s) return s;
  if (Status s = status_socket_.connect(config_.status_socket); !s) return s;
  if (Status s = status_socket_.subscribe(); !s) return s;
  // Forwarding does not depend on it: a node that nobody can give orders to is better than none.
  if (Status s = control_socket_.bind(config_.control_socket); !s)
    log_error("no orders can be given", kv("reason", s.message() + " HINT: set control-socket"));
  persist();
  loop_.watch(control_socket_.fd(), EPOLLIN, [this](std::uint32_t) { on_control(); });
  loop_.watch(status_socket_.fd(), EPOLLIN, [this](std::uint32_t) { on_gate(); });
  loop_.on_signals(service_signals(), [this](int signo) { on_signal(signo); });
  loop_.every(config_.tick, [this] { on_tick(); });
  loop_.after(Millis{0}, [this] { look(); });
  publish_metrics();
  if (metrics_.is_on()) loop_.every(kMetricsInterval, [this] { publish_metrics(); });
  return Status::ok();
}

int Service::run() {
  int exit_code = kExitDone;
  if (!load_state(exit_code)) return exit_code;
  if (Status s = start(); !s) {
    log_error("cannot start", kv("reason", s.message()));
    return kExitEnvironment;
  }
  const std::string where = config_.standalone ? "standalone" : to_text(redis_settings(config_).address);
  log_info("started", kv("version", version()), kv("redis", where),
           kv("cluster", fmt::format("{}-{}", config_.cluster_name, config_.cluster_id)), kv("grain", config_.grain));
  if (const std::string warning = hold_warning(config_); !warning.empty())
    log_warn("hold is too short", kv("why", warning));
  loop_.run();
  return exit_code_;
}

void Service::refuse(const std::string& why) {
  log_error("refused to run", kv("reason", why));
  exit_code_ = kExitUsage;
  loop_.stop();
}

// --- joining: who uses this node's name?

void Service::look() {
  if (decider_->has_joined() || finishing_ || store_busy_) return;
  store_busy_ = true;
  const BootTime at = BootClock::now();
  store_->tick({}, [this, at](Result<TickReply> result) {
    store_busy_ = false;
    store_answered(result, at);
    if (result && !result.value().late) looked(result.value(), at);
    if (!decider_->has_joined()) loop_.after(kLookInterval, [this] { look(); });
  });
}

void Service::looked(const TickReply& reply, BootTime at) {
  const BootTime now = BootClock::now();
  switch (guard_->look(reply.before, reply.redis_ms, now)) {
    case JoinGuard::Verdict::kWait:
      return;
    case JoinGuard::Verdict::kRefuse:
      return refuse(
          fmt::format("node-name {} is in use: another ha-arbiter writes its key "
                      "HINT: give every node of the cluster its own node-name",
                      config_.node));
    case JoinGuard::Verdict::kJoin:
      break;
  }
  const auto& left = guard_->left_behind();
  decider_->join(left ? &*left : nullptr, reply.redis_ms, at, now);
  persist();
  send_tick();
}

// --- the gate

void Service::on_gate() {
  Frame frame, newest;
  bool any = false;
  while (status_socket_.try_recv(frame)) {
    newest = std::move(frame);
    any = true;
  }
  if (!any) return;
  const auto status = decode_gate_status(newest.bytes());
  if (!status) {
    if (facts_.gate_malformed++ == 0) log_error("table of kafka-gate not readable", kv("reason", status.error()));
    return;
  }
  const Millis retain = status.value().retain;
  if (retain != config_.retain && retain != other_retain_)
    log_warn("retain is not that of kafka-gate", kv("kafka_gate", retain.count()), kv("ours", config_.retain.count()),
             kv("hint", "set key retain to the same value for both; kafka-gate's counts"));
  other_retain_ = retain;
  if (decider_->gate(status.value(), BootClock::now())) decide();
}

// --- an operator

// A request is three frames: who, an empty one, the text. Anything else gets no answer.
void Service::on_control() {
  for (Frame client; control_socket_.try_recv(client); client = Frame()) {
    std::vector<Frame> rest;
    bool more = client.more();
    while (more) {
      Frame f;
      if (!control_socket_.try_recv(f)) return;
      more = f.more();
      if (rest.size() < 3) rest.push_back(std::move(f));
    }
    if (rest.size() == 2 && rest[0].bytes().empty())
      answer(client, rest[1]);
    else
      ++facts_.control_malformed;
  }
}

void Service::answer(const Frame& client, const Frame& request) {
  const BootTime now = BootClock::now();
  const Bytes text = request.bytes();
  ControlAnswer a = answer_control(
      {reinterpret_cast<const char*>(text.data()), text.size()}, *decider_,
      [&] { return state_json(*decider_, config_, facts_, alarms_, now); }, now);
  ++facts_.control_requests;
  (void)control_socket_.try_send(client.bytes(), true);
  (void)control_socket_.try_send({}, true);
  (void)control_socket_.try_send(as_bytes(a.reply));
  if (a.acted) decide();
}

// --- ticks

void Service::on_tick() {
  decider_->begin_tick(BootClock::now());
  decide();
  watch_alarms(BootClock::now());
  if (decider_->has_joined()) send_tick();
}

void Service::watch_alarms(BootTime now) {
  census_.count(*decider_, config_.alarm_after, now);
  for (const AlarmWatch::Change& c : alarms_.look(*decider_, census_, skew_, config_.alarm_after, now)) {
    const std::string about = c.router.is_zero() ? "-" : c.name.empty() ? to_hex(c.router) : c.name;
    if (c.raised && c.alarm == Alarm::kRedisClock)
      log_error(alarm_text(c.alarm), kv("alarm", alarm_name(c.alarm)), kv("milliseconds", skew_ ? skew_->count() : 0));
    else if (c.raised)
      log_error(alarm_text(c.alarm), kv("alarm", alarm_name(c.alarm)), kv("router", about), kv("why", c.detail));
    else
      log_info("alarm over", kv("alarm", alarm_name(c.alarm)), kv("router", about),
               kv("seconds", seconds_of(c.lasted)));
  }
}

// Behind a tick that was answered: what decisions need has the connection to itself until then.
void Service::send_census(BootTime now) {
  if (finishing_ || config_.standalone || now - census_sent_ < kCensusInterval) return;
  census_sent_ = now;
  const bool cut = census_.own().size() > kMaxCensusRouters;
  if (cut && !census_cut_)
    log_warn("peers of so many routers are not compared", kv("left_out", census_.own().size() - kMaxCensusRouters),
             kv("compared", kMaxCensusRouters));
  census_cut_ = cut;
  ++facts_.census;
  store_->census(census_.next_text(inc_), [this](const Result<Store::Pairs>& result) { census_answered(result); });
}

void Service::census_answered(const Result<Store::Pairs>& result) {
  if (!result) {
    ++facts_.failed_census;
    if (!std::exchange(census_failed_, true)) log_warn("census not exchanged", kv("reason", result.error()));
    return;
  }
  census_failed_ = false;
  const std::size_t malformed = census_.take(result.value(), config_.node, BootClock::now());
  facts_.malformed_census += malformed;
  if (malformed > 0 && !census_malformed_) log_warn("census of other nodes not readable", kv("nodes", malformed));
  census_malformed_ = malformed > 0;
}

void Service::tick_soon() {
  if (soon_armed_ || !decider_->has_joined()) return;
  soon_armed_ = true;
  const Nanos since = BootClock::now() - tick_sent_;
  loop_.after(std::max<Nanos>(Nanos{0}, kSoonPause - since), [this] {
    soon_armed_ = false;
    send_tick();
  });
}

std::int64_t Service::made_ms(BootTime now) const {
  if (heard_ms_ == 0) return 0;
  return heard_ms_ + std::chrono::duration_cast<Millis>(now - heard_at_).count();
}

void Service::send_tick() {
  if (finishing_) return;
  if (store_busy_) {
    tick_wanted_ = true;
    return;
  }
  tick_wanted_ = false;
  store_busy_ = true;
  const BootTime at = BootClock::now();
  tick_sent_ = at;
  ++facts_.ticks;
  store_->tick({encode_blob(decider_->blob(at)), made_ms(at)}, [this, at](Result<TickReply> result) {
    store_busy_ = false;
    ticked(std::move(result), at);
  });
}

// Once when Redis goes, once when it is back; and how far off its clock is.
void Service::store_answered(const Result<TickReply>& result, BootTime at) {
  if (!result) {
    ++facts_.failed_ticks;
    facts_.redis = result.error();
    if (redis_outage_.failed(at, BootClock::now())) log_warn("redis unreachable", kv("reason", result.error()));
    return;
  }
  heard_ms_ = result.value().redis_ms;
  heard_at_ = at;
  if (!config_.standalone) facts_.redis = "ok";
  if (const auto away = redis_outage_.works(BootClock::now()))
    log_info("redis reachable again", kv("seconds", seconds_of(*away)));
  const Millis skew(heard_ms_ - wall_us() / 1000);
  skew_.reset();
  if (std::abs(skew.count()) > kMaxSkewMs && !config_.standalone) skew_ = skew;
}

void Service::ticked(Result<TickReply> result, BootTime at) {
  const bool was_reachable = !redis_outage_.lasts();
  store_answered(result, at);
  if (finishing_) return;
  if (!result) {
    decide();
    return idle();
  }
  const TickReply& reply = result.value();
  if (reply.late) {  // a slow exchange, or a clock that stepped: its time is known now
    ++facts_.failed_ticks;
    if (was_reachable) tick_soon();
    return idle();
  }
  if (guard_->is_contested(reply.before)) {
    if (guard_->is_young(BootClock::now()))
      return refuse(
          fmt::format("node-name {} is in use: another ha-arbiter writes its key "
                      "HINT: give every node of the cluster its own node-name",
                      config_.node));
    log_error("another ha-arbiter uses this node-name", kv("node-name", config_.node));
  }
  std::size_t malformed = 0;
  const Observation observation = read_observation(reply, at, malformed);
  if (malformed > 0 && facts_.malformed == 0) log_error("values in redis are not readable", kv("count", malformed));
  facts_.malformed += malformed;
  decider_->observe(observation, BootClock::now());
  decide();
  idle();
  send_census(BootClock::now());
}

// The store is free: what waited for it goes first.
void Service::idle() {
  if (store_busy_ || finishing_) return;
  if (!forget_.empty()) return send_forget();
  if (tick_wanted_) send_tick();
}

// --- decisions

void Service::decide() {
  if (finishing_) return;
  const BootTime now = BootClock::now();
  Decision d = decider_->decide(now);
  persist();
  if (d.roles) send_roles(*d.roles);
  for (const Event& e : d.events) log(e);
  for (const auto& [router, expected] : d.forget) forget_.emplace_back(to_hex(router), expected);
  if (d.claims) send_claims(*d.claims);
  if (d.tick_soon) tick_soon();
  if (!store_busy_ && !forget_.empty()) send_forget();
  if (decider_->is_leaving() && (decider_->may_exit(now) || now - leaving_at_ >= kLeaveAtMost)) finish();
}

void Service::send_roles(const Roles& roles) { (void)roles_socket_.try_send(as_bytes(encode_roles(roles))); }

void Service::send_claims(const ClaimBatch& batch) {
  if (store_busy_) return decider_->claims_failed(BootClock::now());
  store_busy_ = true;
  facts_.claims += batch.items.size();
  store_->claim(encode_claims(batch, decider_->settings().node, made_ms(BootClock::now())),
                [this](Result<ClaimReply> result) {
                  store_busy_ = false;
                  claimed(std::move(result));
                });
}

void Service::claimed(Result<ClaimReply> result) {
  const BootTime now = BootClock::now();
  if (result && !result.value().late)
    decider_->claims_answered(result.value().won, result.value().redis_ms, now);
  else
    decider_->claims_failed(now);
  decide();
  idle();
}

void Service::send_forget() {
  store_busy_ = true;
  store_->forget(std::exchange(forget_, {}), [this](const Status& s) {
    store_busy_ = false;
    if (!s) log_debug("owner not removed", kv("reason", s.message()));
    idle();
  });
}

void Service::persist() {
  const Status s = state_file_.store(decider_->persisted());
  if (!s && !persist_failed_) log_error("state not stored", kv("reason", s.message()));
  persist_failed_ = !s;
}

void Service::log(const Event& e) {
  if (e.what == "active") ++facts_.switches;
  const bool lateness = e.what.starts_with("tick late");
  if (lateness && last_tick_warning_ == e.what) return log_debug(e.what, kv("why", e.why));
  last_tick_warning_ = lateness ? e.what : std::string();
  if (e.router.is_zero()) {
    if (e.why.empty()) return log_event(e.level, e.what);
    return log_event(e.level, e.what, kv("why", e.why));
  }
  log_event(e.level, e.what, kv("router", e.name.empty() ? to_hex(e.router) : e.name), kv("epoch", e.epoch),
            kv("why", e.why));
}

// --- signals

void Service::on_signal(int signo) {
  const BootTime now = BootClock::now();
  switch (signo) {
    case kSignalRestamp:
      decider_->command(Command::kRestamp, now);
      return decide();
    case kSignalForceActive:
      decider_->command(Command::kForceActive, now);
      return decide();
    case kSignalForceStandby:
      decider_->command(Command::kForceStandby, now);
      return decide();
    case kSignalAutomatic:
      decider_->command(Command::kAutomatic, now);
      return decide();
    case SIGHUP:
      return reload();
    case SIGUSR1:
      return dump();
    default:
      return leave();
  }
}

void Service::reload() {
  if (!log_reload(reload_())) return;
  decider_->set_delays(config_.stale_delay, config_.down_delay, config_.stall_timeout);
}

void Service::dump() {
  const Status s = write_dump(config_.dump_file, state_json(*decider_, config_, facts_, alarms_, BootClock::now()));
  if (!s) log_error("state not written", kv("reason", s.message()));
}

void Service::publish_metrics() {
  if (metrics_.is_on())
    metrics_.publish(metrics_page(*decider_, facts_, !redis_outage_.lasts(), alarms_, BootClock::now()));
}

// Hands over first: the others see `leaving` and take the routers.
void Service::leave() {
  if (decider_->is_leaving()) return finish();
  leaving_at_ = BootClock::now();
  decider_->command(Command::kLeave, leaving_at_);
  loop_.after(kLeaveAtMost, [this] { finish(); });
  decide();
}

void Service::finish() {
  if (std::exchange(finishing_, true)) return;
  send_roles(decider_->farewell(BootClock::now()));
  finish_when_idle();
}

void Service::finish_when_idle() {
  if (store_busy_) {
    loop_.after(Millis{20}, [this] { finish_when_idle(); });
    return;
  }
  const auto end = [this] {
    log_info("stopped");
    loop_.after(kFarewell, [this] { loop_.stop(); });
  };
  if (!decider_->has_joined()) return end();
  store_busy_ = true;
  store_->leave([this, end](const Status& s) {
    store_busy_ = false;
    if (!s) log_debug("key not removed", kv("reason", s.message()));
    end();
  });
}

}  // namespace bmpha::arbiter
