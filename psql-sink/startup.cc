#include "psql-sink/startup.h"

#include <fmt/format.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <future>
#include <system_error>

#include "common/backoff.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outage.h"
#include "psql-sink/migrations.h"

namespace bmpha::sink {
namespace {

enum class Step { kDone, kRetry, kRefused, kStop };

// Tries until it is done, refused, or a signal ends it. Attempts block, so each runs in a thread; signals are answered
// at once meanwhile.
class Startup {
 public:
  explicit Startup(const StartupHooks& hooks) : hooks_(hooks), done_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (done_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    loop_.on_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1}, [this](int signo) { on_signal(signo); });
    loop_.watch(done_fd_, EPOLLIN, [this](std::uint32_t) { ended(); });
  }
  ~Startup() { close(done_fd_); }
  Startup(const Startup&) = delete;
  Startup& operator=(const Startup&) = delete;

  using Attempt = std::function<Step(std::string& why)>;
  Step insist(const std::string& server, Attempt attempt) {
    server_ = server;
    attempt_ = std::move(attempt);
    step_ = Step::kRetry;
    waiting_for_ = server + ": not answered yet";
    backoff_.reset();
    if (stopping_) return Step::kStop;
    begin();
    loop_.run();
    return step_;
  }

 private:
  struct Outcome {
    Step step;
    std::string why;
  };

  void begin() {
    began_ = BootClock::now();
    running_ = std::async(std::launch::async, [this] {
      Outcome o{Step::kRetry, {}};
      o.step = attempt_(o.why);
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto n = write(done_fd_, &one, sizeof one);  // the counter is at 0
      return o;
    });
  }
  void ended() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto n = read(done_fd_, &count, sizeof count);
    const Outcome o = running_.get();
    const bool reached = o.step != Step::kRetry;
    if (reached) {
      waiting_for_.clear();
      if (const auto away = outage_.works(BootClock::now()))
        log_info(server_ + " reachable again", kv("seconds", seconds_of(*away)));
    } else {
      waiting_for_ = fmt::format("{}: {}", server_, o.why);
      if (outage_.failed(began_, BootClock::now()))
        log_event(hooks_.wait ? LogLevel::kWarn : LogLevel::kError,
                  server_ + (hooks_.wait ? " unreachable, retrying" : " unreachable"), kv("error", o.why));
    }
    if (o.step == Step::kRefused) log_error("refused to start", kv("reason", o.why));
    if (stopping_) return finish(Step::kStop);
    if (reached || !hooks_.wait) return finish(o.step);
    loop_.after(backoff_.next(), [this] { begin(); });
  }
  void finish(Step step) {
    step_ = step;
    loop_.stop();
  }
  void on_signal(int signo) {
    if (signo == SIGUSR1) return hooks_.dump(waiting_for_);
    if (signo == SIGHUP) return hooks_.hangup();
    stopping_ = true;
    if (!running_.valid()) finish(Step::kStop);  // else when the attempt has ended, which it does within seconds
  }

  const StartupHooks& hooks_;
  EventLoop loop_;
  int done_fd_;
  std::string server_, waiting_for_;
  Attempt attempt_;
  std::future<Outcome> running_;
  BootTime began_{};
  Backoff backoff_;
  Outage outage_;
  Step step_ = Step::kRetry;
  bool stopping_ = false;
};

Step prepare_database(const SinkConfig& config, bool migrate_only, std::string& why) {
  PgConnection pg(config.writer.database);
  if (const Status s = pg.connect(); !s) {
    why = s.message();
    return Step::kRetry;
  }
  const MigrateResult m = migrate(pg);
  if (m.outcome != MigrateOutcome::kDone) {
    why = m.message;
    return m.outcome == MigrateOutcome::kUnreachable ? Step::kRetry : Step::kRefused;
  }
  if (m.applied > 0 || migrate_only) log_info("schema", kv("version", m.version), kv("applied", m.applied));
  if (migrate_only) return Step::kDone;
  bool reached = true;
  why = claim_topics(pg, config, reached);
  if (why.empty()) return Step::kDone;
  return reached ? Step::kRefused : Step::kRetry;
}

