# shellcheck shell=bash
# OpenSearch (one node, its standard modules, no security) from Maven Central; see `server`.
# Ready is at least yellow: a node that answers may still be reading its indices.

# shellcheck source=java.sh
source "$HERE/java.sh"

launch() {
  local java
  java=$(find_java)
  fetch 'OpenSearch (70 MB, once)'
  mkdir -p "$DIR/config" "$DIR/tmp"
  sed -e "s#@PORT@#$(port opensearch)#" -e "s#@TPORT@#$(port opensearch 2)#" \
    "$HERE/opensearch/opensearch.yml.in" >"$DIR/config/opensearch.yml"
  cd "$DIR" || return 1
  # shellcheck disable=SC2046,SC2086 # several words are meant
  spawn "$java/bin/java" ${OPENSEARCH_HEAP:--Xms256m -Xmx512m} -XX:+UseSerialGC -Xshare:auto $(archive server) \
    -XX:+ExitOnOutOfMemoryError -Djava.io.tmpdir="$DIR/tmp" -Dfile.encoding=UTF-8 -Djava.awt.headless=true \
    -Dlog4j2.configurationFile="$HERE/opensearch/log4j2.properties" -Dlog4j2.formatMsgNoLookups=true \
    -cp "$(classpath)" OpenSearchLocal "$DIR"
}

serves() { answers "$(port opensearch)" '/_cluster/health?wait_for_status=yellow&timeout=1s'; }
address() { echo "http://127.0.0.1:$(port opensearch)"; }
environment() { echo "TRUECOPY_TEST_SEARCH=$(address)"; }
