# shellcheck shell=bash
# Apache Kafka (KRaft, one node) from Maven Central; see `server`.
# Ready is the log line `Kafka Server started`: the port opens before.

# shellcheck source=java.sh
source "$HERE/java.sh"

tool() {
  # shellcheck disable=SC2046 # several words are meant
  "$java/bin/java" -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto $(archive tool) \
    -Dlog4j2.configurationFile="$HERE/kafka/log4j2-tools.properties" -cp "$(classpath)" "$@"
}

launch() {
  local java
  java=$(find_java)
  fetch 'Kafka (66 MB, once)'
  sed -e "s#@PORT@#$(port kafka)#g" -e "s#@CPORT@#$(port kafka 2)#g" -e "s#@DIR@#$DIR#g" \
    "$HERE/kafka/server.properties.in" >"$DIR/server.properties"
  if [ ! -s "$DIR/data/meta.properties" ]; then
    # an id that begins with `-` would be taken for an option
    tool kafka.tools.StorageTool format --config "$DIR/server.properties" \
      --cluster-id "T$(head -c16 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-21)" >"$DIR/format.log" 2>&1 ||
      { cat "$DIR/format.log" >&2; return 1; }
  fi
  # shellcheck disable=SC2046,SC2086 # several words are meant
  spawn "$java/bin/java" ${KAFKA_HEAP:--Xms64m -Xmx512m} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \
    $(archive server) -Djava.awt.headless=true -Dlog4j2.configurationFile="$HERE/kafka/log4j2.properties" \
    -cp "$(classpath)" kafka.Kafka "$DIR/server.properties"
}

serves() { grep -q 'Kafka Server started' "$LOG"; }
address() { echo "127.0.0.1:$(port kafka)"; }
environment() { echo "KAFKA_BROKERS=$(address)"; }

create() { # NAME[:PARTITIONS[:key=value,...]]..., one JVM for all
  local java
  java=$(find_java)
  tool CreateTopics "$(address)" "$@"
}
