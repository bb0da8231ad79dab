#!/bin/sh
# Installs this checkout as a service: sudo deploy/install.sh, or with --uninstall the other way.
# May be run again, after a git pull for instance. docs/install.md says what it does.
set -eu

NODE_WANTED=20.19
root=$(cd "$(dirname "$0")/.." && pwd -P)
# Elsewhere than / nothing is started: for a root file system that is being made.
to=${DESTDIR:-}
units=$to/etc/systemd/system

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

usage() {
  echo 'usage: sudo deploy/install.sh [--uninstall]'
  echo 'DESTDIR=FOLDER installs below it, and starts nothing.'
}

is_live() { [ -z "$to" ] && [ -d /run/systemd/system ]; }

find_node() {
  node=$(command -v node) || fail "no node on the path; Headgate needs Node $NODE_WANTED or newer"
  node=$(readlink -f "$node")
  version=$("$node" -p process.versions.node)
  rest=${version#*.}
  if [ "${version%%.*}" -lt "${NODE_WANTED%.*}" ] ||
    { [ "${version%%.*}" -eq "${NODE_WANTED%.*}" ] && [ "${rest%%.*}" -lt "${NODE_WANTED#*.}" ]; }
  then fail "$node is Node $version; Headgate needs $NODE_WANTED or newer"; fi
  case $node in
    /home/* | /root/*) fail "$node is below a home folder, where the service may not look" ;;
    *[!A-Za-z0-9/._-]*) fail "a unit can't name $node: only letters, digits and / . _ - in it" ;;
  esac
}

check_place() {
  case $root in
    /home/* | /root/* | /tmp/* | /run/user/*)
      fail "the service may not look into $root: move the checkout, to /opt/headgate perhaps" ;;
    *[!A-Za-z0-9/._-]*) fail "a unit can't name $root: only letters, digits and / . _ - in it" ;;
  esac
}

# Also where NODE_ENV says production: what builds is needed here. Whose the checkout is, theirs is
# what is built in it.
build() {
  owner=$(stat -c %U "$root")
  if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
    su -s /bin/sh "$owner" -c "PATH='$PATH'; cd '$root' && '$node' scripts/ready.mjs"
  else
    (cd "$root" && "$node" scripts/ready.mjs)
  fi
}

# The units are the package's; a drop-in says where the programs are.
drop_in() {
  mkdir -p "$units/$1.d"
  sed -e "s#/usr/bin/node#$node#g" -e "s#/opt/headgate#$root#g" \
    "$root/deploy/$1.d/checkout.conf" >"$units/$1.d/checkout.conf"
}

# On the path, with this node and no other.
program() {
  mkdir -p "$to/usr/local/bin"
  printf '#!/bin/sh\nexec "%s" "%s/%s" "$@"\n' "$node" "$root" "$2" >"$to/usr/local/bin/$1"
  chmod 755 "$to/usr/local/bin/$1"
}

put_files() {
  mkdir -p "$units"
  for unit in headgate.service headgate.target headgate-serial@.service; do
    install -m 644 "$root/systemd/$unit" "$units/$unit"
    case $unit in *.service) drop_in "$unit" ;; esac
  done
  install -m 644 "$root/systemd/headgate.service.d/gpio.conf" "$units/headgate.service.d/"
  install -D -m 644 "$root/systemd/headgate.sysusers" "$to/etc/sysusers.d/headgate.conf"
  install -D -m 644 "$root/systemd/headgate.tmpfiles" "$to/etc/tmpfiles.d/headgate.conf"
  install -D -m 644 "$root/systemd/60-headgate.rules" "$to/etc/udev/rules.d/60-headgate.rules"
  program headgate dist/src/main.js
  program headgate-serial dist/firmware-bridge/serial/main.js
}

prepare() {
  systemd-sysusers ${to:+--root="$to"} headgate.conf
  systemd-tmpfiles ${to:+--root="$to"} --create headgate.conf
  # `headgate status` finds the daemon by its data folder.
  if [ ! -e "$to/etc/headgate/headgate.yaml" ]; then
    printf '# docs/config.md has all settings.\ndata:\n  dir: /var/lib/headgate\n' \
      >"$to/etc/headgate/headgate.yaml"
  fi
}

start() {
  udevadm control --reload || true
  systemctl daemon-reload
  systemctl enable headgate.service
  systemctl restart headgate.service || fail 'it does not start: journalctl -u headgate says why'
  systemctl start headgate.target
}

uninstall() {
  if is_live; then
    systemctl disable --now headgate.service headgate.target 'headgate-serial@*.service' || true
  fi
  for unit in headgate.service headgate-serial@.service; do
    rm -f "$units/$unit" "$units/$unit.d/checkout.conf"
  done
  rm -f "$units/headgate.target" "$units/headgate.service.d/gpio.conf" \
    "$to/etc/sysusers.d/headgate.conf" "$to/etc/tmpfiles.d/headgate.conf" \
    "$to/etc/udev/rules.d/60-headgate.rules" \
    "$to/usr/local/bin/headgate" "$to/usr/local/bin/headgate-serial"
  # What a site has added stays.
  rmdir "$units/headgate.service.d" "$units/headgate-serial@.service.d" 2>/dev/null || true
  if is_live; then systemctl daemon-reload; fi
  echo 'The service is gone. Settings and data are kept: /etc/headgate, /var/lib/headgate.'
}

case "${1:-}" in
  '') ;;
  --uninstall) ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
if [ -z "$to" ] && [ "$(id -u)" != 0 ]; then fail 'needs root: sudo deploy/install.sh'; fi
if [ "${1:-}" = --uninstall ]; then
  uninstall
  exit 0
fi

if [ -e "$to/usr/bin/headgate" ]; then
  fail 'the package headgate is installed: apt remove it first, its data stay'
fi
find_node
check_place
command -v systemd-sysusers >/dev/null || fail 'no systemd-sysusers here: this needs systemd'
build
put_files
prepare
if is_live; then
  start
  echo 'Headgate is running; sensors reach it on 127.0.0.1:1883. Next:'
else
  echo 'Headgate is installed, and starts with systemd: systemctl enable headgate. Then:'
fi
echo '  sudo headgate sim --count 10                 # five sensors, ten readings each'
echo '  sudo headgate status                         # what became of them'
echo '  sudoedit /etc/headgate/headgate.yaml         # then: sudo systemctl restart headgate'
