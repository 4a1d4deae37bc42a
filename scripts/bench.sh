#!/usr/bin/env bash
# `make bench`: a store gateway on 2 GB of blocks against a bare gRPC stream of the same frames, the fetcher, and the
# compactor against `cp -r` of the same blocks.
# Prints what goes into docs/benchmarks.md. SERIES makes it smaller, BUCKET takes blocks that are there already, THANOS names a
# thanos program whose querier is measured beside ours.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly GRPC=127.0.0.1:${GRPC_PORT:-10901} HTTP=127.0.0.1:${HTTP_PORT:-10902} QUERY_HTTP=127.0.0.1:${QUERY_HTTP_PORT:-10904}
readonly SERIES=${SERIES:-300000} PROFILE=${PROFILE:-release} RUNS=${RUNS:-9}
mkdir -p "${CARGO_TARGET_DIR:-target}/bench"
# Absolute: cargo runs benchmarks in the folder of their package.
HOME_DIR=$(cd "${CARGO_TARGET_DIR:-target}/bench" && pwd)
readonly BUCKET=${BUCKET:-$HOME_DIR/blocks-$SERIES}

stream() { cargo bench --locked --quiet --profile "$PROFILE" --package rutile-storeapi --bench bare_stream -- "$@"; }

# against NAME ARGUMENT...: the store gateway's answer to a request, and the bare stream of its frames.
against() {
  local frames=$HOME_DIR/$1.frames
  say "$1"
  printf 'store: '
  stream load "$GRPC" --runs "$RUNS" --record "$frames" "${@:2}"
  printf 'bare:  '
  stream bare --frames "$frames" --runs "$RUNS" --server tonic
  rm -f "$frames"
}

# genblocks ARGUMENT...: blocks made by Prometheus's own library.
genblocks() {
  build_genblocks "$HOME_DIR/genblocks" "name a folder with blocks in BUCKET"
  "$HOME_DIR/genblocks" "$@"
}

if [ ! -d "$BUCKET" ]; then
  say "making $SERIES series in 4 blocks with Prometheus's own library"
  genblocks -out "$BUCKET.new" -series "$SERIES" -blocks 4
  mv "$BUCKET.new" "$BUCKET"
fi

say "building"
cargo build --locked --profile "$PROFILE" --package rutile-store --package rutile-compact --package rutile-query
stream --help >/dev/null

say "the machine: $(nproc) cores; cp -r of the data"
time (cp -r "$BUCKET" "$HOME_DIR/copy" && sync)
rm -rf "$HOME_DIR/copy"

printf 'type: FILESYSTEM\nconfig:\n  directory: %s\n' "$BUCKET" >"$HOME_DIR/bucket.yml"
rm -rf "$HOME_DIR/store"
start_store "$HOME_DIR/store.log" "$HTTP" "$(program rutile-store "$PROFILE")" --objstore.config-file "$HOME_DIR/bucket.yml" \
  --data-dir "$HOME_DIR/store" --grpc-address "$GRPC" --http-address "$HTTP"

against tenth-of-the-series --match job=job-0
against all-series-skip-chunks --match '__name__=~.+' --skip-chunks
against all-series-skip-chunks-batch-64 --match '__name__=~.+' --skip-chunks --batch 64

say "label names of a tenth of the series; ten minutes of one pod"
stream load "$GRPC" --runs 21 --match job=job-0 --label-names
stream load "$GRPC" --runs 101 --match pod=app1-0000002 --mint 1767229200000 --maxt 1767229800000

say "peak memory of rutile-store"
grep VmHWM "/proc/$store/status"

# query NAME STEP PROMQL: the median time of a range query over the eight hours of the data, and the size of its answer.
query() {
  local times=() i
  for ((i = 0; i < RUNS; i++)); do
    times+=("$(curl -sf -o "$HOME_DIR/answer.json" -w '%{time_total}' "http://$QUERY_HTTP/api/v1/query_range" \
      -d start=2026-01-01T00:00:00Z -d end=2026-01-01T08:00:00Z -d step="$2" --data-urlencode "query=$3")")
  done
  printf '%-22s %s s  %d bytes\n' "$1" "$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((RUNS + 1) / 2))p")" \
    "$(stat -c %s "$HOME_DIR/answer.json")"
}

