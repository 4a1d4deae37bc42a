#!/bin/sh
# Installs the object storage servers of the tests below target/servers: moto (S3) and azurite
# (Azure). Does nothing when they are there in these versions. Run by `make test-servers`.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$here/../../.." && pwd)
servers=${CARGO_TARGET_DIR:-$root/target}/servers

# Debian's packages of what is missing; only root can, others are told.
need() {
    command -v "$1" >/dev/null 2>&1 && return
    shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "install.sh: install these first: $*" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

need python3 python3 python3-venv ca-certificates
need node nodejs ca-certificates
need npm npm

mkdir -p "$servers"

if ! cmp -s "$here/requirements.txt" "$servers/moto/installed"; then
    echo "install.sh: installing moto"
    rm -rf "$servers/moto"
    # Debian has venv in a package of its own, which an installed python3 may lack.
    if ! python3 -m venv "$servers/moto" 2>/dev/null; then
        rm -rf "$servers/moto"
        need no-venv python3-venv
        python3 -m venv "$servers/moto"
    fi
    "$servers/moto/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$servers/moto/installed"
fi

if ! cmp -s "$here/package.json" "$servers/azurite/installed"; then
    echo "install.sh: installing azurite"
    rm -rf "$servers/azurite"
    mkdir -p "$servers/azurite"
    cp "$here/package.json" "$servers/azurite/package.json"
    npm install --prefix "$servers/azurite" --no-audit --no-fund --no-package-lock --loglevel=error
    cp "$here/package.json" "$servers/azurite/installed"
fi
