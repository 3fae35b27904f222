# shellcheck shell=bash
# What the servers on a Java machine share; sourced by their files. Their jars come from Maven Central as NAME/pom.xml says,
# our own classes from NAME/*.java.

SOURCES=("$HERE/$NAME"/*.java)
[ -e "${SOURCES[0]}" ] || SOURCES=()
JARS=$STATE/lib/$NAME-$(cat "$HERE/$NAME/pom.xml" "${SOURCES[@]}" | sha256sum | cut -c1-16)

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

# One folder for each content of the sources, `.done` written last; fetched once for all stacks, one server after another.
fetch() { # TEXT
  [ ! -e "$JARS/.done" ] || return 0
  mkdir -p "$STATE/lib"
  (
    flock 8
    [ ! -e "$JARS/.done" ] || exit 0
    rm -rf "$JARS"
    # shellcheck disable=SC2154 # `java` is set by `launch`
    JAVA_HOME=$java step "$LOGS/$NAME-fetch.log" "fetching $1" mvn -q -B -f "$HERE/$NAME/pom.xml" \
      dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$JARS" ||
      fail "could not fetch $NAME from Maven Central; see $LOGS/$NAME-fetch.log"
    if [ ${#SOURCES[@]} != 0 ]; then
      mkdir "$JARS/classes"
      "$java/bin/javac" -d "$JARS/classes" -cp "$JARS/*" "${SOURCES[@]}"
      "$java/bin/jar" --create --file "$JARS/classes.zip" -C "$JARS/classes" . # .zip keeps it out of the pattern below
    fi
    touch "$JARS/.done"
  ) 8>"$STATE/lib/lock"
}

# Explicit and sorted: `*` on a class path goes by directory order, and a class archive fits one order only.
classpath() {
  local IFS=: jars=("$JARS"/*.jar)
  echo "${jars[*]}${SOURCES[0]:+:$JARS/classes.zip}"
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
