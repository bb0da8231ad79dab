#!/bin/sh
# A GPIO chip of the kernel's own making: 32 lines, labelled as the header of a Raspberry Pi 4.
set -e
modprobe gpio-sim
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/lab
[ -d "$chip" ] && exit 0
mkdir -p "$chip/bank"
echo 32 >"$chip/bank/num_lines"
echo pinctrl-bcm2711 >"$chip/bank/label"
echo 1 >"$chip/live"
