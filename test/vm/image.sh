#!/usr/bin/env bash
# Builds what the machines of the power cut lab boot from: a Debian 13 with systemd and nodejs, and
# the kernel of its backports, which can simulate GPIO. Needs root, mmdebstrap and the network; all
# packages come from Debian's mirror and are checked against its signatures.
#
#   test/vm/image.sh FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
mirror=${HEADGATE_VM_MIRROR:-http://deb.debian.org/debian}
data_mib=${HEADGATE_VM_DATA_MIB:-96}

# What a change of makes a new image.
stamp=$(cat "$here/image.sh" "$here"/guest/* <<<"$mirror $data_mib" | sha256sum | cut -c1-16)
if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

work=$folder/making
root=$work/root
say() { printf '== %s (%ss)\n' "$*" "$SECONDS"; }

rm -rf "$work" "$folder/stamp"
mkdir -p "$work"
# Tools in a root that is not running complain of that. What they said shows if one fails.
exec 3>&2 2>>"$work/root.log"
trap 'tail -5 "$work/root.log" >&3' ERR

say 'Debian 13'
# The disk is thrown away if this fails: nothing here has to wait for it.
mmdebstrap --variant=apt --dpkgopt=force-unsafe-io --aptopt='APT::Install-Recommends "false"' \
  --include=systemd,systemd-sysv,udev,kmod,iproute2,nodejs,gpiod,dbus,busybox-static,cpio \
  --include=e2fsprogs,f2fs-tools trixie "$root" \
  "deb $mirror trixie main" "deb $mirror trixie-backports main"

say 'the kernel'
chroot "$root" apt-get update -q >>"$work/root.log" 2>&1
# The unsuffixed flavour: the one for clouds has no GPIO.
image=$(chroot "$root" apt-cache depends linux-image-amd64/trixie-backports |
  sed -n 's/.*Depends: linux-image-\([0-9][^ ]*\)$/\1/p')
[ -n "$image" ] || { echo 'there is no kernel in the backports'; exit 1; }
mkdir "$root/kernel"
chroot "$root" sh -c "cd /kernel && apt-get download -q linux-modules-$image linux-binary-$image" \
  >>"$work/root.log" 2>&1
for deb in "$root"/kernel/*.deb; do dpkg-deb -x "$deb" "$root/kernel"; done
# A folder that is no symbolic link: /lib is one.
version=$(ls "$root/kernel/usr/lib/modules")
modules=$root/usr/lib/modules/$version
mkdir -p "$root/usr/lib/modules"
mv "$root/kernel/usr/lib/modules/$version" "$modules"
rm -rf "$root/kernel"
mv "$modules/vmlinuz" "$work/"
chroot "$root" depmod "$version"

# Of four thousand modules what is used here, and what that needs. What is not among them is in the
# kernel itself, or the first boot tells.
wanted() {
  local module
  for module in "$@"; do
    chroot "$root" modprobe -S "$version" --show-depends "$module" || true
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$1]++'
}
mkdir -p "$work/early/modules" "$work/early/bin"
for file in $(wanted virtio_pci virtio_blk ext4); do
  name=$(basename "$file" .xz)
  xz -dc "$root$file" >"$work/early/modules/$name"
  echo "$name" >>"$work/early/modules/order"
done
wanted virtio_pci virtio_blk ext4 f2fs virtio_net virtio_console virtio_rng gpio-sim autofs4 |
  sed 's|^/lib/|/usr/lib/|' | sort -u >"$work/kept"
(cd "$root" && find "usr/lib/modules/$version" -name '*.ko.xz' | sed 's|^|/|' | sort |
  comm -23 - "$work/kept" | sed "s|^|$root|" | xargs rm -f)
chroot "$root" depmod "$version"

say 'the first steps'
cp "$root/usr/bin/busybox" "$work/early/bin/busybox"
install -m755 "$here/guest/init.sh" "$work/early/init"
mkdir "$root/early" && cp -r "$work/early"/. "$root/early"
chroot "$root" sh -c 'cd /early && find . | cpio -o -H newc --quiet' | gzip -1 >"$work/initrd"
rm -rf "$root/early"

say 'the services of the lab'
install -m755 "$here/guest/agent.sh" "$root/usr/local/sbin/lab-agent"
install -m755 "$here/guest/lab-gpio.sh" "$root/usr/local/sbin/lab-gpio"
install -m644 "$here"/guest/*.service "$root/etc/systemd/system/"
for unit in lab-agent lab-net lab-gpio; do chroot "$root" systemctl -q enable "$unit"; done
# Slow under emulation, and of no use here.
chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer man-db.timer \
  dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap fstrim.timer ldconfig \
  getty@tty1 modprobe@drm modprobe@efi_pstore modprobe@fuse serial-getty@ttyS0 \
  sys-fs-fuse-connections.mount systemd-binfmt systemd-boot-random-seed systemd-firstboot \
  systemd-hwdb-update systemd-journal-catalog-update systemd-journal-flush systemd-logind \
  systemd-machine-id-commit systemd-networkd systemd-networkd.socket \
  systemd-networkd-wait-online systemd-network-generator systemd-pcrlock-file-system \
  systemd-pcrlock-machine-id systemd-pstore systemd-random-seed systemd-resolved \
  systemd-timesyncd systemd-tpm2-setup systemd-tpm2-setup-early systemd-update-done \
  systemd-update-utmp systemd-user-sessions
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
touch "$root/etc/.updated" "$root/var/.updated"
echo gateway >"$root/etc/hostname"
printf '/dev/root / ext4 defaults 0 0\n' >"$root/etc/fstab"
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/etc/sysctl.d"
# What no program syncs reaches the disk soon: a run of a minute stands for one of days.
printf 'vm.dirty_writeback_centisecs=50\nvm.dirty_expire_centisecs=50\n' \
  >"$root/etc/sysctl.d/lab.conf"
printf '[Journal]\nStorage=volatile\nForwardToConsole=no\n' \
  >"$root/etc/systemd/journald.conf.d/lab.conf"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc

say 'the disks'
truncate -s 1200M "$work/root.img"
mke2fs -q -F -t ext4 -d "$root" "$work/root.img"
for fs in ext4 f2fs; do truncate -s "${data_mib}M" "$root/blank.$fs"; done
# As on a card of some size: a small disk would get blocks of 1 KiB.
chroot "$root" mkfs.ext4 -q -F -b 4096 blank.ext4
chroot "$root" mkfs.f2fs -q -f blank.f2fs
mv "$root"/blank.* "$work/"
mv "$work"/{vmlinuz,initrd,root.img,blank.ext4,blank.f2fs} "$folder/"
rm -rf "$work"
echo "$stamp" >"$folder/stamp"
say "done: Linux $version"
