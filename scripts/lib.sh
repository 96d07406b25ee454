# shellcheck shell=bash
# Sourced by the scripts beside it: what is installed when it is missing, and sections with their times.
# It builds and tests nothing itself.

set -euo pipefail
# Some scripts read what other programs print.
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -d "$HOME/.cargo/bin" ] && PATH="$PATH:$HOME/.cargo/bin"
# Servers that tests start lie there, and not everybody's PATH names it.
PATH="$PATH:/usr/sbin:/sbin"

have() { command -v "$1" >/dev/null 2>&1; }

# die WHAT [HINT]: an error in the form the project's programs use, and the end.
die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

# flags WORD...: sets `rest` to the words without --no-install, which every script takes: nothing is installed then,
# and what is missing is an error that names it.
flags() {
  local word
  rest=()
  for word in "$@"; do
    if [ "$word" = --no-install ]; then export LONGWIRE_NO_INSTALL=1; else rest+=("$word"); fi
  done
}

may_install() { [ -z "${LONGWIRE_NO_INSTALL:-}" ]; }

# elsewhere MANAGER PACKAGE...: the names that Fedora (dnf) or Arch (pacman) give to Debian's packages.
elsewhere() {
  local manager=$1 package
  shift
  for package in "$@"; do
    case $manager:$package in
      dnf:build-essential) echo gcc make ;;
      dnf:golang-go) echo golang ;;
      dnf:golang-github-gorilla-websocket-dev) echo golang-github-gorilla-websocket-devel ;;
      dnf:python3-venv) echo python3 ;;
      dnf:firefox-esr | pacman:firefox-esr) echo firefox ;;
      dnf:xz-utils | pacman:xz-utils) echo xz ;;
      dnf:npm) echo nodejs-npm ;;
      dnf:musl-tools) echo musl-gcc ;;
      dnf:gcc-mingw-w64-x86-64-posix) echo mingw64-gcc ;;
      dnf:gcc-aarch64-linux-gnu) echo gcc-aarch64-linux-gnu ;;
      dnf:wine64) echo wine ;;
      dnf:fuse3 | pacman:fuse3) echo fuse3 ;;
      pacman:dbus-daemon) echo dbus ;;
      pacman:build-essential) echo base-devel ;;
      pacman:golang-go | pacman:golang-github-gorilla-websocket-dev) echo go ;;
      pacman:python3 | pacman:python3-venv) echo python ;;
      pacman:dpkg | pacman:msitools | pacman:microsocks) echo "$package (AUR)" ;;
      pacman:musl-tools) echo musl ;;
      pacman:gcc-mingw-w64-x86-64-posix) echo mingw-w64-gcc ;;
      pacman:gcc-aarch64-linux-gnu) echo aarch64-linux-gnu-gcc ;;
      pacman:wine64) echo wine ;;
      *) echo "$package" ;;
    esac
  done | tr '\n' ' ' | sed 's/ $//'
}

# how_to_install PACKAGE...: the command of this system's package manager.
how_to_install() {
  local manager
  for manager in dnf pacman; do
    have "$manager" || continue
    case $manager in
      dnf) echo "sudo dnf install $(elsewhere dnf "$@")" ;;
      pacman) echo "sudo pacman -S --needed $(elsewhere pacman "$@")" ;;
    esac
    return
  done
  if have apt-get; then echo "sudo apt-get install $*"; else
    echo "Debian: $*; Fedora: $(elsewhere dnf "$@"); Arch: $(elsewhere pacman "$@")"
  fi
}

# debian COMMAND PACKAGE...: installs Debian's packages, by root or sudo, when the command is missing.
debian() {
  local command=$1 root=()
  shift
  have "$command" && return
  have apt-get || die "\`$command\` is missing, and there is no apt-get to install it with" "$(how_to_install "$@")"
  may_install || die "\`$command\` is missing, and --no-install was given" "$(how_to_install "$@")"
  [ "$(id -u)" = 0 ] || root=(sudo)
  have "${root[0]:-true}" || die "\`$command\` is missing, and installing it needs root" "as root: apt-get install $*"
  echo "installing Debian packages: $*"
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update </dev/null
  "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >/dev/null
}

# rust: cargo, and a C compiler for the one dependency that holds C and assembler (ring).
rust() {
  have cargo || die "cargo is missing" "install Rust: https://rustup.rs"
  debian cc build-essential
}

# cargo_deny: built into the target folder where the machine has none; false where it cannot be had.
cargo_deny() {
  local tools
  mkdir -p "${CARGO_TARGET_DIR:-target}/tools"
  tools=$(cd "${CARGO_TARGET_DIR:-target}/tools" && pwd)
  PATH="$PATH:$tools/bin"
  have cargo-deny && return
  may_install || { echo "cargo-deny is missing, and --no-install was given: cargo install cargo-deny"; return 1; }
  echo "installing cargo-deny into $tools (once, some minutes)"
  cargo install --quiet --locked --root "$tools" cargo-deny@0.20.2 </dev/null
}

# node_packages FOLDER: the locked npm packages of that folder, unless they are there already.
node_packages() {
  debian node nodejs
  debian npm npm
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
    die "Node.js 20 or newer is needed, this is $(node --version)" "https://nodejs.org"
  [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] && return
  may_install || die "the npm packages of $1 are missing, and --no-install was given" "npm ci --prefix $1 --ignore-scripts"
  echo "installing the npm packages of $1"
  npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
}

