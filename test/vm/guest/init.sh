#!/bin/busybox sh
# shellcheck shell=dash
# First steps of the machine: the drivers of the root disk, and over to systemd.
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
/bin/busybox mount -t devtmpfs none /dev
for file in $(/bin/busybox cat /modules/order); do
  /bin/busybox insmod "/modules/$file" || echo "no module $file"
done
disk=/dev/disk-not-found
tries=0
while [ ! -b "$disk" ] && [ "$tries" -lt 50 ]; do
  for serial in /sys/block/vd*/serial; do
    [ "$(/bin/busybox cat "$serial" 2>/dev/null)" = root ] || continue
    disk=${serial%/serial}
    disk=/dev/${disk##*/}
  done
  [ -b "$disk" ] && break
  tries=$((tries + 1))
  /bin/busybox sleep 0.2
done
/bin/busybox mount -t ext4 "$disk" /root
exec /bin/busybox switch_root /root /sbin/init
