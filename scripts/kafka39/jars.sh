#!/bin/bash
# jars.sh: sees to it that the jars of a Kafka 3.9 broker are there, and prints their directory.
# KAFKA_JARS names a directory that has them already; else build/kafka39/libs is filled once through Maven.
# Exit code 75: Maven's repository cannot be reached; 76: it can, but Maven failed; 111: something else is wrong.
# What Maven's log says of the network is not believed alone: a download may break on a good day too, so the repository
# is asked, and when it answers Maven gets a second try.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

if [[ -n ${KAFKA_JARS:-} ]]; then
  compgen -G "$KAFKA_JARS/kafka_2.*.jar" >/dev/null || fail "KAFKA_JARS=$KAFKA_JARS has no kafka_2.*.jar"
  say "$KAFKA_JARS"
  exit
fi
dir=$TREE/build/kafka39

# run_maven SECONDS
run_maven() {
  timeout "$1" mvn -q -B -f "$dir/pom.xml" -Djars="$dir/libs" package >"$dir/mvn.log" 2>&1
}
# Does the log look as if there were no way to the repository? One with nothing but colours: it hung.
blames_network() {
  local words='unknown host|name resolution|connection (refused|reset)|timed out|network is unreachable|no route to host'
  words+='|PKIX|handshake|offline mode|forbidden|proxy'
  ! sed 's/\x1b\[[0-9;]*m//g' "$dir/mvn.log" | grep -q '[^[:space:]]' || grep -qiE "$words" "$dir/mvn.log"
}
fetch() {
  run_maven 300 && return
  if blames_network; then
    if ! "$PYTHON" -B "$TREE/scripts/kafka39/probe.py"; then
      note "Maven's repository cannot be reached: $dir/mvn.log"
      exit 75
    fi
    note "Maven blames the network, but the repository answers: a second try"
    run_maven 120 && return
  fi
  note "Maven failed: $dir/mvn.log"
  exit 76
}

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9  # two starts at once fetch once
if [[ ! -e $dir/complete ]]; then
  command -v mvn >/dev/null || fail "mvn is missing HINT: scripts/install-deps"
  note "fetching the jars of Apache Kafka 3.9 through Maven (once, 46 MB)"
  cp "$TREE/scripts/kafka39/pom.xml" "$dir/pom.xml"
  fetch
  : >"$dir/complete"
fi
say "$dir/libs"
