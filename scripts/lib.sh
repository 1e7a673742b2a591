# Common ground of the scripts here; sourced, never run. Needs bash.
# shellcheck shell=bash

TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Not the python3 in PATH: the modules of Debian belong to this one.
# shellcheck disable=SC2034
PYTHON=/usr/bin/python3
PROGRAM=${0##*/}

say() { printf '%s\n' "$*"; }
note() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }
# usage_error, fail: exit codes as everywhere in the tree, 100 usage or configuration, 111 environment.
usage_error() { note "$*"; exit 100; }
fail() { note "$*"; exit 111; }

# The directory of the built programs; an installed tree finds them in PATH.
bin_dir() { printf '%s\n' "${BMPHA_BIN:-$TREE/build/${BUILD:-release}/bin}"; }
tool_path() {
  local path
  path=$(bin_dir)/$1
  if [[ -x $path ]]; then
    printf '%s\n' "$path"
  elif path=$(command -v "$1"); then
    printf '%s\n' "$path"
  else
    fail "program $1 is neither in $(bin_dir) nor in PATH HINT: run make"
  fi
}

# Runs make without the job server and flags of a make above this script.
run_make() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory -C "$TREE" -j "$(nproc)" "$@"; }

# --- processes -------------------------------------------------------------------------------------------------------
# A process is remembered as FILE.pid (its pid, nothing else) and FILE.start (its start time), so that a pid which was
# given to somebody else meanwhile is never signalled.
process_start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }  # the name in parentheses may hold spaces
  # shellcheck disable=SC2086
  set -- $stat
  [[ $1 != Z && $1 != X ]] || return 1
  printf '%s\n' "${20}"
}

# remember_process FILE PID
remember_process() {
  printf '%s\n' "$2" >"$1.pid"
  process_start_time "$2" >"$1.start" || true
}

# process_of FILE: the pid when that very process still runs, else status 1.
process_of() {
  local pid start
  [[ -s $1.pid && -s $1.start ]] || return 1
  pid=$(<"$1.pid")
  start=$(process_start_time "$pid") || return 1
  [[ $start == "$(<"$1.start")" ]] || return 1
  printf '%s\n' "$pid"
}

# launch FILE LOG COMMAND...: starts it in a session of its own, stdin closed, output appended to LOG.
launch() {
  local file=$1 log=$2
  shift 2
  setsid "$@" </dev/null >>"$log" 2>&1 &
  remember_process "$file" "$!"
}

# stop_process FILE SIGNAL SECONDS: signals, waits, kills after the bound. Nothing there is success.
stop_process() {
  local pid deadline
  if pid=$(process_of "$1"); then
    kill -s "$2" "$pid" 2>/dev/null || true
    deadline=$((SECONDS + $3))
    while process_of "$1" >/dev/null; do
      if ((SECONDS >= deadline)); then
        note "process $pid (${1##*/}) did not end within $3 s, killed"
        kill -s KILL "$pid" 2>/dev/null || true
        sleep 0.2
        break
      fi
      sleep 0.05
    done
  fi
  rm -f "$1.pid" "$1.start"
}

# wait_until SECONDS COMMAND...: polls; status 1 when the time is over.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

port_answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# free_ports COUNT: the first of COUNT neighbouring ports that nobody listens on, below the ephemeral range.
free_ports() {
  local base try n
  for ((try = 0; try < 200; ++try)); do
    base=$((20000 + (RANDOM % 1000) * 10))
    for ((n = 0; n < $1; ++n)); do
      ! port_answers 127.0.0.1 $((base + n)) || continue 2
    done
    printf '%s\n' "$base"
    return
  done
  fail "found no $1 free ports between 20000 and 30000"
}

# --- run directories -------------------------------------------------------------------------------------------------
SOCKET_PATH_LIMIT=107  # bytes of a UNIX socket's path

# Can the user of the database server reach this directory?
postgres_can_reach() {
  [[ $(id -u) == 0 ]] || return 0
  id postgres >/dev/null 2>&1 || return 0
  setpriv --reuid=postgres --regid=postgres --clear-groups test -x "$1" 2>/dev/null
}

