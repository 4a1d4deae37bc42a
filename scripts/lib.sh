# Shared by scripts: messages, programs, and a store gateway in the background. Sourced, not run.

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# program NAME PROFILE: where cargo puts it.
program() { printf '%s/%s/%s' "${CARGO_TARGET_DIR:-target}" "${2/#dev/debug}" "$1"; }

# build_genblocks FILE [OTHERWISE]: the program that makes blocks with Prometheus's own library, unless it is there. FILE is absolute.
# Go is the machine's, or what `make test-servers` has fetched; without either, OTHERWISE says what else can be done.
build_genblocks() {
  local go=go
  [ ! -x "$1" ] || return 0
  command -v go >/dev/null || go=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/servers/go/bin/go
  command -v "$go" >/dev/null || fail "go is missing: install it${2:+, or $2}"
  (cd crates/testkit/genblocks && "$go" build -o "$1" .)
}

# http_status ADDRESS PATH: the first line of the answer. curl may not be there.
http_status() {
  local line
  exec 3<>"/dev/tcp/${1%:*}/${1##*:}" || return 1
  printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3
  read -r line <&3
  exec 3>&-
  printf '%s' "$line"
}

# http_get ADDRESS PATH: the body of the answer; fails if it is no success.
http_get() {
  local line
  exec 3<>"/dev/tcp/${1%:*}/${1##*:}" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" "$1" >&3
  read -r line <&3
  [[ $line == *' 200 '* ]] || fail "http://$1$2 answers ${line%$'\r'}"
  while read -r line && [ "$line" != $'\r' ]; do :; done <&3
  cat <&3
  exec 3>&-
}

# url_encoded TEXT: for the query of a URL.
url_encoded() {
  local LC_ALL=C text=$1 i c
  for ((i = 0; i < ${#text}; i++)); do
    c=${text:i:1}
    case $c in
      [A-Za-z0-9._~-]) printf '%s' "$c" ;;
      *) printf '%%%02X' "'$c" ;;
    esac
  done
}

# start_store LOG HTTP_ADDRESS COMMAND...: starts it, waits until it is ready, ends it with the script.
start_store() {
  local log=$1 http=$2 deadline=$((SECONDS + 120))
  "${@:3}" >"$log" 2>&1 &
  store=$!
  trap 'kill "$store" 2>/dev/null || true; wait "$store" 2>/dev/null || true' EXIT
  until [[ $(http_status "$http" /-/ready 2>/dev/null) == *' 200 '* ]]; do
    kill -0 "$store" 2>/dev/null || fail "rutile-store ended; its log:
$(tail -n 20 "$log")"
    ((SECONDS < deadline)) || fail "rutile-store is not ready after 120 s; its log is $log"
    sleep 0.02
  done
}

# stop_store: ends it and waits.
stop_store() {
  kill "$store"
  wait "$store" || true
}
