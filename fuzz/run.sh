#!/usr/bin/env bash
# Fuzzes the decoders: fuzz/run.sh SECONDS [TARGET...]
#
# Builds once, replays the corpus of each target, then fuzzes each for SECONDS (0: replay only).
# See docs/fuzzing.md.
set -euo pipefail

seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
cd "$(dirname "$0")"

# libFuzzer is C++.
if ! command -v c++ >/dev/null; then
    echo "installing a C++ compiler"
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y g++ >/dev/null
fi

# What cargo-fuzz passes, with the toolchain of the project: coverage counters, and comparisons so
# that magic numbers and checksums are guessed. --target keeps build scripts out of it.
triple=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --quiet --release --target "$triple"
fuzz=${CARGO_TARGET_DIR:-target}/$triple/release/fuzz

mapfile -t all < <($fuzz 2>/dev/null)
[ ${#all[@]} -gt 0 ] || {
    echo "$fuzz lists no targets" >&2
    exit 2
}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")

# Enough for every code path, and short enough for a run to be quick.
limits=(-max_len=65536 -rss_limit_mb=1024 -timeout=60 "-seed=${FUZZ_SEED:-0}" -print_final_stats=0 -verbosity=0)
# Runs libFuzzer without what it says on every start; its exit code counts, not grep's.
run() {
    $fuzz "${limits[@]}" -artifact_prefix="artifacts/$target/" "$@" 2>&1 |
        { grep -v -e '^INFO' -e 'Failed to find function "__sanitizer' -e '^"' -e '^######' -e NEW_FUNC || true; }
}
for target in "${targets[@]}"; do
    if [ ! -d "corpus/$target" ]; then
        echo "fuzz/corpus/$target is missing; targets are: ${all[*]}" >&2
        exit 2
    fi
    found=target/corpus/$target
    mkdir -p "$found" "artifacts/$target"
    export RUTILE_FUZZ_TARGET=$target
    echo "fuzz $target: $(find "corpus/$target" -type f | wc -l) seeds, $seconds s"
    run -runs=0 "corpus/$target" "$found"
    [ "$seconds" = 0 ] || run -max_total_time="$seconds" "$found" "corpus/$target"
done
echo "fuzz: ${#targets[@]} targets, nothing found"
