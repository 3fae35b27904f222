# shellcheck shell=bash
# arena-acl on the servers of this stack; see `server`. Ready is what its own probe says.

packages() { :; }
environment() {
  local user=truecopy # as in postgres.sh
  cat "$HERE/arena-acl.env"
  "$HERE/server" kafka environment
  "$HERE/server" neighbours environment
  echo "DB_JDBC_URL=jdbc:postgresql://127.0.0.1:$(port postgres)/arena_acl?user=$user&password=$user"
  echo "ARENA_ACL_LISTEN=$(address)"
  echo "TRUECOPY_ADMIN_LISTEN=127.0.0.1:$(port arena-acl 2)"
}
launch() {
  local settings
  mapfile -t settings < <(environment | grep -v '^#')
  spawn env "${settings[@]}" "$(built arena-acl)" serve
}
serves() { answers "$(port arena-acl 2)" /readyz; }
address() { echo "127.0.0.1:$(port arena-acl)"; }
