// What must hold before anything is consumed: schema up to date, this database fed by this group from these topics,
// topics with the partition count that gate and database know. Waits for servers that are away.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "psql-sink/sink.h"

namespace bmpha::sink {

// How signals are answered while it waits, and whether it does wait: a command that an operator looks at does not.
struct StartupHooks {
  std::function<void(const std::string& waiting_for)> dump;  // USR1
  std::function<void()> hangup;                              // HUP
  bool wait = true;
};

// None: go on. Else the exit code; what is wrong has been said.
std::optional<int> prepare(const SinkConfig& config, bool migrate_only, const StartupHooks& hooks);

// The database's own record of its source; empty when it fits (and is recorded now), else what is wrong and the remedy.
// `reached` is false when the database could not be asked.
std::string claim_topics(PgConnection& pg, const SinkConfig& config, bool& reached);

// After a change of layout peers go on in the same partition of another topic: those that are never heard of again
// would belong to nobody, and stay up for ever. To be called once Kafka has those topics. Topics that neither layout
// names are those of other sinks: their peers stay where they are.
Status adopt_peers(PgConnection& pg, const SinkConfig& config);

}  // namespace bmpha::sink
