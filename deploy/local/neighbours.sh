# shellcheck shell=bash
# The HTTP neighbours of arena-acl and the token service, played by a stub that knows the people of the sample feed;
# see `server`. It makes a key pair at start and leaves the private part for the service in client.jwk.

JWK=$DIR/client.jwk
packages() { :; }
launch() { spawn "$(built examples/local)" neighbours --listen "127.0.0.1:$(port neighbours)" --jwk "$JWK"; }
serves() { [ -s "$JWK" ] && taken "$(port neighbours)"; }
address() { echo "http://127.0.0.1:$(port neighbours)"; }
environment() {
  local at name
  at=$(address)
  for name in AMT_ARENA_ORDS_PROXY MULIGHETSROMMET_API AMTTILTAK; do echo "${name}_URL=$at"; done
  echo "AZURE_OPENID_CONFIG_TOKEN_ENDPOINT=$at/token"
  echo "AZURE_APP_WELL_KNOWN_URL=$at/.well-known/openid-configuration"
  echo "AZURE_APP_JWK_FILE=$JWK"
}
