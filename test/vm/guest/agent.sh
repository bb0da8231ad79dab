#!/bin/sh
# Runs what the machine outside asks for: a line in, base64 of a command; a line out, its exit code
# and base64 of what it said. Over a port of its own, so that the network may fail.
exec 3<>/dev/virtio-ports/lab.agent
echo 'ready -' >&3
while read -r line <&3; do
  said=$(printf '%s' "$line" | base64 -d | sh 2>&1)
  code=$?
  printf '%s %s\n' "$code" "$(printf '%s' "$said" | base64 -w0)" >&3
done