# querier NAME COMMAND...: the queries, by a querier over the store gateway.
querier() {
  say "$1: range queries over eight hours"
  local deadline=$((SECONDS + 60)) job
  "${@:2}" --endpoint "$GRPC" --http-address "$QUERY_HTTP" --grpc-address "${QUERY_HTTP%:*}:0" >"$HOME_DIR/$1.log" 2>&1 &
  job=$!
  until [[ $(http_get "$QUERY_HTTP" /api/v1/stores 2>/dev/null) == *maxTime* ]]; do
    ((SECONDS < deadline)) || fail "$1 does not know its store after 60 s; its log is $HOME_DIR/$1.log"
    sleep 0.1
  done
  query 'sum of rates' 60 'sum by (namespace)(rate(http_requests_0_total[5m]))'
  query 'plain selector' 60 'container_memory_working_set_bytes_0'
  query 'rate' 300 'rate(http_requests_1_total[5m])'
  query 'classic histograms' 120 'histogram_quantile(0.99, sum by (le, job)(rate(http_request_duration_seconds_bucket{job=~"job-[0-4]"}[5m])))'
  query 'max_over_time' 60 'max by (job)(max_over_time(go_goroutines_0[1h]))'
  query 'topk' 60 'topk(10, rate(container_cpu_usage_seconds_0_total[5m]))'
  query 'ratio' 60 'sum by (job)(rate(http_requests_0_total[5m])) / on (job) sum by (job)(rate(http_requests_1_total[5m]))'
  query 'native histograms' 60 'histogram_quantile(0.9, sum by (job)(rate(rpc_duration_native_seconds_0[5m])))'
  grep VmHWM "/proc/$job/status"
  kill "$job"
  wait "$job" || true
}
querier rutile-query "$(program rutile-query "$PROFILE")"
# By hand: another querier in the same run.
[ -z "${THANOS:-}" ] || querier thanos "$THANOS" query --query.promql-engine thanos
stop_store

say "10,000 blocks: ready cold, ready warm, a query of 40,000 series in all of them"
MANY=$HOME_DIR/many
if [ ! -d "$MANY" ]; then
  rm -rf "$HOME_DIR/one" "$MANY.new"
  genblocks -out "$HOME_DIR/one" -series 4 -series-per-pod 4 -blocks 1
  cargo xtask many-blocks "$HOME_DIR/one" "$MANY.new" 10000
  mv "$MANY.new" "$MANY"
fi
printf 'type: FILESYSTEM\nconfig:\n  directory: %s\n' "$MANY" >"$HOME_DIR/many.yml"
rm -rf "$HOME_DIR/many-store"
for start in cold warm; do
  begin=$(date +%s%N)
  start_store "$HOME_DIR/store.log" "$HTTP" "$(program rutile-store "$PROFILE")" --objstore.config-file "$HOME_DIR/many.yml" \
    --data-dir "$HOME_DIR/many-store" --grpc-address "$GRPC" --http-address "$HTTP"
  printf '%s: ready in %d ms, %s\n' "$start" $((($(date +%s%N) - begin) / 1000000)) "$(grep VmHWM "/proc/$store/status")"
  [ "$start" = warm ] || stop_store
done
stream load "$GRPC" --runs 5 --match '__name__=~.+'
grep VmHWM "/proc/$store/status"
stop_store

say "fetcher: filter chain of 100,000 blocks, cold and warm load of 10,000"
cargo bench --locked --quiet --profile "$PROFILE" --package rutile-fetcher --bench filter_chain --bench cold_load

