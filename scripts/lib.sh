# Sourced by the scripts: stands at the root, with the project's own tools on the path.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
tools=$root/target/tools
export PATH="$tools/bin:$tools/bindgen/debug:$tools/node_modules/.bin:$PATH"

# The packages whose tests are Rust, for cargo; always all of them, as each choice has features of its own, with which the
# core is built once more. The libraries for other languages are tested in those languages.
# shellcheck disable=SC2034
rust_tests=(--workspace --exclude rolekeep-python --exclude rolekeep-wasm --exclude rolekeep-mobile --all-features)

# An area goes on after a failure, so that one run shows all of them; it fails at its end.
failures=0
trap 'code=$?; [ "$failures" -eq 0 ] || code=1; exit $code' EXIT

# A check that counts as one, with the seconds that it took: check NAME COMMAND...
check() {
  local name=$1 started=$SECONDS
  shift
  if "$@"; then echo "check passed: $name ($((SECONDS - started)) s)"; else
    echo "check failed: $name"
    failures=1
  fi
}

# A run of tests that prints its own counts.
suite() {
  "$@" || failures=1
}

# Whether the compiler in use has the standard library of wasm32.
has_wasm_target() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib" ]
}
