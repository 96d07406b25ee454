#!/bin/sh
# Installs Longwire from the unpacked archive that contains this file. It uses no network.
#
#   ./install.sh                        installs the program to ~/.local/bin, as root to /usr/local/bin
#   ./install.sh --prefix DIR           installs the program to DIR/bin
#   ./install.sh --extension ID         registers this extension, too, after asking; repeatable
#   ./install.sh --yes                  does not ask
#   ./install.sh --uninstall            removes the registrations and the program
set -eu
# Other users must not be able to change the files, with any umask of the caller.
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=
yes=
action=install
extensions=

die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --extension) [ $# -gt 1 ] || die "\`$1\` needs a value" "" 2 ;;
  esac
  case $1 in
    --prefix) prefix=$2; shift ;;
    --extension)
      case $2 in
        *[!A-Za-z0-9@._{}-]* | '') die "\`$2\` is not an extension id" "" 2 ;;
      esac
      extensions="$extensions --extension $2"
      shift
      ;;
    --yes) yes=yes ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown argument \`$1\`" "$0 --help" 2 ;;
  esac
  shift
done

if [ -z "$prefix" ]; then
  if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=$HOME/.local; fi
fi
program=$prefix/bin/longwire

# Manual pages and completions of the archive. Their names hold no blanks.
extras() { (cd -- "$here" && find share -type f 2>/dev/null) || true; }

# ask QUESTION: yes only after an explicit answer.
ask() {
  [ -z "$yes" ] || return 0
  [ -t 0 ] || return 1
  printf '%s [y/N] ' "$1"
  read -r answer
  case $answer in [yY]*) return 0 ;; *) return 1 ;; esac
}

if [ "$action" = uninstall ]; then
  [ -x "$program" ] || die "there is no $program" "set its folder with --prefix"
  "$program" stop || true
  if [ "$(id -u)" = 0 ]; then "$program" uninstall --all --system; else "$program" uninstall --all; fi
  rm -f -- "$program"
  for file in $(extras); do
    rm -f -- "$prefix/$file"
    # Folders that are empty now, and those above them.
    (cd -- "$prefix" && rmdir -p -- "${file%/*}" 2>/dev/null) || true
  done
  rmdir -- "$prefix/bin" 2>/dev/null || true
  echo "removed $program"
  exit 0
fi

[ -x "$here/longwire" ] || die "there is no program beside $0" "unpack the whole archive"
"$here/longwire" --version >/dev/null || die "the program does not run on this machine" "fetch the archive for $(uname -m)"

# Atomic: the program is never incomplete.
mkdir -p -- "$prefix/bin"
trap 'rm -f -- "$program.new.$$"' EXIT
cp -- "$here/longwire" "$program.new.$$"
chmod 755 "$program.new.$$"
mv -f -- "$program.new.$$" "$program"
echo "installed $program ($("$program" --version))"

for file in $(extras); do
  mkdir -p -- "$prefix/${file%/*}"
  cp -- "$here/$file" "$prefix/$file"
  chmod 644 "$prefix/$file"
done

case :$PATH: in
  *:"$prefix/bin":*) ;;
  *) echo "note: $prefix/bin is not in PATH" ;;
esac

scope=
[ "$(id -u)" != 0 ] || scope=' --system'
if [ -z "$extensions" ]; then
  echo "No extension was specified: registrations are unchanged. To add one: $program install$scope --extension ID"
  exit 0
fi
# The ids hold no blanks and no wildcards: each word is one argument.
# shellcheck disable=SC2086
"$program" install $scope $extensions --dry-run
if ask "Register as shown?"; then
  # shellcheck disable=SC2086
  "$program" install $scope $extensions
else
  echo "Nothing was registered. To do it later: $program install$scope$extensions"
fi
