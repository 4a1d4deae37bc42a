#!/usr/bin/env bash
# `make e2e`: the suites, or those that SUITES names, with real processes in containers. Installs and starts an engine where there
# is none, and ends what it started. SOAK=yes, with SUITES=havoc, takes more blocks and ten times the numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
readonly TARGET=${CARGO_TARGET_DIR:-$PWD/target} GOLDEN=crates/testkit/golden
engine=

install() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io iptables)
  docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || missing+=(docker-compose)
  [ -n "${BASE:-}" ] || command -v debootstrap >/dev/null || missing+=(debootstrap)
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "e2e: installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

start_engine() {
  docker info >/dev/null 2>&1 && return 0
  [ "$(id -u)" -eq 0 ] || { echo "e2e: start Docker first, or run this as root" >&2; return 1; }
  mkdir -p "$TARGET/e2e"
  dockerd >"$TARGET/e2e/dockerd.log" 2>&1 &
  engine=$!
  local second
  for second in {1..60}; do
    docker info >/dev/null 2>&1 && return 0
    sleep 1
  done
  echo "e2e: Docker does not start:" >&2
  tail -n 20 "$TARGET/e2e/dockerd.log" >&2
  return 1
}

# Images of this run go, and what a run that was interrupted has left; the base stays for the next one.
leave() {
  local kind
  docker ps --all --quiet --filter name=rutile-e2e- 2>/dev/null | xargs --no-run-if-empty docker rm --force --volumes >/dev/null || true
  for kind in network volume; do
    docker "$kind" ls --quiet --filter name=rutile-e2e- 2>/dev/null | xargs --no-run-if-empty docker "$kind" rm >/dev/null || true
  done
  docker image rm -f rutile-e2e rutile-e2e-servers >/dev/null 2>&1 || true
  if [ -n "$engine" ]; then
    kill "$engine"
    wait "$engine" || true
  fi
}

# copy_blocks NAME FROM FIRST LAST: the blocks of a golden bucket from one ULID to another, as a folder.
copy_blocks() {
  local blocks=$TARGET/e2e/blocks/$1 block
  mkdir -p "$blocks"
  for block in "$GOLDEN/$2"/01*; do
    [[ ${block##*/} < $3 || ${block##*/} > $4 ]] && continue
    cp -r "$block" "$blocks/"
    rm -f "$blocks/${block##*/}"/*-mark.json
  done
}

# make_soak NAME FLAG...: six days of two-hour blocks for a cluster and replica.
make_soak() {
  local name=$1 program=$TARGET/e2e/genblocks
  build_genblocks "$program"
  rm -rf "$TARGET/e2e/blocks/$name"
  "$program" -out "$TARGET/e2e/blocks/$name" -blocks 72 -series 100 -series-per-pod 25 -hist-share 0.1 -scrape 30s \
    -labels "cluster=${name%-*},replica=${name#*-}" "${@:2}"
}

[ "$(id -u)" -ne 0 ] || install
trap leave EXIT
start_engine
crates/testkit/servers/install.sh
cargo build --locked --quiet -p rutile -p rutile-e2e
mkdir -p "$TARGET/e2e"
e2e/images/build.sh "$TARGET/debug"
rm -rf "$TARGET/e2e/blocks"
# Two-hour blocks by cluster and replica: two days of one, twelve hours of a pair that each misses scrapes.
copy_blocks eu1-a raw 01M820PD8CGVZHQSH6D0C2DRFD 01M820PDVBR9GB19QRC2VSQK3S
copy_blocks eu3-a ha/input 01M820PH0SQ07TK0FNGQJ5SH5V 01M820PH5Q0KK7SBJ1BGHXYZJ7
copy_blocks eu3-b ha/input 01M820PH7BH6WY1MDAKFWXAEQE 01M820PHCSFS8F962N0X0YX95K
# The bucket of Thanos as it is, and index-headers of what it serves.
cp -r "$GOLDEN/raw" "$TARGET/e2e/blocks/thanos"
cp -r "$GOLDEN/index-header" "$TARGET/e2e/blocks/index-header"
sizes=()
if [ -n "${SOAK:-}" ]; then
  make_soak eu1-a -seed 1
  make_soak eu3-a -seed 2 -drop 0.1 -drop-seed 1
  make_soak eu3-b -seed 2 -drop 0.1 -drop-seed 2
  sizes=(--set kills=300 --set faults=10000 --set blocks=33)
fi
chmod -R a+rwX "$TARGET/e2e/blocks"
# shellcheck disable=SC2086 # names of suites
MOTO=$TARGET/e2e/moto BLOCKS=$TARGET/e2e/blocks \
  "$TARGET/debug/rutile-e2e" run --work "$TARGET/e2e/run" "${sizes[@]}" ${SUITES:-}