# The data directory when none is given: .run in the tree, or one below /var/tmp where the tree cannot serve.
default_run_dir() {
  local dir=${BMPHA_RUN_DIR:-}
  if [[ -z $dir ]]; then
    dir=$TREE/.run
    if ((${#dir} > 60)) || [[ ! -w $TREE ]] || ! postgres_can_reach "$TREE"; then
      dir=/var/tmp/bmp-ha-$(id -un)
    fi
  fi
  printf '%s\n' "$dir"
}

# make_run_dir DIR: creates it, refuses one that sockets or the database server could not use, prints its full path.
make_run_dir() {
  local dir
  dir=$(realpath -m -- "$1")
  mkdir -p "$dir"
  ((${#dir} <= SOCKET_PATH_LIMIT - 35)) ||
    usage_error "directory $dir: the path is too long for UNIX sockets HINT: take one below /var/tmp"
  printf '%s\n' "$dir"
}

# load_env DIR: KAFKA_BROKERS, REDIS_URL, DATABASE_URL, BROKER as `servers start` wrote them.
load_env() {
  [[ -r $1/env ]] || fail "no servers in $1: $1/env is missing HINT: scripts/servers start $1"
  # shellcheck disable=SC1091
  . "$1/env"
}

EMBEDDED_LIMITS="keeps about 5 MiB per partition and drops older data silently, keeps nothing when it ends, \
has no topic administration; loss cannot be judged with it"
# Says which broker is in use; the embedded one with what it cannot do.
say_broker() {
  case $1 in
    embedded) say "broker: embedded ($EMBEDDED_LIMITS)" ;;
    *) say "broker: $1" ;;
  esac
}

# --- configuration files ---------------------------------------------------------------------------------------------
# toml KEY VALUE...: one line; several values make a list. Numbers and true/false stay bare.
toml() {
  local key=$1 out='' value
  shift
  for value in "$@"; do
    [[ $value != *[\"\\]* && $value != *$'\n'* ]] || usage_error "value of $key holds a quote, backslash or newline: $value"
    [[ $value =~ ^([0-9]+|true|false)$ ]] || value="\"$value\""
    out+=${out:+, }$value
  done
  (($# == 1)) && printf '%s = %s\n' "$key" "$out" || printf '%s = [%s]\n' "$key" "$out"
}

# toml_value FILE KEY: the bare value of a line `KEY = "value"`, empty when absent.
toml_value() { sed -n "s/^$2 *= *\"\{0,1\}\([^\"]*\)\"\{0,1\} *\$/\1/p" "$1" | head -n 1; }

# override FILE TOOL SETTING...: puts the settings that are written TOOL.KEY=VALUE into the file. A repeated key makes
# a list.
override() {
  local file=$1 tool=$2 setting key
  local -A values=()
  shift 2
  for setting in "$@"; do
    [[ $setting == "$tool".?*=* ]] || continue
    key=${setting#"$tool".}
    values[${key%%=*}]+=${key#*=}$'\n'
  done
  for key in "${!values[@]}"; do
    sed -i "/^$key *=/d" "$file"
    mapfile -t setting <<<"${values[$key]%$'\n'}"
    toml "$key" "${setting[@]}" >>"$file"
  done
}

# check_settings TOOLS SETTING...: every setting must name one of the tools.
check_settings() {
  local tools=$1 setting
  shift
  for setting in "$@"; do
    [[ $setting == ?*.?*=* && " $tools " == *" ${setting%%.*} "* ]] ||
      usage_error "--set $setting: expected TOOL.KEY=VALUE with one of: $tools"
  done
}

# start_tools DIR TOOL...: starts those that do not run, each with DIR/TOOL.toml, and watches them for a moment.
start_tools() {
  local dir=$1 tool program
  shift
  for tool in "$@"; do
    process_of "$dir/$tool" >/dev/null && continue
    program=$(tool_path "$tool")
    "$program" --config "$dir/$tool.toml" --check >/dev/null || exit 100
    launch "$dir/$tool" "$dir/$tool.log" "$program" --config "$dir/$tool.toml"
  done
  sleep 0.3
  for tool in "$@"; do
    if ! process_of "$dir/$tool" >/dev/null; then
      tail -n 5 "$dir/$tool.log" >&2
      fail "$tool ended at its start: $dir/$tool.log"
    fi
  done
}

# pause_between_starts TOOL: under supervisord, which starts anew at once, no two starts are closer than START_PAUSE seconds.
# Waits without a child, since a stop must leave nothing behind.
START_PAUSE=2
pause_between_starts() {
  [[ -n ${SUPERVISOR_ENABLED:-} ]] || return 0
  [[ -n ${BMPHA_RUN:-} ]] || { idle "$START_PAUSE"; return; }  # nowhere to note a start
  local stamp=$BMPHA_RUN/$1.started before='' now wait
  now=$(hundredths_since_boot)
  [[ ! -s $stamp ]] || read -r before <"$stamp" || true
  [[ $before =~ ^[0-9]{1,15}$ ]] || before=0
  wait=$((before + START_PAUSE * 100 - now))
  # A stamp from before the last boot may lie ahead: then nothing is known.
  if ((before > 0 && before <= now && wait > 0)); then
    note "started less than $START_PAUSE s ago, waiting"
    idle "$((wait / 100)).$(printf '%02d' $((wait % 100)))"
  fi
  # What cannot be noted (a full disk) is paid for each time.
  { hundredths_since_boot >"$stamp"; } 2>/dev/null || idle "$START_PAUSE"
}
idle() { read -rt "$1" <> <(:) || true; }
hundredths_since_boot() {
  local up
  read -r up _ </proc/uptime
  printf '%s\n' "$((10#${up/./}))"
}

# show_tools DIR TOOL...: status 1 when one is down.
show_tools() {
  local dir=$1 tool pid down=0
  shift
  for tool in "$@"; do
    if pid=$(process_of "$dir/$tool"); then
      say "${dir##*/} $tool: running pid=$pid"
    else
      say "${dir##*/} $tool: not running"
      down=1
    fi
  done
  return $down
}

# show_usage SCRIPT: the comment at its top.
show_usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$1"; }

# create_topics DIR NODE: as an operator would; the embedded broker was started with its topic.
create_topics() {
  (
    load_env "$1"
    [[ $BROKER != embedded ]] || exit 0
    "$(tool_path kafka-gate)" --config "$1/$2/kafka-gate.toml" --create-topics >>"$1/topics.log" 2>&1
  ) || fail "cannot create the topics: $1/topics.log: $(tail -n 1 "$1/topics.log" 2>/dev/null)"
}
