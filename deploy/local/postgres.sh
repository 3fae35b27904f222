# shellcheck shell=bash
# PostgreSQL from 15 on as a private cluster, from the distribution's package; see `server`.

ADMIN=truecopy # superuser and password: the server listens on loopback only and holds nothing but test data

# Where its programs are: the newest that is installed.
find_postgres() {
  local bin newest=''
  for bin in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V); do
    [ -x "$bin/postgres" ] || continue
    [ "$("$bin/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')" -lt 15 ] || newest=$bin
  done
  [ -n "$newest" ] && echo "$newest"
}

packages() { find_postgres >/dev/null || echo 'postgresql-15|postgresql'; }

# It refuses to run as root: then it runs as the user whom the package made.
identity() {
  if [ "$(id -u)" = 0 ]; then AS=(setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp) OWNER=postgres
  else AS=() OWNER=$(id -un); fi
}

init() {
  local password=$DIR/password code=0
  # -N: no fsync of a cluster that is fresh and empty; the server itself runs with fsync on
  printf '%s\n' "$ADMIN" >"$password"
  [ "$OWNER" = "$(id -un)" ] || chown "$OWNER" "$password"
  "${AS[@]}" "$bin/initdb" -D "$DIR/data" -U "$ADMIN" --pwfile="$password" -A scram-sha-256 -E UTF8 --locale=C -k -N \
    >"$LOGS/postgres-initdb.log" 2>&1 </dev/null || code=$?
  rm -f "$password"
  [ "$code" = 0 ] || { tail -n 15 "$LOGS/postgres-initdb.log" >&2; return 1; }
}

launch() {
  local bin
  bin=$(find_postgres)
  identity
  [ "$OWNER" = "$(id -un)" ] || chown "$OWNER" "$DIR"
  "${AS[@]}" test -w "$DIR" 2>/dev/null || fail "the user $OWNER cannot reach $DIR (TRUECOPY_STATE names another folder)"
  cd "$DIR" || return 1
  [ -s data/PG_VERSION ] || init
  sed "s#@PORT@#$(port postgres)#" "$HERE/postgres/postgresql.conf.in" >"$DIR/postgresql.conf"
  # After SIGKILL the data folder still names the old process. PostgreSQL sees for itself whether it is gone,
  # except for a zombie (a container whose first process reaps late): it takes that for a running server.
  local old=''
  { read -r old <data/postmaster.pid; } 2>/dev/null || old=
  [ -z "$old" ] || started "$old" >/dev/null || rm -f data/postmaster.pid
  spawn "${AS[@]}" "$bin/postgres" -D "$DIR/data" --config-file="$DIR/postgresql.conf" \
    --hba-file="$DIR/data/pg_hba.conf" --ident-file="$DIR/data/pg_ident.conf"
}

serves() {
  : "${BIN:=$(find_postgres)}"
  "$BIN/pg_isready" -q -h 127.0.0.1 -p "$(port postgres)" # 5 ms, and no password
}
address() { echo "postgres://$ADMIN:$ADMIN@127.0.0.1:$(port postgres)/postgres"; }
environment() { echo "TRUECOPY_TEST_DATABASE=$(address)"; }
end() { kill -INT "$1"; } # the fast shutdown: open connections do not hold it up

create() { # DATABASE...
  local name bin
  bin=$(find_postgres)
  for name in "$@"; do
    if [ "$("$bin/psql" "$(address)" -AtqX -v "name=$name" <<<"select count(*) from pg_database where datname = :'name'")" = 0 ]; then
      "$bin/psql" "$(address)" -qX -v ON_ERROR_STOP=1 -v "name=$name" <<<'create database :"name"'
      echo "created $name"
    else
      echo "exists $name"
    fi
  done
}
