#!/bin/sh
# Decides whether this boot of a new image was good. It waits for the agent's word, then asks the checks of the site. When it fails, systemd reboots, and after
# the last try the boot loader takes up the image before.
set -u
. /usr/lib/os-release
words=/var/lib/groundplane/os-image/health
mark=/run/groundplane/healthy
patience=${GROUNDPLANE_HEALTH_SECONDS:-900}

say() {
  mkdir -p "${words%/*}"
  printf '%s %s\n' "$IMAGE_VERSION" "$1" >"$words.new" && sync "$words.new" && mv -f "$words.new" "$words" && sync "${words%/*}"
  echo "groundplane: $1" >&2
}

# A boot that is not on trial has been good before; a reboot would not make it better.
case $(/usr/lib/systemd/systemd-bless-boot status 2>/dev/null) in
  indeterminate | bad) ;;
  *) exit 0 ;;
esac

while [ ! -e "$mark" ]; do
  if [ "$(cut -d. -f1 /proc/uptime)" -ge "$patience" ]; then
    state=$(systemctl show --property=ActiveState,Result,NRestarts groundplane-agent.service | tr '\n' ' ')
    say "the agent did not become healthy in $patience seconds ($state)"
    exit 1
  fi
  sleep 2
done
for check in /usr/lib/groundplane/health.d/* /etc/groundplane/health.d/*; do
  [ -x "$check" ] || continue
  if ! output=$(timeout 120 "$check" 2>&1); then
    say "the check $check failed: $(printf '%s' "$output" | tail -n 3 | tr '\n' ' ' | cut -c 1-300)"
    exit 1
  fi
done
say "$(cat "$mark")"
