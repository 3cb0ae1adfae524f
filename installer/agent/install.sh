#!/bin/sh
# Installs, updates and removes the Groundplane agent on a host with systemd. It says what it does, can run twice, and changes nothing before everything is checked.
set -eu
umask 022

usage() {
  cat <<'TEXT'
install.sh [--package FILE] (--key PUBLIC.pem | --sha256 HEX | --insecure) [--ticket FILE|-] [options]
install.sh --uninstall [--purge] [--root DIR]

  --package FILE    groundplane-agent-….tar.zst; default: the one beside this script for this machine
  --key FILE        public Ed25519 key (PEM); checks SHA256SUMS.sig, then the digest of the package
  --sha256 HEX      digest of the package that you have from a source you trust; instead of --key
  --insecure        neither of both: whoever could change the package can take the machine
  --ticket FILE|-   what `gp ticket create` printed; - reads it from standard input
  --name NAME       name of the host in the hub; default: its host name
  --carrier ws|mqtt how the agent reaches the hub; default ws
  --no-start        install, but do not enable or start
  --root DIR        install into the file system below DIR (an image); enables, starts nothing
  --uninstall       stop and remove; identity and state stay in /var/lib/groundplane
  --purge           with --uninstall: remove those too
  --systemctl CMD   use CMD for systemctl

It ends with 0 when done, 1 when a step failed, 2 for wrong options, 3 when the machine lacks something, 4 when a check of the package failed.
TEXT
}

say() { printf '%s\n' "$*"; }
stop() {
  code=$1
  shift
  printf 'install.sh: %s\n' "$*" >&2
  exit "$code"
}

package='' key='' sha256='' insecure=no ticket='' name='' carrier='' start=yes root='' action=install purge=no systemctl=''
need_value() { [ "$2" -ge 2 ] || stop 2 "$1 needs a value"; }
while [ $# -gt 0 ]; do
  case $1 in
    --package) need_value "$1" $#; package=$2; shift ;;
    --key) need_value "$1" $#; key=$2; shift ;;
    --sha256) need_value "$1" $#; sha256=$2; shift ;;
    --insecure) insecure=yes ;;
    --ticket) need_value "$1" $#; ticket=$2; shift ;;
    --name) need_value "$1" $#; name=$2; shift ;;
    --carrier) need_value "$1" $#; carrier=$2; shift ;;
    --no-start) start=no ;;
    --root) need_value "$1" $#; root=$2; shift ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    --systemctl) need_value "$1" $#; systemctl=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; stop 2 "unknown option $1" ;;
  esac
  shift
done

