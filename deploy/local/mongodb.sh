# shellcheck shell=bash
# mongo-java-server, a stand-in for MongoDB from Maven Central; see `server`. MongoDB itself is in no distribution any more.
# It keeps everything in memory and knows neither sessions nor transactions nor collations: `docs/local-stack.md`.
# shellcheck source=java.sh
source "$HERE/java.sh"

launch() {
  local java
  java=$(find_java)
  fetch 'the stand-in for MongoDB (once)'
  # shellcheck disable=SC2046,SC2086 # several words are meant
  spawn "$java/bin/java" ${MONGODB_HEAP:--Xms64m -Xmx1g} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \
    $(archive server) -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$(classpath)" MongoRun "$(port mongodb)"
}

serves() { grep -q 'MongoDB stand-in serves' "$LOG"; }
address() { echo "mongodb://127.0.0.1:$(port mongodb)/?retryWrites=false"; }
environment() { echo "TRUECOPY_TEST_MONGODB=$(address)"; }
