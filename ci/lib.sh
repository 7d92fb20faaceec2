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
