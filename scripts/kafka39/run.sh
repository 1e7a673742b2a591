#!/bin/bash
# run.sh DIR PORT JARS: becomes a single-node Apache Kafka 3.9 (KRaft: broker and controller in one process) on
# loopback, data below DIR. The broker listens on PORT, the controller on PORT+1. Formats DIR at the first start.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
[[ $# == 3 ]] || usage_error "usage: run.sh DIR PORT JARS"
dir=$(realpath -m -- "$1") port=$2 jars=$3
command -v java >/dev/null || fail "java is missing HINT: scripts/install-deps"
mkdir -p "$dir"

cat >"$dir/log4j.properties" <<X
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
X
# Topics are made by an explicit command only, as in production; a broker that was killed must not wait out the
# default session of 9 s before it serves again.
cat >"$dir/server.properties" <<X
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/data
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
X
logging=-Dlog4j.configuration=file:$dir/log4j.properties
if [[ ! -s $dir/data/meta.properties ]]; then
  # A cluster id is 16 random bytes in URL-safe base64, not beginning with a dash.
  id=A$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)
  java "$logging" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$jars/*" kafka.tools.StorageTool format \
    -t "$id" -c "$dir/server.properties" >"$dir/format.log" 2>&1 || fail "cannot format $dir/data: $dir/format.log"
fi
exec java "-Xmx${KAFKA_HEAP:-768m}" -XX:+UseSerialGC "$logging" -cp "$jars/*" kafka.Kafka "$dir/server.properties"