Step prepare_topics(const SinkConfig& config, std::string& why) {
  static constexpr Millis kTimeout{5000};
  auto topics = KafkaTopics::open(config.kafka);
  if (!topics) {
    why = topics.error();
    return Step::kRefused;
  }
  for (const std::string& topic : config.topics) {
    const Result<TopicInfo> info = topics.value()->describe(topic, true, kTimeout);
    if (!info) {
      why = info.error();
      return Step::kRetry;
    }
    const TopicVerdict verdict = judge_topic(info.value(), topic, config.partitions);
    for (const std::string& w : verdict.warn) log_warn("topic", kv("detail", w));
    if (verdict.refuse.empty()) continue;
    why = fmt::format("{}", verdict.refuse.front());
    return Step::kRefused;
  }
  return Step::kDone;
}

Step prepare_peers(const SinkConfig& config, std::string& why) {
  PgConnection pg(config.writer.database);
  Status s = pg.connect();
  if (s) s = adopt_peers(pg, config);
  why = s.message();
  return s ? Step::kDone : Step::kRetry;
}

std::optional<int> exit_code(Step step) {
  switch (step) {
    case Step::kDone:
      return std::nullopt;
    case Step::kRefused:
      return kExitUsage;
    case Step::kRetry:
      return kExitEnvironment;
    case Step::kStop:
      break;
  }
  return kExitDone;
}

// What is stored against what is configured; empty when they fit.
std::string contradiction(const PgResult& known, const SinkConfig& config) {
  for (int n = 0; n < known.rows(); ++n) {
    const std::string_view topic = known.text(n, 0), group = known.text(n, 1);
    if (group != config.writer.group)
      return fmt::format(
          "this database is filled by consumer group \"{}\", not \"{}\" HINT: set group-id = {}, or use "
          "a database of its own",
          group, config.writer.group, group);
    const bool ours = std::find(config.topics.begin(), config.topics.end(), topic) != config.topics.end();
    const std::int64_t partitions = known.number(n, 2);
    if (ours && partitions != static_cast<std::int64_t>(config.partitions))
      return fmt::format(
          "topic \"{}\" had {} partitions when this database was filled, the configuration says {} "
          "HINT: set partitions = {} in gates and sinks alike; if the topic was changed, {}",
          topic, partitions, config.partitions, partitions, kPartitionsRemedy);
  }
  return {};
}

}  // namespace

std::string claim_topics(PgConnection& pg, const SinkConfig& config, bool& reached) {
  const auto failed = [&](const PgResult& r) {
    reached = pg.usable();
    std::string why = r.error();
    if (reached) pg.exec("ROLLBACK");
    return why;
  };
  // Looked at and written under one lock: of two that start at once with different settings, one is refused.
  if (const PgResult r = pg.exec("BEGIN; LOCK TABLE ingest_topic IN EXCLUSIVE MODE"); !r) return failed(r);
  const PgResult known = pg.exec("SELECT topic, group_id, partitions FROM ingest_topic ORDER BY topic");
  if (!known) return failed(known);
  if (std::string why = contradiction(known, config); !why.empty()) {
    pg.exec("ROLLBACK");
    return why;
  }
  for (const std::string& topic : config.topics) {
    const PgResult r =
        pg.exec("INSERT INTO ingest_topic (topic, group_id, partitions) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                {topic, config.writer.group, std::to_string(config.partitions)});
    if (!r) return failed(r);
  }
  if (const PgResult r = pg.exec("COMMIT"); !r) return failed(r);
  return {};
}

Status adopt_peers(PgConnection& pg, const SinkConfig& config) {
  const PgResult r = pg.exec(
      "UPDATE peers p SET topic = $1, opener_offset = -1 FROM ingest_topic t WHERE p.topic = t.topic AND p.topic = $2 "
      "AND $1 NOT IN ('', $2) AND t.partitions = $3::int4",
      {config.ordering_topic, config.former_topic, std::to_string(config.partitions)});
  if (!r) return Status::error(r.error());
  if (r.affected() > 0)
    log_info("peers moved from the topic of the other layout", kv("peers", r.affected()),
             kv("from", config.former_topic), kv("to", config.ordering_topic));
  return Status::ok();
}

std::optional<int> prepare(const SinkConfig& config, bool migrate_only, const StartupHooks& hooks) {
  Startup startup(hooks);
  const Step database =
      startup.insist("database", [&](std::string& why) { return prepare_database(config, migrate_only, why); });
  if (database != Step::kDone) return exit_code(database);
  if (migrate_only) return kExitDone;
  const Step topics = startup.insist("Kafka", [&](std::string& why) { return prepare_topics(config, why); });
  if (topics != Step::kDone) return exit_code(topics);
  return exit_code(startup.insist("database", [&](std::string& why) { return prepare_peers(config, why); }));
}

}  // namespace bmpha::sink
