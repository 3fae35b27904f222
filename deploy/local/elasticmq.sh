# shellcheck shell=bash
# ElasticMQ, a server of the SQS protocol, from Maven Central; see `server`.
# Its log says that it has started before it answers: ready is an answer to ListQueues.
# shellcheck source=java.sh
source "$HERE/java.sh"

launch() {
  local java
  java=$(find_java)
  fetch 'ElasticMQ (59 MB, once)'
  sed -e "s#@PORT@#$(port elasticmq)#g" -e "s#@DIR@#$DIR#g" "$HERE/elasticmq/elasticmq.conf.in" >"$DIR/elasticmq.conf"
  # shellcheck disable=SC2046,SC2086 # several words are meant
  spawn "$java/bin/java" ${ELASTICMQ_HEAP:--Xms32m -Xmx256m} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \
    $(archive server) -Djava.awt.headless=true -Dconfig.file="$DIR/elasticmq.conf" \
    -Dlogback.configurationFile="$HERE/elasticmq/logback.xml" -cp "$(classpath)" org.elasticmq.server.Main
}

# call ACTION JSON: one request of the SQS protocol; 0 when the answer is 200. Needs no curl.
call() {
  local line=''
  exec 3<>"/dev/tcp/127.0.0.1/$(port elasticmq)" || return 1
  printf 'POST / HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.%s\r\nContent-Length: %s\r\n\r\n%s' \
    "$1" "${#2}" "$2" >&3
  read -r -t 2 line <&3
  exec 3>&-
  case $line in HTTP/1.?" 200"*) return 0 ;; *) return 1 ;; esac
} 2>/dev/null

serves() { grep -q '=== ElasticMQ server.* started' "$LOG" && call ListQueues '{}'; }
address() { echo "http://127.0.0.1:$(port elasticmq)"; }
environment() { # any credentials do: signatures are not looked at
  printf '%s\n' "AWS_ENDPOINT_URL_SQS=$(address)" AWS_REGION=eu-west-2 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
}

create() { # QUEUE..., a name that ends in `.fifo` makes a FIFO queue
  local name attributes
  for name in "$@"; do
    attributes='{}'
    case $name in *.fifo) attributes='{"FifoQueue":"true"}' ;; esac
    call CreateQueue "{\"QueueName\":\"$name\",\"Attributes\":$attributes}" || fail "ElasticMQ did not make $name"
  done
}
