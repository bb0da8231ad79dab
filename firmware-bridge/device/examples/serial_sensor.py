"""A sensor on a serial line, in MicroPython: copy headgate.py and this, as main.py, to the board.

At the gateway: headgate-serial --port /dev/ttyUSB0 --framing cobs
"""

import os
import time

import headgate
from machine import ADC, UART

time.sleep(2)  # the supply settles; a boot is counted, and wears, only after that
uart = UART(1, 115200, tx=17, rx=16)
sensor = ADC(34)
seed = int.from_bytes(os.urandom(4), "big") | 1
device = headgate.Device(
    "pump-3",
    headgate.FileCounter("boot.txt"),
    seed,
    write=uart.write,
    when_full=headgate.DROP_OLDEST,
    stamp_time=True,
    now=time.ticks_ms(),
)
measure_at = time.ticks_ms()

while True:
    now = time.ticks_ms()
    if time.ticks_diff(now, measure_at) >= 0:
        measure_at = time.ticks_add(measure_at, 10000)
        device.put("temperature", sensor.read_u16() / 1000, now)
    device.receive(uart.read() or b"", now)
    time.sleep_ms(min(20, device.poll(now)))
