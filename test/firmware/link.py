"""link.c in Python: a device whose line is stdin and stdout, with the same arguments and words."""

import os
import select
import sys
import time

import headgate


def now_ms():
    # Starts just before it wraps, as every clock does some day.
    return (0x3FFFFE00 + time.monotonic_ns() // 1000000 - START) & 0x3FFFFFFF


START = time.monotonic_ns() // 1000000
GIVEN = dict(zip(sys.argv[1::2], sys.argv[2::2]))
NUMBER = {"count": 100, "every": 0, "window": 1, "seed": 1, "memory": 2048}
for name in NUMBER:
    NUMBER[name] = int(GIVEN.get(name, NUMBER[name]))


def write(data):
    while data:
        data = data[os.write(1, data) :]


device = headgate.Device(
    GIVEN.get("device", "pump-3"),
    headgate.FileCounter(GIVEN["boot"]) if "boot" in GIVEN else None,
    NUMBER["seed"],
    write=write,
    memory_bytes=NUMBER["memory"],
    window=NUMBER["window"],
    retry_min_ms=30,
    retry_max_ms=500,
    when_full=headgate.DROP_OLDEST if "full" in GIVEN else headgate.REFUSE_NEWEST,
    now=now_ms(),
)
made = 0
next_ms = now_ms()
while made < NUMBER["count"] or device.waiting() > 0:
    while made < NUMBER["count"] and headgate._diff(now_ms(), next_ms) >= 0:
        boot, seq = device.boot, device.seq
        if not device.put("level", made, now_ms()):
            break
        sys.stderr.write("put %d %d\n" % (boot, seq))
        sys.stderr.flush()
        made += 1
        next_ms = headgate._add(next_ms, NUMBER["every"])
    wait_ms = min(10, device.poll(now_ms()))
    if select.select([0], [], [], wait_ms / 1000)[0]:
        data = os.read(0, 64)
        assert data, "the line ended"
        device.receive(data, now_ms())

sys.stderr.write(
    '{"boot":%d,"put":%d,"recovered":0,"sent":%d,"resent":%d,"acked":%d,"nacked":%d,"refused":%d,'
    '"dropped":%d,"badFrames":%d,"lateAcks":%d}\n'
    % (
        device.boot,
        device.put_count,
        device.sent,
        device.resent,
        device.acked,
        device.nacked,
        device.refused,
        device.dropped,
        device.bad_frames,
        device.late_acks,
    )
)
