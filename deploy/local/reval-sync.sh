# shellcheck shell=bash
# reval-sync on the servers of this stack; see `server`. Ready is what its own probe says.

packages() { :; }
environment() {
  cat "$HERE/reval-sync.env"
  "$HERE/server" elasticmq environment
  echo "RABBITMQ_HOST=127.0.0.1"
  echo "RABBITMQ_PORT=$(port rabbitmq)"
  echo "MONGODB_URI=$("$HERE/server" mongodb address)"
  echo "ES_URLS=$("$HERE/server" opensearch address)"
  echo "REVAL_SYNC_HTTP_LISTEN=$(address)"
  echo "REVAL_SYNC_URL=http://$(address)"
  echo "TRUECOPY_ADMIN_LISTEN=127.0.0.1:$(port reval-sync 2)"
}
launch() {
  local settings
  mapfile -t settings < <(environment | grep -v '^#')
  spawn env "${settings[@]}" "$(built reval-sync)" serve
}
serves() { answers "$(port reval-sync 2)" /readyz; }
address() { echo "127.0.0.1:$(port reval-sync)"; }
