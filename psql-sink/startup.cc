#include "psql-sink/startup.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "common/backoff.h"
#include "common/log.h"
#include "common/options.h"
#include "psql-sink/migrations.h"

namespace bmpha::sink {
namespace {

enum class Step { kDone, kRetry, kRefused, kStop };

// Waits between attempts; true when a signal asks to end.
bool interrupted(Millis delay) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  timespec t{};
  t.tv_sec = delay.count() / 1000;
  t.tv_nsec = delay.count() % 1000 * 1000000;
  return sigtimedwait(&set, nullptr, &t) > 0;
}

// Tries until it is done, refused, or a signal ends the waiting.
template <class F>
Step insist(const char* what, F attempt) {
  Backoff backoff;
  for (;;) {
    std::string why;
    const Step step = attempt(why);
    if (step != Step::kRetry) {
      if (step == Step::kRefused) log_error("refused to start", kv("reason", why));
      return step;
    }
    const Millis delay = backoff.next();
    if (backoff.failures() == 1) log_warn(what, kv("error", why));
    if (interrupted(delay)) return Step::kStop;
  }
}

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

std::optional<int> exit_code(Step step) {
  switch (step) {
    case Step::kDone:
      return std::nullopt;
    case Step::kRefused:
      return kExitUsage;
    default:
      return kExitDone;
  }
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
          "HINT: set partitions = {} in gates and sinks alike, or use an empty database",
          topic, partitions, config.partitions, partitions);
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

std::optional<int> prepare(const SinkConfig& config, bool migrate_only) {
  const Step database = insist("database unreachable, retrying",
                               [&](std::string& why) { return prepare_database(config, migrate_only, why); });
  if (database != Step::kDone) return exit_code(database);
  if (migrate_only) return kExitDone;
  return exit_code(
      insist("Kafka unreachable, retrying", [&](std::string& why) { return prepare_topics(config, why); }));
}

}  // namespace bmpha::sink
