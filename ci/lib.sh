# Shared by the scripts of this folder, which are sourced from the repository's top folder.
# shellcheck shell=bash

say() { printf '\n== %s\n' "$*"; }

fail() {
  printf 'error: %s\n  %s\n' "$1" "$2" >&2
  exit 1
}

# phase NAME COMMAND…: runs the command and says how long it took.
phase() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# keep FOLDER KEY COMMAND…: runs the command, which fills the folder, unless it was filled under the same key (versions and
# the like). The key is written last, so that a half-made folder is made again.
keep() {
  local folder=$1 key=$2
  shift 2
  # Virtual environments hold absolute paths: a moved repository makes its own.
  key="$PWD $key"
  if [ -f "$folder/.made-from" ] && [ "$(cat "$folder/.made-from")" = "$key" ]; then
    return
  fi
  printf 'Installing into %s: %s\n' "$folder" "$*"
  rm -rf "$folder"
  mkdir -p "$folder"
  "$@"
  printf '%s\n' "$key" >"$folder/.made-from"
}

hash_of() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# debian PACKAGE…: installs packages of the distribution.
debian() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      fail "missing: $*" "run: sudo apt-get install --no-install-recommends $*"
    fi
    as_root=(sudo -n)
  fi
  command -v apt-get >/dev/null || fail "missing: $*" 'install them: this is no Debian or Ubuntu'
  printf 'Installing from the distribution: %s\n' "$*"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

# publisher ARGUMENT…: the one that PUBLISHER names, else that of this repository.
publisher() {
  if [ -n "${PUBLISHER:-}" ]; then "$PUBLISHER" "$@"; else cargo run --quiet --locked -p publisher -- "$@"; fi
}

# cargo_tool NAME: keeps a tool in .tools/NAME, in the version that ci/cargo-tools.txt pins.
cargo_tool() {
  local name=$1 version
  version=$(sed -n "s/^$name //p" ci/cargo-tools.txt)
  [ -n "$version" ] || fail "ci/cargo-tools.txt does not pin $name" "add a line: $name VERSION"
  keep ".tools/$name" "$version" cargo_install "$name" "$version"
}

# Unoptimised: they build in a fifth of the time, and are quick enough all the same.
cargo_install() {
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root ".tools/$1" \
    --target-dir ".tools/$1/target" "$1@$2"
  rm -r ".tools/$1/target"
}

# need PROGRAM…: stops where one is missing.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed" "apt-get install $program"
  done
}

# summary TEXT: for the page of a run on GitHub, and nowhere else.
summary() { if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then printf '%s\n' "$1" >>"$GITHUB_STEP_SUMMARY"; fi; }