# pack_client: builds and packs the npm package, and names the file in LONGWIRE_PACKAGE.
pack_client() {
  local folder=$PWD/target/package
  mkdir -p "$folder"
  (cd client && npm pack --loglevel=error --pack-destination "$folder" </dev/null >/dev/null)
  LONGWIRE_PACKAGE=$(ls -t "$folder"/longwire-*.tgz | head -n1)
  export LONGWIRE_PACKAGE
}

# vscode: a real VS Code for tests, as the npm package code-server has it, with the packages of the editor itself. None of
# it is compiled: what needs native code (terminals, rotating logs) is left out.
vscode() {
  node_packages tests/vscode
  local editor=tests/vscode/node_modules/code-server/lib/vscode
  [ -f "$editor/node_modules/.package-lock.json" ] && return
  may_install || die "the npm packages of $editor are missing, and --no-install was given" "npm install in that folder"
  echo "installing the npm packages of $editor"
  (cd "$editor" && npm install --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null)
}

# python_packages VENV REQUIREMENTS: a virtual environment with these packages, unless it is complete already.
python_packages() {
  [ "$1/complete" -nt "$2" ] && return
  may_install || die "the Python packages of $2 are missing, and --no-install was given" "python3 -m venv $1, and pip install -r $2 in it"
  debian python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || debian "no venv in python3" python3-venv
  echo "installing the Python packages of $2"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 -r "$2" </dev/null
  touch "$1/complete"
}

# go_packages: Go, and gorilla/websocket as Debian has it, which builds without a network.
go_packages() {
  debian go golang-go
  [ -d /usr/share/gocode/src/github.com/gorilla/websocket ] ||
    debian "no gorilla/websocket" golang-github-gorilla-websocket-dev
}

# test_servers: other people's software that the integration tests talk to: npm `ws` and `socket.io`, Python `websockets`,
# gorilla/websocket, proxies, shells, and a parser of PowerShell. The tests look in the same places, and count as skipped
# without them; under CI they fail.
test_servers() {
  node_packages tests/fixtures/servers
  python_packages "${CARGO_TARGET_DIR:-target}/tmp/websockets-venv" tests/fixtures/servers/requirements.txt
  python_packages "${CARGO_TARGET_DIR:-target}/tmp/powershell-venv" tests/fixtures/powershell/requirements.txt
  debian tinyproxy tinyproxy
  debian nginx nginx
  debian haproxy haproxy
  debian microsocks microsocks
  debian openssl openssl
  debian fish fish
  debian zsh zsh
  debian unshare util-linux
  debian ip iproute2
  debian systemd-socket-activate systemd
  (go_packages) || echo "Go cannot be installed here: the tests with gorilla/websocket are skipped"
}

results=() closings=() failures=0
# Tests that could not run, one line each. The Rust tests append to it themselves, since runners hide their output.
export LONGWIRE_SKIPPED_TESTS=${LONGWIRE_SKIPPED_TESTS:-$(mktemp)}

# section TITLE COMMAND...: a heading, the command's output and its time. A failure is kept for `summary`; the rest goes on.
section() {
  local title=$1 log verdict=ok begun=$SECONDS
  shift
  log=$(mktemp)
  printf '\n== %s\n' "$title"
  set +e
  (set -e; "$@") </dev/null 2>&1 | tee "$log"
  [ "${PIPESTATUS[0]}" = 0 ] || { verdict=FAILED; failures=$((failures + 1)); }
  set -e
  results+=("$(printf '%-7s %5ds  %s' "$verdict" $((SECONDS - begun)) "$title")")
  # What the test runners said last, without the runs that held no test.
  while IFS= read -r line; do closings+=("$line"); done < <(
    grep -E '^ *Summary \[|^test result: |^(#|ℹ) (tests|pass|fail|cancelled) ' "$log" | grep -v ' 0 passed; 0 failed'
  )
  # Node's runner names the tests it skipped, in its two forms.
  grep -hoE '^ *﹣ .*|^ *ok .* # SKIP.*' "$log" | sed -E 's/^ *(﹣|ok [0-9]+ -) //' >>"$LONGWIRE_SKIPPED_TESTS" || true
  rm -f "$log"
}

# skip TITLE WHY: a section that cannot run here. It counts like a test that was skipped.
skip() {
  leave_out "$@"
  echo "$1: $2" >>"$LONGWIRE_SKIPPED_TESTS"
}

# leave_out TITLE WHY: a section that nobody asked for.
leave_out() {
  printf '\n== %s\nskipped: %s\n' "$1" "$2"
  results+=("$(printf '%-7s %5s   %s' skipped '' "$1: $2")")
}

# told_skipped: how many tests were skipped, which and why; a failure where CI is set.
told_skipped() {
  local count
  count=$(wc -l <"$LONGWIRE_SKIPPED_TESTS")
  [ "$count" -gt 0 ] || { echo "no test was skipped"; return; }
  echo "$count skipped because this machine cannot run them:"
  sort "$LONGWIRE_SKIPPED_TESTS" | sed 's/^/  /'
  if [ -n "${CI:-}" ]; then
    echo "CI is set, so a skipped test is a failure"
    failures=$((failures + 1))
  fi
}

# summary: one table, the test runners' closing lines, what was skipped, and the truth as exit status.
summary() {
  printf '\n== summary, %d min %d s in all\n' $((SECONDS / 60)) $((SECONDS % 60))
  printf '%s\n' "${results[@]}"
  [ ${#closings[@]} = 0 ] || printf '%s\n' "${closings[@]}"
  told_skipped
  rm -f "$LONGWIRE_SKIPPED_TESTS"
  [ "$failures" = 0 ] || { echo "$failures of the sections failed"; exit 1; }
  echo "everything holds"
}
