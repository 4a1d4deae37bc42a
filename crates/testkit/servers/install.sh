#!/bin/sh
# Installs what the tests need below target/servers: the object storage servers moto (S3) and azurite
# (Azure), Debian's Prometheus with promtool, a dump program on Prometheus's storage library (genblocks/dump), and what renders
# and checks deploy/kubernetes and deploy/helm.
# Also Debian's memcached and redis-server, openssl, which makes certificates, and curl, a client of another making,
# where they are missing.
# Does nothing when they are there in these versions. Run by `make test-servers`.
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
need openssl openssl
need curl curl ca-certificates
need memcached memcached
need redis-server redis-server

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

# Only the programs: the package would start a server.
if [ ! -x "$servers/prometheus/promtool" ] || [ ! -x "$servers/prometheus/prometheus" ]; then
    echo "install.sh: installing Prometheus"
    need dpkg-deb dpkg
    mkdir -p "$servers/prometheus/package"
    (
        cd "$servers/prometheus/package"
        apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }
        dpkg-deb --extract ./prometheus_*.deb .
        mv usr/bin/promtool usr/bin/prometheus ..
    )
    rm -rf "$servers/prometheus/package"
fi

# Any Go from 1.21 on fetches the version that go.mod names by itself; Debian's may be older, and then
# the toolchain comes from where Go modules come from.
go=go
go_is_new() { command -v go >/dev/null 2>&1 && go version | grep -Eq 'go1\.(2[1-9]|[3-9][0-9])'; }
fetch_go() {
    go=$servers/go/bin/go
    [ -x "$go" ] && return
    case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) echo "install.sh: install Go 1.26 first" >&2 && exit 1 ;;
    esac
    need curl curl ca-certificates
    name=v0.0.1-go1.26.0.linux-$arch
    proxy=${GOPROXY:-https://proxy.golang.org}
    echo "install.sh: installing Go"
    mkdir -p "$servers/go.part"
    curl -fsSL "${proxy%%,*}/golang.org/toolchain/@v/$name.zip" -o "$servers/go.zip"
    python3 -m zipfile -e "$servers/go.zip" "$servers/go.part"
    mv "$servers/go.part/golang.org/toolchain@$name" "$servers/go"
    chmod +x "$servers"/go/bin/* "$servers"/go/pkg/tool/*/*
    rm -rf "$servers/go.zip" "$servers/go.part"
}

genblocks=$here/../genblocks
blockdump=$servers/prometheus/blockdump
if [ ! -x "$blockdump" ] || [ -n "$(find "$genblocks/dump" "$genblocks/go.mod" -newer "$blockdump" -type f)" ]; then
    go_is_new || fetch_go
    echo "install.sh: building the dump program"
    (cd "$genblocks" && "$go" build -o "$blockdump" ./dump)
fi

if ! cmp -s "$here/kubernetes.txt" "$servers/kubernetes/installed"; then
    echo "install.sh: installing kustomize, helm and kubernetes-validate"
    rm -rf "$servers/kubernetes"
    python3 -m venv "$servers/kubernetes"
    "$servers/kubernetes/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$here/kubernetes.txt"
    go_is_new || fetch_go
    version() { sed -n "s/^# *$1 //p" "$here/kubernetes.txt"; }
    export GOBIN="$servers/kubernetes/bin" CGO_ENABLED=0
    "$go" install "sigs.k8s.io/kustomize/kustomize/$(version kustomize)"
    "$go" install "helm.sh/helm/$(version helm)"
    cp "$here/kubernetes.txt" "$servers/kubernetes/installed"
fi
