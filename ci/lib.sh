# Functions for the scripts in this folder. The scripts source this file from the top folder of the repository.
# shellcheck shell=bash

say() { printf '\n== %s\n' "$*"; }

fail() {
  printf 'error: %s\n  %s\n' "$1" "$2" >&2
  exit 1
}

# phase NAME COMMAND…: runs the command and prints how long it took.
phase() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# keep FOLDER KEY COMMAND…: runs the command, which fills the folder. If the folder was filled with the same key
# before, nothing is run. The key contains versions and hashes. It is written last, so that an incomplete folder is
# filled again.
keep() {
  local folder=$1 key=$2
  shift 2
  # Virtual environments contain absolute paths, so a moved repository needs new ones.
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

# install_debian PACKAGE…: installs packages of Debian or Ubuntu.
install_debian() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      fail "missing: $*" "run: sudo apt-get install --no-install-recommends $*"
    fi
    as_root=(sudo -n)
  fi
  command -v apt-get >/dev/null || fail "missing: $*" 'this system is not Debian or Ubuntu: install them yourself'
  printf 'Installing from the distribution: %s\n' "$*"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

# unpack_debian FOLDER PACKAGE: unpacks a package of Debian or Ubuntu into a folder. It is not installed, so it starts
# no service.
unpack_debian() {
  local folder=$1 package=$2
  if ! (cd "$folder" && apt-get download -qq "$package" 2>/dev/null); then
    if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi
    (cd "$folder" && apt-get download -qq "$package")
  fi
  dpkg-deb --extract "$folder/$package"_*.deb "$folder"
  rm "$folder/$package"_*.deb
}

# publisher ARGUMENT…: runs the publisher that PUBLISHER names, or else the one of this repository.
publisher() {
  if [ -n "${PUBLISHER:-}" ]; then "$PUBLISHER" "$@"; else cargo run --quiet --locked -p publisher -- "$@"; fi
}

# cargo_tool NAME: installs a tool into .tools/NAME, in the version that ci/cargo-tools.txt pins.
cargo_tool() {
  local name=$1 version
  version=$(sed -n "s/^$name //p" ci/cargo-tools.txt)
  [ -n "$version" ] || fail "ci/cargo-tools.txt does not pin $name" "add a line: $name VERSION"
  keep ".tools/$name" "$version" cargo_install "$name" "$version"
}

# cargo_install NAME VERSION: builds a tool without optimization. That takes a fifth of the time, and the tools are
# still fast enough.
cargo_install() {
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root ".tools/$1" \
    --target-dir ".tools/$1/target" "$1@$2"
  rm -r ".tools/$1/target"
}

# need PROGRAM…: fails if a program is not installed.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed" "apt-get install $program"
  done
}

# summary TEXT: adds a line to the summary of a run on GitHub. Elsewhere it does nothing.
summary() { if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then printf '%s\n' "$1" >>"$GITHUB_STEP_SUMMARY"; fi; }