# As sha256sum prints it, as the installer prints it, and in the upper case of other systems.
sha256=${sha256#sha256:}
case $sha256 in *[A-F]*) sha256=$(printf '%s' "$sha256" | tr 'A-F' 'a-f') ;; esac
case $sha256 in
  '') ;;
  *[!0-9a-f]*) stop 2 "--sha256 $sha256: is no digest of 64 hexadecimal digits" ;;
  *) [ ${#sha256} -eq 64 ] || stop 2 "--sha256 $sha256: is no digest of 64 hexadecimal digits; it has ${#sha256}" ;;
esac
case $name in *[!0-9A-Za-z.-]*) stop 2 "--name $name: only letters, digits, \".\" and \"-\"" ;; esac
case $carrier in '' | ws | mqtt) ;; *) stop 2 "--carrier is ws or mqtt, not $carrier" ;; esac
case $root in '' | /*) ;; *) root=$PWD/$root ;; esac
[ "$root" != / ] || root=''
[ -z "$root" ] || [ -d "$root" ] || stop 2 "--root $root: there is no such folder"
[ "$purge" = no ] || [ "$action" = uninstall ] || stop 2 '--purge goes with --uninstall'

# An image has no running systemd. With --systemctl it is treated as a running host.
live=no
if [ -z "$root" ] || [ -n "$systemctl" ]; then live=yes; fi
[ -n "$systemctl" ] || systemctl=systemctl

unit=groundplane-agent.service
home=$root/opt/groundplane
data=$root/var/lib/groundplane
units=$root/etc/systemd/system
settings=$root/etc/groundplane
command=$root/usr/local/sbin/groundplane-agent
rules=$root/etc/udev/rules.d/60-groundplane-media.rules

uninstall() {
  if [ "$live" = yes ]; then
    # Not there any more is what we want; everything else shows in the next steps.
    "$systemctl" disable --now "$unit" >/dev/null 2>&1 || true
    say "stopped and disabled $unit"
  fi
  rm -f "$units/multi-user.target.wants/$unit" "$units/$unit" "$command" "$rules"
  rm -rf "$units/$unit.d" "$settings" "$home"
  say "removed $units/$unit, $settings and $home"
  if [ "$live" = yes ]; then
    "$systemctl" daemon-reload
    "$systemctl" reset-failed "$unit" >/dev/null 2>&1 || true
  fi
  if [ "$purge" = yes ]; then
    rm -rf "$data"
    say "removed $data: this host has no identity any more; revoke it in the hub"
  elif [ -d "$data" ]; then
    rm -rf "$data/slots"
    say "kept $data (identity and state); --purge removes it"
  fi
  say 'What layers have changed on this host (packages, files, settings) stays as it is.'
}

missing=''
lacks() { missing="$missing
  - $1"; }

# True when the first version is at least the second, by the first two numbers.
at_least() {
  have_major=${1%%.*} have_rest=${1#*.} want_major=${2%%.*} want_minor=${2#*.}
  have_minor=${have_rest%%[!0-9]*}
  [ "$have_major" -gt "$want_major" ] || { [ "$have_major" -eq "$want_major" ] && [ "${have_minor:-0}" -ge "$want_minor" ]; }
}

machine_arch() {
  case $(uname -m) in
    x86_64 | amd64) echo x64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# MiB that are free where a folder is or will be.
free_mib() {
  at=$1
  while [ ! -d "$at" ]; do at=$(dirname "$at"); done
  df -Pk "$at" | awk 'NR == 2 { print int($4 / 1024) }'
}

check_machine() {
  for tool in tar zstd sha256sum awk df readlink mktemp; do
    command -v "$tool" >/dev/null 2>&1 || lacks "the program $tool is not installed"
  done
  if [ -n "$key" ]; then
    command -v openssl >/dev/null 2>&1 || lacks 'openssl is not installed, and --key needs it to check the signature'
  fi
  if [ -z "$root" ]; then
    [ "$(uname -s)" = Linux ] || lacks "this is $(uname -s); the agent runs on Linux"
    case $(machine_arch) in x64 | arm64) ;; *) lacks "the processor is $(uname -m); there are agents for x86_64 and aarch64" ;; esac
    at_least "$(uname -r)" 4.18 || lacks "the kernel is $(uname -r); it has to be 4.18 or newer"
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=''
    case $libc in
      'glibc '*) at_least "${libc#glibc }" 2.28 || lacks "the C library is $libc; it has to be 2.28 or newer" ;;
      *) lacks 'the C library is not glibc; there is no agent for musl yet' ;;
    esac
    [ "$(id -u)" = 0 ] || lacks 'this needs root; run it with sudo'
    [ -d /run/systemd/system ] || [ "$systemctl" != systemctl ] || lacks 'systemd does not run here (no /run/systemd/system)'
  fi
  if [ "$live" = yes ]; then
    command -v "$systemctl" >/dev/null 2>&1 || lacks "there is no $systemctl"
  fi
  room=$(free_mib "$home")
  [ "${room:-0}" -ge 400 ] || lacks "$home has ${room:-0} MiB free; 400 are needed for two versions"
  room=$(free_mib "$data")
  [ "${room:-0}" -ge 100 ] || lacks "$data has ${room:-0} MiB free; 100 are needed"
  [ -z "$missing" ] || stop 3 "this machine cannot run the agent yet:$missing"
}

find_package() {
  if [ -n "$package" ]; then
    [ -f "$package" ] || stop 2 "--package $package: there is no such file"
    return
  fi
  here=$(cd "$(dirname "$0")" && pwd)
  set -- "$here"/groundplane-agent-*-linux-"$(machine_arch)".tar.zst
  [ -f "$1" ] || stop 2 "there is no package for $(machine_arch) beside this script; name one with --package"
  [ $# -eq 1 ] || stop 2 "there are several packages beside this script; name one with --package"
  package=$1
}

# What is checked has to be what is unpacked, also when others may write to the folder of the package: so it is copied first.
take_in() {
  mkdir -p "$home"
  rm -rf "$home/.incoming-"*
  incoming=$(mktemp -d "$home/.incoming-XXXXXX")
  trap 'rm -rf "$incoming"; rmdir "$home/versions" "$home" 2>/dev/null || true' EXIT
  trap 'exit 1' INT TERM HUP
  for each in "$package" "$(dirname "$package")/SHA256SUMS" "$(dirname "$package")/SHA256SUMS.sig"; do
    if [ -f "$each" ]; then cp "$each" "$incoming/"; fi
  done
  folder=$incoming
  package=$incoming/$file
}

check_signature() {
  [ -f "$folder/SHA256SUMS" ] || stop 4 "SHA256SUMS is missing beside the package, so the package cannot be checked"
  [ -f "$folder/SHA256SUMS.sig" ] || stop 4 "SHA256SUMS.sig is missing beside the package, so nobody vouches for the package"
  [ -f "$key" ] || stop 2 "--key $key: there is no such file"
  openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$folder/SHA256SUMS" -sigfile "$folder/SHA256SUMS.sig" >/dev/null 2>&1 ||
    stop 4 "the signature of SHA256SUMS is not by the key $key (or openssl is older than 3). Nothing was changed"
  say 'the signature is good'
}

# Sets `digest`. The digests beside the package say that it is whole; only a key or a digest from elsewhere says whose it is.
check_package() {
  file=$(basename "$package")
  case $file in
    groundplane-agent-*-linux-x64.tar.zst) arch=x64 ;;
    groundplane-agent-*-linux-arm64.tar.zst) arch=arm64 ;;
    *) stop 2 "$file is not the name of a package: groundplane-agent-VERSION-linux-ARCH.tar.zst" ;;
  esac
  version=${file#groundplane-agent-}
  version=${version%-linux-*}
  case $version in [!0-9]* | *[!0-9A-Za-z.+-]*) stop 2 "$file: \"$version\" is not a version" ;; esac
  [ -n "$root" ] || [ "$arch" = "$(machine_arch)" ] || stop 3 "$file is for $arch, and this machine is $(machine_arch)"
  take_in
  digest=$(sha256sum "$package" | awk '{ print $1 }')
  if [ -n "$key" ]; then check_signature; fi
  if [ -f "$folder/SHA256SUMS" ]; then
    listed=$(awk -v name="$file" '$2 == name || $2 == "*" name { print $1 }' "$folder/SHA256SUMS")
    [ "$listed" = "$digest" ] || stop 4 "$file has the digest $digest, and SHA256SUMS says \"$listed\". It is damaged or not the one; fetch it again"
  elif [ "$insecure" = no ] && [ -z "$sha256" ]; then
    stop 4 "SHA256SUMS is missing beside the package, so the package cannot be checked"
  fi
  if [ -n "$sha256" ]; then
    [ "$sha256" = "$digest" ] || stop 4 "$file has the digest $digest, and --sha256 says $sha256. Nothing was changed"
  elif [ -z "$key" ]; then
    [ "$insecure" = yes ] || stop 4 'nobody vouches for the package: give --key PUBLIC.pem or --sha256 HEX, or --insecure if you accept that'
    say 'WARNING: nobody vouches for this package (--insecure)'
  fi
  say "$file: digest $digest"
}

# The slot is named by version and content, so the same version built anew is another slot and no slot ever changes.
unpack() {
  slot=$version-$(printf '%.12s' "$digest")
  if [ -f "$home/versions/$slot/manifest.json" ]; then
    say "$home/versions/$slot is there already"
    return
  fi
  mkdir -p "$home/versions"
  # Left behind by a run that was cut.
  rm -rf "$home/versions/.new-"*
  fresh=$(mktemp -d "$home/versions/.new-XXXXXX")
  zstd -dcq <"$package" | tar -xf - -C "$fresh" --no-same-owner || stop 1 "$file cannot be unpacked into $fresh"
  chmod 755 "$fresh"
  for each in manifest.json bin/node agent/agent.mjs launch.sh groundplane-agent.service; do
    [ -s "$fresh/$each" ] && continue
    rm -rf "$fresh"
    stop 4 "$file is not a package of the agent: it lacks $each"
  done
  if [ -z "$root" ] && ! said=$("$fresh/bin/node" --version 2>&1); then
    rm -rf "$fresh"
    stop 3 "the Node of the package does not run on this machine: $said. If a library is missing: apt install libatomic1 libstdc++6, dnf install libatomic libstdc++, or zypper install libatomic1 libstdc++6"
  fi
  sync
  mv "$fresh" "$home/versions/$slot"
  say "unpacked into $home/versions/$slot"
}

# Replaces a file in one go, and only if it differs. Sets `changed`.
put() {
  if [ -f "$2" ] && cmp -s "$1" "$2"; then return; fi
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new"
  chmod "$3" "$2.new"
  mv -f "$2.new" "$2"
  changed=yes
  say "wrote $2"
}

# The way back leads to a version that was healthy: an update over a bad update must not throw the good one away.
switch() {
  old=$(readlink "$home/current" 2>/dev/null) || old=''
  if [ "$old" = "versions/$slot" ]; then return; fi
  back=$(readlink "$home/previous" 2>/dev/null) || back=''
  healthy=$(cat "$data/slots/healthy" 2>/dev/null) || healthy=''
  if [ -n "$old" ] && [ -d "$home/$old" ] && ! { [ -n "$back" ] && [ "$back" = "versions/$healthy" ] && [ -d "$home/$back" ]; }; then
    back=$old
    ln -sfn "$back" "$home/.previous.new"
    mv -fT "$home/.previous.new" "$home/previous"
  fi
  rm -f "$data/slots/started"
  ln -sfn "versions/$slot" "$home/.current.new"
  mv -fT "$home/.current.new" "$home/current"
  changed=yes
  say "current is $slot${old:+, before it was ${old#versions/}}"
  # Two slots: this one and the one to go back to.
  for each in "$home/versions"/*; do
    case $each in
      "$home/versions/$slot" | "$home/$back") ;;
      *) rm -rf "$each" ;;
    esac
  done
}

place_ticket() {
  mkdir -p "$data/slots"
  chmod 700 "$data"
  if [ -n "$ticket_text" ] && [ "$ticket_text" != "$(cat "$data/ticket" 2>/dev/null)" ]; then
    (umask 077 && printf '%s\n' "$ticket_text" >"$data/.ticket.new")
    mv -f "$data/.ticket.new" "$data/ticket"
    changed=yes
    say "wrote $data/ticket"
  fi
}

# For root's commands, such as `groundplane-agent media import`; the service starts launch.sh and not this.
place_command() {
  printf '#!/bin/sh\nexec /opt/groundplane/current/bin/node /opt/groundplane/current/agent/agent.mjs "$@"\n' >"$home/.command.new"
  put "$home/.command.new" "$command" 755
  rm -f "$home/.command.new"
}

# Versions before the rule had none; udev reads the folder by itself. Who does not want it puts a link to /dev/null there. A host without the folder has no udev,
# and is to have none after us.
place_rules() {
  from=$home/versions/$slot/60-groundplane-media.rules
  [ -f "$from" ] && [ -d "$(dirname "$rules")" ] && [ ! -L "$rules" ] || return 0
  put "$from" "$rules" 644
}

place_settings() {
  [ -n "$name$carrier" ] || return 0
  mkdir -p "$settings"
  printf 'GROUNDPLANE_AGENT_OPTIONS=%s\n' "${name:+--name $name }${carrier:+--carrier $carrier}" >"$settings/.agent.env.new"
  put "$settings/.agent.env.new" "$settings/agent.env" 644
  rm -f "$settings/.agent.env.new"
}

start_it() {
  if [ "$start" = no ]; then
    say 'installed, not enabled; start it with: systemctl enable --now groundplane-agent'
    return
  fi
  if [ "$live" = no ]; then
    mkdir -p "$units/multi-user.target.wants"
    ln -sfn "/etc/systemd/system/$unit" "$units/multi-user.target.wants/$unit"
    say "enabled $unit for the next boot of $root"
    return
  fi
  "$systemctl" daemon-reload
  "$systemctl" enable "$unit" >/dev/null 2>&1 || stop 1 "systemctl enable $unit failed"
  if [ "$changed" = no ] && "$systemctl" is-active --quiet "$unit"; then
    say "$unit runs already, nothing has changed"
    return
  fi
  "$systemctl" restart "$unit" || stop 1 "$unit did not start; systemd goes on trying, and after three starts the version before is taken up again. Look at: journalctl -u $unit -n 50"
  say "$unit runs"
}

# Sets `ticket_text`; before anything is changed.
read_ticket() {
  case $ticket in
    '') ticket_text='' && return ;;
    -) ticket_text=$(head -c 40000) ;;
    *)
      [ -f "$ticket" ] || stop 2 "--ticket $ticket: there is no such file"
      ticket_text=$(head -c 40000 "$ticket")
      ;;
  esac
  case $ticket_text in
    gpt1.*) ;;
    *) stop 2 'what came as a ticket does not begin with gpt1.; copy it again from: gp ticket create' ;;
  esac
}

install() {
  read_ticket
  check_machine
  find_package
  check_package
  if [ "$live" = yes ] && [ "$start" = yes ] && [ -z "$ticket" ] && [ ! -f "$data/ticket" ]; then
    stop 2 'there is no ticket yet, and without one the agent knows no hub: give --ticket FILE, or --no-start'
  fi
  changed=no
  unpack
  put "$home/versions/$slot/launch.sh" "$home/launch.sh" 755
  place_ticket
  put "$home/versions/$slot/groundplane-agent.service" "$units/$unit" 644
  place_rules
  place_settings
  place_command
  switch
  sync
  start_it
}

if [ "$action" = uninstall ]; then
  [ -n "$root" ] || [ "$(id -u)" = 0 ] || stop 3 'this needs root; run it with sudo'
  uninstall
else
  install
fi
