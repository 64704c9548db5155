# Sourced by the scripts of this folder: a folder outside of the tree, and what they compare.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# Always the same for this tree and script, as cargo keeps what it has built by its path.
outside=${TMPDIR:-/tmp}/rolekeep-packages-$(cksum <<<"$root" | cut -d ' ' -f 1)-$(basename "$0")
rm -rf "$outside"
mkdir -m 700 "$outside"
trap 'code=$?; rm -rf "$outside"; [ "$failures" -eq 0 ] || code=1; exit $code' EXIT
version=$(scripts/version)

# same_list GOLDEN: the list of files on standard input is that of tests/packages/GOLDEN; UPDATE_SNAPSHOTS=1 writes it.
same_list() {
  local found=$outside/found
  sed "s/$version/VERSION/g" | LC_ALL=C sort >"$found"
  [ -z "${UPDATE_SNAPSHOTS:-}" ] || cp "$found" "tests/packages/$1"
  diff -u "tests/packages/$1" "$found"
}

# The profiles of this workspace, for builds outside of it: so they take over what it has built of others' code.
profiles() {
  python3 - >"$outside/profiles.toml" <<'END'
import re
text = open("Cargo.toml").read()
print("".join(re.findall(r"^\[profile\.[^\n]*\]\n(?:(?!\[).*\n?)*", text, re.MULTILINE)))
END
}
