#!/usr/bin/env bash
# Builds the images of the suites from programs that are built already: build.sh PROGRAMS, the folder with rutile and rutile-e2e.
# BASE names the image that both stand on. Without it, and where docker.io/library/debian is not there, a base is made from
# Debian's packages, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly PROGRAMS=$1 WORK=${CARGO_TARGET_DIR:-target}/e2e SUITE=bookworm
readonly OWN_BASE=rutile-e2e-base:$SUITE

# A Debian with the servers' packages, from the mirror that this machine uses.
make_base() {
  docker image inspect "$OWN_BASE" >/dev/null 2>&1 && return
  local root=$WORK/base mirror
  mirror=$(apt-get indextargets --format '$(SITE)' "Codename: $SUITE" | head -n 1)
  echo "e2e: making a base image from Debian's packages"
  rm -rf "$root"
  # Nothing of it must outlive a power cut, so no file is synced by itself.
  DPKG_FORCE=unsafe-io debootstrap --variant=minbase --include=ca-certificates,python3-minimal,python3,prometheus,prometheus-alertmanager \
    "$SUITE" "$root" "${mirror:-http://deb.debian.org/debian}" >"$WORK/debootstrap.log" ||
    { tail -n 20 "$WORK/debootstrap.log" "$root/debootstrap/debootstrap.log"; return 1; }
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}
  tar -C "$root" -c . | docker import - "$OWN_BASE" >/dev/null
  rm -rf "$root"
}

# moto and what it needs, as files: the image has Debian's Python and no pip. What the tests have installed will do where their
# Python is of the same version.
fetch_moto() {
  cmp -s crates/testkit/servers/requirements.txt "$WORK/moto.installed" && return
  local installed=${CARGO_TARGET_DIR:-target}/servers/moto
  rm -rf "$WORK/moto"
  if [ -d "$installed/lib/python3.11/site-packages/moto" ]; then
    cp -r "$installed/lib/python3.11/site-packages" "$WORK/moto"
  else
    echo "e2e: fetching moto"
    "$installed/bin/pip" install --quiet --disable-pip-version-check \
      --python-version 3.11 --only-binary=:all: --target "$WORK/moto" -r crates/testkit/servers/requirements.txt
  fi
  cp crates/testkit/servers/requirements.txt "$WORK/moto.installed"
}

# image NAME DOCKERFILE PROGRAM: from a context that holds just this program.
image() {
  local context file
  context=$(mktemp -d "$WORK/context.XXXX")
  # Without what only a debugger needs, it is a fifth as long.
  strip --strip-debug -o "$context/${3##*/}" "$3"
  docker build --quiet --build-arg "BASE=$BASE" -t "$1" -f "$2" "$context" >"$WORK/build.log" 2>&1 ||
    { cat "$WORK/build.log"; return 1; }
  rm -rf "$context"
}

mkdir -p "$WORK"
if [ -z "${BASE:-}" ]; then
  make_base
  BASE=$OWN_BASE
fi
fetch_moto
image rutile-e2e deploy/Dockerfile "$PROGRAMS/rutile"
image rutile-e2e-servers e2e/images/servers/Dockerfile "$PROGRAMS/rutile-e2e"
