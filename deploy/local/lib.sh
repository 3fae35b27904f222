# shellcheck shell=bash
# What dev and everything in deploy/local share; sourced, never run.
# State lies in one folder that the users of the servers can reach, so never below a home that is closed to others.
# It is created here; a folder of that name that belongs to somebody else is refused.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STATE=${TRUECOPY_STATE:-/var/tmp/truecopy-$(id -u)}
case $STATE in /*) ;; *) STATE=$PWD/$STATE ;; esac
OFFSET=${TRUECOPY_PORT_OFFSET:-0}
# A second stack beside the first has data and ports of its own: TRUECOPY_STACK=test (what ./dev test uses).
STACK=${TRUECOPY_STACK:-}
case $STACK in
  '') RUN=$STATE ;;
  test) RUN=$STATE/test OFFSET=$((OFFSET + 100)) ;;
  *) RUN=$STATE/$STACK OFFSET=$((OFFSET + 200)) ;;
esac
LOGS=$RUN/logs

say() { printf '%s: %s\n' "${PROGRAM:-truecopy}" "$*" >&2; }
fail() { say "$*"; exit 1; }

make_state() {
  [ ! -e "$STATE" ] || [ -O "$STATE" ] || fail "$STATE belongs to somebody else (TRUECOPY_STATE names another folder)"
  (umask 022 && mkdir -p "$LOGS") 2>/dev/null || fail "cannot write to $STATE (TRUECOPY_STATE names another folder)"
}

# step LOG TEXT COMMAND...: one line with the seconds it took; what the command prints goes to LOG.
step() {
  local log=$1 text=$2 from=$SECONDS code=0
  shift 2
  printf '%s: %s … ' "${PROGRAM:-truecopy}" "$text" >&2
  "$@" >>"$log" 2>&1 </dev/null || code=$?
  if [ "$code" = 0 ]; then printf '%s s\n' "$((SECONDS - from))" >&2; else printf 'failed\n' >&2; fi
  return "$code"
}

# names [KIND]: the rows of the table. port NAME [2]: the first (second) port of a row of the table; nothing for `-`.
port() {
  local column=$((${2:-1} + 2)) number
  number=$(awk -v name="$1" -v column="$column" '$1 == name { print $column }' "$HERE/ports")
  case $number in '' | -) return 0 ;; esac
  echo $((number + OFFSET))
}
# servers [SERVICE]: every server, or those that a service uses: the lines of SERVICE.servers.
names() { awk -v kind="${1:-}" '!/^#/ && NF && (kind == "" || $2 == kind) { print $1 }' "$HERE/ports"; }
servers() {
  if [ -z "${1:-}" ]; then names server; return; fi
  [ -r "$HERE/$1.servers" ] || fail "no service called $1: there is no deploy/local/$1.servers"
  cat "$HERE/$1.servers"
}

# The start of a process in clock ticks since boot: with it a number that was given again is not taken for ours.
# A process that is dead and not reaped yet is a zombie, on which `kill -0` still succeeds: it counts as gone.
started() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  # the second field is the command in parentheses and may hold blanks
  # shellcheck disable=SC2086 # cut into fields on purpose
  set -- ${stat##*) }
  [ "$1" != Z ] && echo "${20}"
}

# A pid file holds `PID START`. pid_of FILE prints the number only while that very process runs.
pid_of() {
  local pid='' start=''
  { read -r pid start <"$1"; } 2>/dev/null || return 1
  [ -n "$start" ] && [ "$(started "$pid")" = "$start" ] && echo "$pid"
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# GET PATH on a loopback port: 0 when the answer is 200. Needs no curl.
answers() {
  local line=''
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
  read -r -t 2 line <&3
  exec 3>&-
  case $line in HTTP/1.?" 200"*) return 0 ;; *) return 1 ;; esac
} 2>/dev/null

# spawn COMMAND...: starts NAME in a session of its own, so that it outlives this script and never holds its output.
spawn() {
  # shellcheck disable=SC2153 # LOG and PIDFILE are those of `server`
  [ ! -s "$LOG" ] || mv "$LOG" "$LOG.1"
  : >"$LOG" # emptied here and not by the child: readiness must never read the log of an earlier start
  setsid "$@" >>"$LOG" 2>&1 </dev/null &
  local pid=$!
  disown "$pid"
  echo "$pid $(started "$pid")" >"$PIDFILE"
}

# built PATH: a program that cargo built for the desk. CARGO_TARGET_DIR counts from where `just` runs cargo: the project.
built() { (cd "$HERE/../.." && realpath "${CARGO_TARGET_DIR:-target}/debug/$1"); }

# Docker serves when its engine answers and its compose plugin is there.
docker_serves() { command -v docker >/dev/null && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }
