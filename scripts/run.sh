#!/usr/bin/env bash
# `make run`: the whole cluster in one process (store gateway, compactor, querier) on a small bucket of real blocks.
# Stays up until Ctrl-C. With RUN_ONCE=1 it checks what it shows and ends; with PROFILE=release it uses the fast build.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly GRPC=127.0.0.1:${GRPC_PORT:-10901} HTTP=127.0.0.1:${HTTP_PORT:-10902} STORE=127.0.0.1:${STORE_PORT:-10903}
readonly GOLDEN=crates/testkit/golden/raw RUN=run BUCKET=run/bucket
readonly CONFIG=$RUN/bucket.yml LOG=$RUN/rutile.log
# The days of the blocks, and a query over them.
readonly DAYS='start=2026-01-01T00:00:00Z&end=2026-01-03T12:00:00Z&step=10m'
readonly RATES='sum by (job) (rate(http_requests_0_total[30m]))'
# How young blocks are treated; `bucket inspect` is told the same.
readonly CONSISTENCY_DELAY=30m

# show COMMAND...: prints a command as one would type it, and runs it.
show() {
  local word line="rutile"
  for word in "${@:2}"; do
    [[ $word =~ ^[-A-Za-z0-9_.:/=]+$ ]] || word="'$word'"
    line+=" $word"
  done
  printf '\n\033[2m$\033[0m %s\n' "$line"
  "$@"
}
# copy BLOCK WHEN: a block of the golden bucket, as if it had been uploaded then.
copy() {
  cp -r "$GOLDEN/$1" "$BUCKET/$1"
  chmod -R u+w "$BUCKET/$1"
  rm -f "$BUCKET/$1/deletion-mark.json"
  find "$BUCKET/$1" -exec touch -d "$2" {} +
}

# mark BLOCK WHEN DETAILS: a deletion mark, as if it had been written then.
mark() {
  local file=$BUCKET/$1/deletion-mark.json
  printf '{"id":"%s","version":1,"details":"%s","deletion_time":%s}' "$1" "$3" "$(date -d "$2" +%s)" >"$file"
  touch -d "$2" "$file"
}

make_bucket() {
  rm -rf "$RUN"
  mkdir -p "$BUCKET"
  local block
  for block in "$GOLDEN"/01M820P*; do # two days, in blocks of two hours
    block=${block##*/}
    [[ $block > 01M820PDVBR9GB19QRC2VSQK3S ]] || copy "$block" '3 days ago'
  done
  copy 01M820Q9TTYVEY9S7VQHAQVG39 '3 days ago' # the same two days, 5 m resolution
  copy 01M820Q9RQ27VBZF6TJTV2K9HB '3 days ago' # the 8 hours after them
  copy 01M820PDY3FR1T7JP9Q0CC679A '3 days ago' # two of these hours: superseded
  copy 01M820PDXC2FK9EQKT0GRGMCSA '3 days ago' # two more, marked by the compaction: superseded
  mark 01M820PDXC2FK9EQKT0GRGMCSA '30 hours ago' 'source of compacted block'
  copy 01M820PDZMK3SZGA9JJPRVBEKA '3 days ago' # marked by hand, longer ago than the delay
  mark 01M820PDZMK3SZGA9JJPRVBEKA '30 hours ago' 'marked by hand'
  copy 01M820PDYWZG3SENBFJ0F29G26 'now' # just uploaded: too fresh
  copy 01M820PDWN49C2EAMQ8KF5SZG6 '1 hour ago' # its upload was interrupted: partial
  rm "$BUCKET/01M820PDWN49C2EAMQ8KF5SZG6/meta.json"
  printf 'type: FILESYSTEM\nconfig:\n  directory: %s\n' "$BUCKET" >"$CONFIG"
}

# expect COUNT STATE: so many blocks are in that state.
expect() {
  local found
  found=$(grep -c "\"state\": \"$2\"" "$RUN/inspect.json" || true)
  [ "$found" = "$1" ] || fail "$found blocks are $2, expected $1; see $RUN/inspect.json"
}

# states: writes down what is made of each block.
states() {
  "$rutile" tools bucket inspect --objstore.config-file "$CONFIG" --consistency-delay "$CONSISTENCY_DELAY" -o json >"$RUN/inspect.json"
}

# up FLAG...: starts the cluster. It looks at the bucket every second.
up() {
  start_store "$LOG" "$HTTP" "$rutile" up --objstore.config-file "$CONFIG" --data-dir "$RUN/data" \
    --http-address "$HTTP" --grpc-address "$GRPC" --store.arg=--grpc-address="$STORE" --store.arg=--sync-block-duration=1s \
    --store.arg=--consistency-delay="$CONSISTENCY_DELAY" "$@"
}

# ask QUERY: the answer of the querier, over all days.
ask() { http_get "$HTTP" "/api/v1/query_range?query=$(url_encoded "$1")&$DAYS"; }

# answer FILE: rates by the querier, and all samples of the metric.
answer() {
  ask "$RATES" >"$1"
  "$rutile" tools series --store "$GRPC" http_requests_0_total -o json >>"$1"
}

# compact: compacts the bucket while the querier is asked again and again.
compact() {
  local asked=0
  until grep -q 'msg="iteration ended"' "$LOG"; do
    kill -0 "$store" 2>/dev/null || fail "rutile up ended; its log is $LOG"
    same_answer
    asked=$((asked + 1))
  done
  sleep 2 # the store gateway looks at the bucket every second
  same_answer
  echo "compacted; the answer was the same each of the $asked times that was asked meanwhile, and after"
}

same_answer() {
  answer "$RUN/after.json"
  cmp -s "$RUN/before.json" "$RUN/after.json" || fail "the answer changed: compare $RUN/before.json and $RUN/after.json"
}

check_before() {
  states
  expect 26 served
  expect 2 superseded
  expect 1 too-fresh
  expect 1 marked
  expect 1 partial
  local pods
  pods=$("$rutile" tools series --store "$GRPC" --label-values pod | wc -l)
  [ "$pods" -gt 0 ] || fail "the store gateway knows no pods"
  grep -q '"values"' "$RUN/before.json" || fail "there are no samples; see $RUN/before.json"
  [[ $(ask "$RATES") == *'"job":"job-1"'*'"values"'* ]] || fail "the querier knows no rates of job-1"
  # The hours after the last served block are in the fresh and the marked one alone.
  "$rutile" tools series --store "$GRPC" http_requests_0_total --min-time 2026-01-03T08:00:01Z -o json >"$RUN/hidden.json"
  ! grep -q '"values"' "$RUN/hidden.json" || fail "a skipped block was served; see $RUN/hidden.json"
}

check_after() {
  states
  expect 3 served # two days raw, the same at 5 m, eight hours
  expect 32 superseded
  local marks
  marks=$(find "$BUCKET" -name deletion-mark.json | wc -l)
  [ "$marks" = 33 ] || fail "$marks blocks are marked, expected 33"
  say "checked: what is to be served is served, before, during and after the compaction, and nothing else"
}

say "building"
profile=${PROFILE:-dev}
cargo build --locked --profile "$profile" --package rutile
rutile=$(program rutile "$profile")

say "a bucket of 31 real blocks: $BUCKET"
make_bucket
up --compact=false

say "which blocks are served, which are skipped, and why"
show "$rutile" tools bucket inspect --objstore.config-file "$CONFIG" --consistency-delay "$CONSISTENCY_DELAY"
say "what the stores answer"
show "$rutile" tools series --store "$GRPC" 'http_requests_0_total{job="job-1"}'
show "$rutile" tools series --store "$GRPC" 'http_requests_0_total{job="job-1"}' --max-resolution 5m --aggregate counter
show "$rutile" tools series --store "$GRPC" 'http_requests_0_total' --min-time 2026-01-03T08:00:01Z

answer "$RUN/before.json"
[ -z "${RUN_ONCE:-}" ] || check_before

say "the same with the compactor: blocks are merged while they are served"
stop_store
up --compact.arg=--consistency-delay="$CONSISTENCY_DELAY"
compact
show "$rutile" tools bucket ls --objstore.config-file "$CONFIG" --exclude-delete -o wide

if [ -n "${RUN_ONCE:-}" ]; then
  check_after
  exit 0
fi
say "Rutile is up: http://$HTTP"
cat <<END
  page             http://$HTTP/?g0.expr=$(url_encoded "$RATES")&g0.range_input=60h&g0.end_input=2026-01-03%2012%3A00%3A00&g0.tab=0
  Grafana          data source Prometheus, URL http://$HTTP
  StoreAPI (gRPC)  $GRPC, for other queriers
  metrics          http://$HTTP/metrics
  log, bucket      $LOG  $BUCKET

  Try in another terminal:
    curl -s 'http://$HTTP/api/v1/query' -d time=2026-01-02T12:00:00Z --data-urlencode 'query=$RATES'
    $rutile tools series --store $GRPC 'rpc_duration_native_seconds_0' -o samples
    $rutile tools bucket inspect --objstore.config-file $CONFIG

  Ctrl-C ends it. This is a ${profile} build: \`make build\` makes the fast one.
END
trap 'exit 0' INT TERM
wait "$store" || fail "rutile up ended; its log is $LOG"
