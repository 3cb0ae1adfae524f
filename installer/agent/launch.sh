#!/bin/sh
# Starts the agent from the slot that `current` names. A version that has never been healthy gets three starts; then the slot before it is taken up again.
# It stays where the install script put it and is not part of a version, so that no broken version can break the way back.
#
#   launch.sh [AGENT OPTION…]                                      start
#   launch.sh decide CURRENT USABLE PREVIOUS HEALTHY STARTED COUNT  say what a start would do, and do nothing
set -u
umask 022

home=${GROUNDPLANE_HOME:-/opt/groundplane}
marks=${GROUNDPLANE_MARKS:-/var/lib/groundplane/slots}
tries=3

# The decision, without any effect. It prints `start COUNT` or `return`.
# CURRENT: the slot that `current` names, `-` if none. USABLE: `yes` if that slot has something to start. PREVIOUS: the slot to go back to, `-` if none.
# HEALTHY: the slot that was healthy last. STARTED, COUNT: the slot that was started last, and how often without being healthy.
decide() {
  current=$1 usable=$2 previous=$3 healthy=$4 started=$5 count=$6
  case $count in '' | *[!0-9]* | ???*) count=0 ;; esac
  [ "$started" = "$current" ] || count=0
  way_back=no
  if [ "$previous" != - ] && [ "$previous" != "$current" ]; then way_back=yes; fi
  if [ "$usable" != yes ]; then
    if [ "$way_back" = yes ]; then echo return; else echo "start $count"; fi
  elif [ "$healthy" = "$current" ]; then
    echo 'start 0'
  elif [ "$count" -lt "$tries" ]; then
    echo "start $((count + 1))"
  elif [ "$way_back" = yes ]; then
    echo return
  else
    echo "start $count"
  fi
}

if [ "${1-}" = decide ]; then
  shift
  [ $# -eq 6 ] || { echo 'launch.sh decide needs CURRENT USABLE PREVIOUS HEALTHY STARTED COUNT' >&2; exit 2; }
  decide "$@"
  exit 0
fi

# The first line of a mark, or `-`.
mark() {
  line=-
  if [ -r "$marks/$1" ]; then read -r line <"$marks/$1" || true; fi
  printf '%s\n' "${line:--}"
}

# Durable: a power cut leaves the old mark or the new one. A disk that takes no mark must not keep the agent from starting.
set_mark() {
  { mkdir -p "$marks" && printf '%s\n' "$2" >"$marks/.$1.new" && { sync "$marks/.$1.new" 2>/dev/null || sync; } && mv -f "$marks/.$1.new" "$marks/$1"; } 2>/dev/null ||
    echo "groundplane: cannot write $marks/$1; starts of a new version are not counted" >&2
}

# The name of the slot that a link names, or `-`. Only names of slots count, so that a link to elsewhere leads nowhere.
slot_of() {
  target=$(readlink "$home/$1" 2>/dev/null) || target=
  case $target in
    versions/*/* | versions/ | versions/..) echo - ;;
    versions/*) echo "${target#versions/}" ;;
    *) echo - ;;
  esac
}

is_usable() {
  if [ "$1" != - ] && [ -x "$home/versions/$1/bin/node" ] && [ -s "$home/versions/$1/agent/agent.mjs" ]; then echo yes; else echo no; fi
}

current=$(slot_of current)
previous=$(slot_of previous)
[ "$(is_usable "$previous")" = yes ] || previous=-
# One mark holds slot and count, so that they cannot contradict each other after a power cut.
last=$(mark started)
started=${last% *} count=${last##* }
decision=$(decide "$current" "$(is_usable "$current")" "$previous" "$(mark healthy)" "$started" "$count")

case $decision in
  return)
    echo "groundplane: $current did not become healthy in $tries starts; going back to $previous" >&2
    if ln -sfn "versions/$previous" "$home/.current.new" && mv -fT "$home/.current.new" "$home/current"; then
      # First the link, then the mark: a cut in between returns without a word, which is better than a word without return.
      rm -f "$home/previous"
      set_mark returned "$current $previous"
      set_mark started "$previous 1"
      current=$previous
    else
      echo "groundplane: cannot switch $home/current; starting $current once more" >&2
    fi
    ;;
  'start 0') ;;
  *) set_mark started "$current ${decision#start }" ;;
esac

if [ "$current" = - ]; then
  echo "groundplane: $home/current names no version; run install.sh again" >&2
  exit 1
fi
export GROUNDPLANE_SLOT="$current" GROUNDPLANE_MARKS="$marks"
# The flags keep an idle agent small: no threads for V8, a small young generation, and nothing compiled but what is called very often. They lie in the version,
# since a Node that does not know a flag does not start; the ones here are for versions from before that, and every Node knows them.
flags=
if [ -r "$home/versions/$current/agent/node-flags" ]; then read -r flags <"$home/versions/$current/agent/node-flags" || true; fi
# shellcheck disable=SC2086 # several words
exec "$home/versions/$current/bin/node" ${flags:---v8-pool-size=0 --max-semi-space-size=1} "$home/versions/$current/agent/agent.mjs" "$@"
