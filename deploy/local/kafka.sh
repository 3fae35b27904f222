# shellcheck shell=bash
# Apache Kafka (KRaft, one node) from Maven Central; see `server`.
# Ready is the log line `Kafka Server started`: the port opens before.

JARS=$STATE/lib/kafka-$(cat "$HERE/kafka/pom.xml" "$HERE/kafka/CreateTopics.java" | sha256sum | cut -c1-16)

# The home of a JDK from 17 on: JAVA_HOME, the one on PATH, then the oldest that is installed.
# Read from its `release` file: asking each `java -version` costs a tenth of a second.
find_java() {
  local on_path home version best='' best_version=0
  on_path=$(command -v javac) && on_path=$(readlink -f "$on_path") && on_path=${on_path%/bin/javac}
  for home in "${JAVA_HOME:-}" "$on_path" /usr/lib/jvm/*; do
    if [ -z "$home" ] || [ ! -x "$home/bin/javac" ] || [ ! -r "$home/release" ]; then continue; fi
    version=$(sed -nE 's/^JAVA_VERSION="([0-9]+).*/\1/p' "$home/release")
    [ "${version:-0}" -ge 17 ] || continue
    case $home in "${JAVA_HOME:-}" | "$on_path") echo "$home"; return 0 ;; esac
    if [ -z "$best" ] || [ "$version" -lt "$best_version" ]; then best=$home best_version=$version; fi
  done
  [ -n "$best" ] && echo "$best"
}

packages() {
  local need=()
  find_java >/dev/null || need+=('openjdk-17-jdk-headless|openjdk-21-jdk-headless')
  [ -e "$JARS/.done" ] || command -v mvn >/dev/null || need+=(maven)
  echo "${need[*]}"
}

# One folder for each content of pom.xml, `.done` written last; fetched once for all stacks.
fetch() {
  [ ! -e "$JARS/.done" ] || return 0
  mkdir -p "$STATE/lib"
  (
    flock 8
    [ ! -e "$JARS/.done" ] || exit 0
    rm -rf "$JARS"
    JAVA_HOME=$java step "$LOGS/kafka-fetch.log" 'fetching Kafka (66 MB, once)' mvn -q -B -f "$HERE/kafka/pom.xml" \
      dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$JARS" ||
      fail "could not fetch Kafka from Maven Central; see $LOGS/kafka-fetch.log"
    mkdir "$JARS/classes"
    "$java/bin/javac" -d "$JARS/classes" -cp "$JARS/*" "$HERE/kafka/CreateTopics.java"
    "$java/bin/jar" --create --file "$JARS/classes.zip" -C "$JARS/classes" . # .zip keeps it out of the pattern below
    touch "$JARS/.done"
  ) 8>"$STATE/lib/lock"
}

# Explicit and sorted: `*` on a class path goes by directory order, and a class archive fits one order only.
classpath() {
  local IFS=: jars=("$JARS"/*.jar)
  echo "${jars[*]}:$JARS/classes.zip"
}

# An archive of the loaded classes halves every later start. The first process that ends in peace writes it;
# its name holds the Java version, because an archive of another version is of no use.
archive() {
  local file
  file=$JARS/$1-$(sed -nE 's/^JAVA_VERSION="(.*)"/\1/p' "$java/release").jsa
  if [ -s "$file" ]; then
    echo "-XX:SharedArchiveFile=$file"
  else
    echo "-XX:ArchiveClassesAtExit=$file -Xlog:cds=off -Xlog:cds+dynamic=off"
  fi
}

tool() {
  # shellcheck disable=SC2046 # several words are meant
  "$java/bin/java" -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto $(archive tool) \
    -Dlog4j2.configurationFile="$HERE/kafka/log4j2-tools.properties" -cp "$(classpath)" "$@"
}

launch() {
  local java
  java=$(find_java)
  fetch
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
