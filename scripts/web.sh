#!/usr/bin/env bash
# The web page: `web.sh build` makes crates/ui/dist of web/, `check` holds the committed one against a fresh one, and `test`
# checks that, runs the unit tests, and then uses the page in a real browser. What is missing is installed first.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly DIST=crates/ui/dist
mkdir -p "${CARGO_TARGET_DIR:-target}/web"
# Absolute: npm runs in web/.
TOOLS=$(cd "${CARGO_TARGET_DIR:-target}/web" && pwd)
readonly TOOLS

# need PROGRAM PACKAGE...: Debian's packages of what is missing; only root can, others are told.
need() {
  command -v "$1" >/dev/null && return
  shift
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || fail "install these first: $*"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

node_is_new() { node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; }

# What Debian has may be too old for Vite; the registry of the packages has newer ones.
install_node() {
  need node nodejs ca-certificates
  need npm npm
  node_is_new && return
  if [[ ! -x $TOOLS/node_modules/.bin/node ]]; then
    say "installing a newer Node"
    npm install --prefix "$TOOLS" --no-audit --no-fund --loglevel=error node@22
  fi
  PATH=$TOOLS/node_modules/.bin:$PATH
  node_is_new || fail "Node 20.19 or newer is needed, $(node --version) was found"
}

install_packages() {
  install_node
  local installed=web/node_modules/.installed
  cmp -s web/package-lock.json "$installed" && return
  npm ci --prefix web --no-audit --no-fund --loglevel=error
  cp web/package-lock.json "$installed"
}

# Only the program: the package would start a server.
install_prometheus() {
  command -v prometheus >/dev/null && command -v promtool >/dev/null && return
  PATH=$TOOLS/prometheus/usr/bin:$PATH
  [[ -x $TOOLS/prometheus/usr/bin/prometheus ]] && return
  say "installing Prometheus"
  mkdir -p "$TOOLS/prometheus"
  (
    cd "$TOOLS/prometheus"
    apt-get download -q prometheus || { apt-get update -qq && apt-get download -q prometheus; }
    dpkg-deb --extract ./prometheus_*.deb .
  )
}

build() {
  install_packages
  npm run --prefix web --silent build -- --outDir "$1" --emptyOutDir --logLevel warn
}

check() {
  build "$TOOLS/dist"
  diff -r "$TOOLS/dist" "$DIST" >/dev/null || fail "$DIST is not what web/ says: run \`make web\` and commit it"
  echo "$DIST is what web/ says"
}

browse() {
  install_prometheus
  [[ -n ${CHROMIUM:-} ]] || need chromium chromium fonts-dejavu-core
  npm run --prefix web --silent test
  CHROMIUM=${CHROMIUM:-$(command -v chromium)} npm run --prefix web --silent test:browser
}

case ${1:-} in
  build) build "$PWD/$DIST" && du -bc "$DIST"/* ;;
  check) check ;;
  test) check && browse ;;
  *) fail "usage: web.sh build | check | test" ;;
esac
