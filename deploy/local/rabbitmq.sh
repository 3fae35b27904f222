# shellcheck shell=bash
# RabbitMQ as a private node, from the distribution's package; see `server`. Nothing is read from /etc/rabbitmq.

RABBIT_USER=truecopy # name and password: the node listens on loopback only and holds nothing but test data

find_rabbitmq() {
  local sbin newest=''
  for sbin in $(printf '%s\n' /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin | sort -V); do
    [ ! -x "$sbin/rabbitmq-server" ] || newest=$sbin
  done
  [ -n "$newest" ] && echo "$newest"
}

packages() { find_rabbitmq >/dev/null || echo rabbitmq-server; }

# Root's node runs as the user whom the package made.
identity() {
  if [ "$(id -u)" = 0 ]; then AS=(setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups) OWNER=rabbitmq
  else AS=() OWNER=$(id -un); fi
}

# Each node has a name service of its own, one port above that of its node: without it the node would start the one of the
# whole machine, which outlives it.
epmd_port() { echo $(($(port rabbitmq 2) + 1)); }

surroundings() {
  unset NOTIFY_SOCKET
  export HOME=$DIR LANG=C.UTF-8 ERL_CRASH_DUMP_SECONDS=0 ERL_EPMD_ADDRESS=127.0.0.1
  ERL_EPMD_PORT=$(epmd_port) RABBITMQ_DIST_PORT=$(port rabbitmq 2) RABBITMQ_NODENAME=truecopy$(port rabbitmq)@localhost
  export ERL_EPMD_PORT RABBITMQ_DIST_PORT RABBITMQ_NODENAME
  export RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE=$DIR/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$DIR/enabled_plugins
  export RABBITMQ_MNESIA_BASE=$DIR/data RABBITMQ_LOG_BASE=$DIR/log RABBITMQ_LOGS=$DIR/log/node.log
  export RABBITMQ_GENERATED_CONFIG_DIR=$DIR/generated RABBITMQ_PID_FILE=$DIR/beam.pid
  export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
  export ERL_FLAGS='+sbwt none +sbwtdcpu none +sbwtdio none' # waiting without spinning, also in the helpers that it starts
  export RUNNING_UNDER_SYSTEMD=1 # its start script then becomes the node: one process, whose number is known
}

launch() {
  local sbin
  sbin=$(find_rabbitmq)
  identity
  mkdir -p "$DIR"/{data,log,generated}
  # any private file will do; it belongs to the user of the node
  [ -s "$DIR/.erlang.cookie" ] || head -c 30 /dev/urandom | base64 | tr -dc A-Za-z0-9 >"$DIR/.erlang.cookie"
  chmod 400 "$DIR/.erlang.cookie"
  echo '[].' >"$DIR/enabled_plugins"
  sed -e "s#@PORT@#$(port rabbitmq)#" -e "s#@USER@#$RABBIT_USER#" "$HERE/rabbitmq/rabbitmq.conf.in" >"$DIR/rabbitmq.conf"
  [ "$OWNER" = "$(id -un)" ] || chown -R "$OWNER": "$DIR"
  "${AS[@]}" test -w "$DIR" 2>/dev/null || fail "the user $OWNER cannot reach $DIR (TRUECOPY_STATE names another folder)"
  cd "$DIR" || return 1
  surroundings
  ! taken "$ERL_EPMD_PORT" || fail "port $ERL_EPMD_PORT is taken by another process, so RabbitMQ cannot start"
  setsid "${AS[@]}" epmd -port "$ERL_EPMD_PORT" >"$DIR/log/epmd.log" 2>&1 </dev/null &
  local pid=$!
  disown "$pid"
  echo "$pid $(started "$pid")" >"$RUN/rabbitmq-epmd.pid"
  spawn "${AS[@]}" "$sbin/rabbitmq-server"
}

# What is left of it once it has ended.
left() {
  local pid
  ! pid=$(pid_of "$RUN/rabbitmq-epmd.pid") || { kill "$pid" && gone "$pid" 100; }
  rm -f "$RUN/rabbitmq-epmd.pid"
}

# An answer without any client: to the header of the protocol the broker sends a frame of the type 1.
serves() {
  local byte=''
  exec 3<>"/dev/tcp/127.0.0.1/$(port rabbitmq)" || return 1
  printf 'AMQP\0\0\11\1' >&3
  IFS= read -r -n 1 -t 2 -d '' byte <&3 || byte='' # nothing in time: not this broker
  exec 3>&-
  [ "$byte" = $'\x01' ]
} 2>/dev/null

address() { echo "amqp://$RABBIT_USER:$RABBIT_USER@127.0.0.1:$(port rabbitmq)/%2f"; }
environment() { echo "TRUECOPY_TEST_RABBITMQ=$(address)"; }
