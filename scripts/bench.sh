#!/usr/bin/env bash
# `make bench`: a store gateway on 2 GB of blocks against a bare gRPC stream of the same frames, and the fetcher.
# Prints what goes into docs/benchmarks.md. SERIES makes it smaller, BUCKET takes blocks that are there already.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly GRPC=127.0.0.1:${GRPC_PORT:-10901} HTTP=127.0.0.1:${HTTP_PORT:-10902}
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

if [ ! -d "$BUCKET" ]; then
  command -v go >/dev/null || fail "go is missing: install it, or name a folder with blocks in BUCKET"
  say "making $SERIES series in 4 blocks with Prometheus's own library"
  (cd crates/testkit/genblocks && go build -o genblocks.bin .)
  mv crates/testkit/genblocks/genblocks.bin "$HOME_DIR/genblocks"
  "$HOME_DIR/genblocks" -out "$BUCKET.new" -series "$SERIES" -blocks 4
  mv "$BUCKET.new" "$BUCKET"
fi

say "building"
cargo build --locked --profile "$PROFILE" --package rutile-store
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

say "peak memory of rutile-store"
grep VmHWM "/proc/$store/status"

say "fetcher: filter chain of 100,000 blocks, cold and warm load of 10,000"
cargo bench --locked --quiet --profile "$PROFILE" --package rutile-fetcher --bench filter_chain --bench cold_load