# compact NAME FOLDER COMMAND...: copies the folder, then compacts the copy; each is timed from start to end, without a sync. The
# files are older than the consistency delay.
compact() {
  local bucket=$HOME_DIR/compact begin copied peak=0 now job
  rm -rf "$bucket" "$bucket-data"
  sync
  begin=$(date +%s%N)
  cp -r "$2" "$bucket"
  copied=$((($(date +%s%N) - begin) / 1000000))
  find "$bucket" -exec touch -d '3 days ago' {} +
  sync
  printf 'type: FILESYSTEM\nconfig:\n  directory: %s\n' "$bucket" >"$HOME_DIR/compact.yml"
  begin=$(date +%s%N)
  "${@:3}" --objstore.config-file "$HOME_DIR/compact.yml" --data-dir "$bucket-data" --http-address "$HTTP" >"$HOME_DIR/compact.log" 2>&1 &
  job=$!
  while now=$(grep -o 'VmHWM:.*' "/proc/$job/status" 2>/dev/null); do
    peak=$now
    sleep 0.05
  done
  wait "$job" || fail "$3 failed; its log is $HOME_DIR/compact.log"
  printf '%s: cp -r %d ms, %s %d ms, %s, scratch %s\n' "$1" "$copied" "${3##*/}" \
    $((($(date +%s%N) - begin) / 1000000)) "$peak" "$(du -sh "$bucket-data" | cut -f1)"
  rm -rf "$bucket" "$bucket-data"
}

# in_turn NAME FOLDER FLAG...: three times, and by hand, with THANOS, in turn with that.
in_turn() {
  for _ in 1 2 3; do
    compact "$1" "$2" "$compactor" "${@:3}"
    [ -z "${THANOS:-}" ] || compact "$1" "$2" "$THANOS" compact "${@:3}"
  done
}

compactor=$(program rutile-compact "$PROFILE")
say "compaction: four blocks of two hours into one of eight"
FOUR=$HOME_DIR/four-$SERIES
if [ ! -d "$FOUR" ]; then
  cp -r "$BUCKET" "$FOUR.new"
  # The newest block of a group waits for a neighbour, so there must be a newer one.
  genblocks -out "$FOUR.new" -series 300 -blocks 1 -start 2026-01-01T08:00:00Z
  mv "$FOUR.new" "$FOUR"
fi
for _ in 1 2 3; do compact "$SERIES series" "$FOUR" "$compactor"; done

say "compaction: 26 blocks from two hours to two days"
CHAIN=$HOME_DIR/chain
[ -d "$CHAIN" ] || { genblocks -out "$CHAIN.new" -series 20000 -blocks 26 && mv "$CHAIN.new" "$CHAIN"; }
compact "20,000 series" "$CHAIN" "$compactor"

say "compaction: blocks of five million series"
WIDE=$HOME_DIR/wide
if [ ! -d "$WIDE" ]; then
  cargo run --locked --quiet --release --package rutile-merge --example wide_blocks -- "$WIDE.new" "${WIDE_SERIES:-5000000}" 5
  mv "$WIDE.new" "$WIDE"
fi
compact "5,000,000 series" "$WIDE" "$compactor"

say "downsampling: a block of two days to five minutes"
LONG=$HOME_DIR/two-days
[ -d "$LONG" ] || { genblocks -out "$LONG.new" -series 20000 -blocks 1 -block-hours 48 && mv "$LONG.new" "$LONG"; }
in_turn "20,000 series" "$LONG"

say "vertical compaction: two replicas, four blocks of two hours each, by penalty"
PAIR=$HOME_DIR/pair
if [ ! -d "$PAIR" ]; then
  # Of one server, but for the scrapes that each of them missed.
  for replica in a b; do
    genblocks -out "$PAIR.new" -series 50000 -blocks 4 -labels "cluster=eu3,replica=$replica" -drop 0.02 -drop-seed "$(printf %d "'$replica")"
  done
  mv "$PAIR.new" "$PAIR"
fi
in_turn "50,000 series" "$PAIR" --deduplication.replica-label=replica --deduplication.func=penalty
