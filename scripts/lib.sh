# Sourced by the scripts beside it: what is installed when it is missing, and sections with their times.
# It builds and tests nothing itself.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -d "$HOME/.cargo/bin" ] && PATH="$PATH:$HOME/.cargo/bin"

have() { command -v "$1" >/dev/null 2>&1; }

# die WHAT [HINT]: an error in the form the project's programs use, and the end.
die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

# debian COMMAND PACKAGE...: installs Debian's packages, by root or sudo, when the command is missing.
debian() {
  local command=$1 root=()
  shift
  have "$command" && return
  have apt-get || die "\`$command\` is missing, and there is no apt-get to install it with" "install $*"
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
  echo "installing the npm packages of $1"
  npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
}

results=() closings=() failures=0

# python_packages VENV REQUIREMENTS: a virtual environment with these packages, unless it is complete already.
python_packages() {
  [ "$1/complete" -nt "$2" ] && return
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
# gorilla/websocket, and proxies. The tests look in the same places, and skip loudly what is missing there (under CI they
# fail, but for Go: what it shows is shown on npm `ws` too).
test_servers() {
  node_packages tests/fixtures/servers
  python_packages "${CARGO_TARGET_DIR:-target}/tmp/websockets-venv" tests/fixtures/servers/requirements.txt
  debian tinyproxy tinyproxy
  debian microsocks microsocks
  (go_packages) || echo "Go cannot be installed here: the tests with gorilla/websocket are skipped"
}

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
  rm -f "$log"
}

# skip TITLE WHY: a section that cannot run here.
skip() {
  printf '\n== %s\nskipped: %s\n' "$1" "$2"
  results+=("$(printf '%-7s %5s   %s' skipped '' "$1: $2")")
}

# summary: one table, the test runners' closing lines, and the truth as exit status.
summary() {
  printf '\n== summary, %d min %d s in all\n' $((SECONDS / 60)) $((SECONDS % 60))
  printf '%s\n' "${results[@]}"
  [ ${#closings[@]} = 0 ] || printf '%s\n' "${closings[@]}"
  [ "$failures" = 0 ] || { echo "$failures of the sections failed"; exit 1; }
  echo "everything holds"
}
