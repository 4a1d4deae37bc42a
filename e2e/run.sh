#!/usr/bin/env bash
# `make e2e`: the suites, or those that SUITES names, with real processes in containers. Installs and starts an engine where there
# is none, and ends what it started.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly TARGET=${CARGO_TARGET_DIR:-$PWD/target} BLOCKS_OF=crates/testkit/golden/raw
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

# Images of this run go, the base stays for the next one.
leave() {
  docker image rm -f rutile-e2e rutile-e2e-servers >/dev/null 2>&1 || true
  if [ -n "$engine" ]; then
    kill "$engine"
    wait "$engine" || true
  fi
}

# The two-hour blocks of the golden bucket: two days, in a folder of their own.
copy_blocks() {
  local block
  rm -rf "$TARGET/e2e/blocks"
  mkdir -p "$TARGET/e2e/blocks"
  for block in "$BLOCKS_OF"/01M820P*; do
    [[ ${block##*/} > 01M820PDVBR9GB19QRC2VSQK3S ]] && continue
    cp -r "$block" "$TARGET/e2e/blocks/"
    rm -f "$TARGET/e2e/blocks/${block##*/}"/*-mark.json
  done
  chmod -R a+rwX "$TARGET/e2e/blocks"
}

[ "$(id -u)" -ne 0 ] || install
trap leave EXIT
start_engine
crates/testkit/servers/install.sh
cargo build --locked --quiet -p rutile -p rutile-e2e
mkdir -p "$TARGET/e2e"
e2e/images/build.sh "$TARGET/debug"
copy_blocks
# shellcheck disable=SC2086 # names of suites
MOTO=$TARGET/e2e/moto BLOCKS=$TARGET/e2e/blocks \
  "$TARGET/debug/rutile-e2e" run --work "$TARGET/e2e/run" ${SUITES:-}
