"""The sensor's side of Headgate for MicroPython: headgate.h in Python, with the same behaviour.

It names each reading, keeps it until the gateway says that it is on flash, and sends it again until
then. Over a serial line it does the framing as well; over MQTT you publish what next() says.
docs/device-contract.md has what the two sides owe each other.

    import headgate, machine, random, time

    uart = machine.UART(1, 115200, tx=17, rx=16)
    counter = headgate.FileCounter("boot.txt")
    device = headgate.Device("pump-3", counter, random.getrandbits(32), write=uart.write)

    while True:
        now = time.ticks_ms()
        device.put("temperature", 21.5, now)             # whenever you measure
        device.receive(uart.read() or b"", now)          # whatever the line brought
        time.sleep_ms(min(device.poll(now), 100))        # in each turn of your loop

Time is yours to give, as time.ticks_ms() says it; it may wrap. Runs on CPython too.

SPDX-License-Identifier: Apache-2.0
"""

try:
    from time import ticks_add as _add, ticks_diff as _diff
except ImportError:  # CPython: the same for a clock of 30 bits, which MicroPython has most often

    def _add(ticks, delta):
        return (ticks + delta) & 0x3FFFFFFF

    def _diff(end, start):
        return ((end - start + 0x20000000) & 0x3FFFFFFF) - 0x20000000


import json as _json
import os as _os

REFUSE_NEWEST = 0  # put() returns False; the reading gets no number
DROP_OLDEST = 1  # the oldest make room; the gateway's audit lists their numbers as missing

_HELLO, _READING, _ACK, _WELCOME, _NAK, _ASK = 0x11, 0x12, 0x13, 0x14, 0x15, 0x16
_RECEIVE_BYTES = 16  # ACK, NAK and WELCOME are shorter
_HEAD_BYTES = 18  # what a reading costs beside its texts, as in headgate.h
_MOST_WAIT_MS = 0x08000000  # with jitter well below half of the clock
_WHOLE = 0x1D0F
_HOUR_MS = 3600000
_DAY_MS = 24 * _HOUR_MS


def crc16(data, crc=0xFFFF):
    """CRC-16/GENIBUS, before the last step: what goes over the line is it inverted."""
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def cobs_encode(data):
    """Without the 0 that ends a frame."""
    out = bytearray(1)
    code_at = 0
    code = 1
    last = len(data) - 1
    for at, byte in enumerate(data):
        if byte != 0:
            out.append(byte)
            code += 1
        if byte == 0 or (code == 255 and at != last):
            out[code_at] = code
            code_at = len(out)
            out.append(0)
            code = 1
    out[code_at] = code
    return bytes(out)


def _u32(value):
    return bytes((value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255))


def _number(data):
    value = 0
    for byte in data:
        value = value << 8 | byte
    return value


class FileCounter:
    """The boot counter in a file of the flash, whole before and after a power loss.

    One write a boot. MicroPython's file systems spread these over the flash; a device that boots
    once in a second all day wears it all the same, so let the supply settle before you begin.
    """

    def __init__(self, path):
        self._path = path

    def load(self):
        """The number, or None where there is none."""
        try:
            with open(self._path) as file:
                text = file.read()
            number, crc = text.split()
            return int(number) if int(crc) == crc16(number.encode()) else None
        except (OSError, ValueError):
            return None

    def save(self, boot):
        number = str(boot)
        try:
            with open(self._path + ".new", "w") as file:
                file.write(number + " " + str(crc16(number.encode())))
            _os.rename(self._path + ".new", self._path)
            return True
        except OSError:
            return False


class _Reading:
    def __init__(self, boot, seq, topic, payload, now):
        self.boot = boot
        self.seq = seq
        self.topic = topic  # what follows sensors/<device>/
        self.payload = payload
        self.tries = 0
        self.due = now
        self.size = _HEAD_BYTES + len(topic) + len(payload)


class Device:
    """One device. Not safe from two threads or from an interrupt.

    counter: has load() and save(boot), as FileCounter does; None: a random number for each boot.
    seed: entropy, other at each boot and for each device; not 0.
    write: sends bytes over the serial line; None where only MQTT is used.
    memory_bytes: what the readings that wait may take, as headgate.h counts it and with payloads
    as a whole. window: readings on their way at one time; with 1 they are stored in their order.
    """

    def __init__(
        self,
        name,
        counter,
        seed,
        write=None,
        memory_bytes=8192,
        window=1,
        retry_min_ms=500,
        retry_max_ms=60000,
        when_full=REFUSE_NEWEST,
        stamp_time=False,
        now=0,
    ):
        if seed & 0xFFFFFFFF == 0:
            raise ValueError("seed: readings of two boots would be taken for repeats")
        if len(name.encode()) > 128:
            raise ValueError("name: at most 128 bytes")
        self.name = name
        self._counter = counter
        self._random = seed & 0xFFFFFFFF
        self._write = write
        self._memory_bytes = memory_bytes
        self._window = max(1, window)
        self._retry_min_ms = min(max(1, retry_min_ms), _MOST_WAIT_MS)
        self._retry_max_ms = min(max(self._retry_min_ms, retry_max_ms), _MOST_WAIT_MS)
        self._when_full = when_full
        self._stamp_time = stamp_time
        self._readings = []
        self._used = 0
        self._hello_due = now
        self._hello_wait = self._retry_min_ms
        self._wall_ms = 0
        self._wall_at = now
        self._max_frame = 1024
        self._received = bytearray()
        self._code = 0
        self._left = 0
        self._skipping = False
        self.put_count = 0
        self.sent = 0
        self.resent = 0
        self.acked = 0
        self.nacked = 0
        self.refused = 0
        self.dropped = 0
        self.bad_frames = 0
        self.late_acks = 0
        self._count_boot()
        self._named = self.boot

    # Chance, and the boot counter.

    def _draw(self):
        x = self._random
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._random = x
        return x

    def _jittered(self, ms):
        """Between 3/4 and 5/4 of it: devices that lost one gateway do not come back as one."""
        return ms - ms // 4 + self._draw() % (ms // 2 + 1)

    def _count_boot(self):
        self.seq = 0
        if self._counter is None:
            self.boot = self._draw()
            return
        boot = self._counter.load()
        if boot is None:
            # Not 1: after its flash was erased, a device would say again what the gateway knows.
            boot = self._draw() >> 2
        boot = boot + 1 & 0xFFFFFFFF
        if not self._counter.save(boot) or self._counter.load() != boot:
            boot = self._draw()  # or the next boot would have this one's number
        self.boot = boot

    # Readings.

    def put(self, topic, value, now):
        """A number, or a dict of what was measured. False: no room, and it is not taken.

        Raises ValueError for what can never be sent: too long, or not a finite number.
        """
        fields = value if isinstance(value, dict) else {"value": value}
        for one in fields.values():
            if isinstance(one, float) and (one != one or one - one != 0):
                raise ValueError("not a finite number")
        wall_ms = self.wall_ms(now) if self._stamp_time else 0
        if self.seq == 0xFFFFFFFF:
            self._count_boot()  # 0 would be a repeat of this boot's
        texts = [_json.dumps(name) + ":" + _json.dumps(fields[name]) for name in fields]
        if wall_ms:
            texts.append('"ts":' + str(wall_ms))
        identity = '{"boot":%d,"seq":%d' % (self.boot, self.seq)
        payload = (identity + "," + ",".join(texts) + "}").encode()
        reading = _Reading(self.boot, self.seq, topic.encode(), payload, now)
        body = 10 + len(reading.topic) + len(payload)
        if len(reading.topic) > 255 or reading.size > self._memory_bytes:
            raise ValueError("too long")
        if self._write is not None and body > self._max_frame:
            raise ValueError("too long for a frame")
        while self._used + reading.size > self._memory_bytes:
            if self._when_full == REFUSE_NEWEST:
                self.refused += 1
                return False
            self._forget(0)
            self.dropped += 1
        self._readings.append(reading)
        self._used += reading.size
        self.seq += 1
        self.put_count += 1
        return True

    def _forget(self, at):
        reading = self._readings.pop(at)
        self._used -= reading.size
        return reading

    def waiting(self):
        """Readings without an acknowledgement."""
        return len(self._readings)

    def next(self, now):
        """The next reading that is due, counted as sent: its topic, payload, boot, seq and tries.

        None: no one is. Over MQTT publish it with QoS 1 on sensors/<device>/<topic>, and call
        ack(boot, seq, now) at its PUBACK.
        """
        for reading in self._readings[: self._window]:
            if reading.tries > 0 and _diff(now, reading.due) < 0:
                continue
            if reading.tries == 0:
                self.sent += 1
            else:
                self.resent += 1
            wait = self._retry_min_ms
            for _ in range(reading.tries):
                if wait >= self._retry_max_ms:
                    break
                wait = min(wait * 2, self._retry_max_ms)
            reading.tries += 1
            reading.due = _add(now, self._jittered(wait))
            return reading
        return None

    def wait_ms(self, now):
        """Until next() has something to say."""
        least = _MOST_WAIT_MS
        for reading in self._readings[: self._window]:
            if reading.tries == 0:
                return 0
            least = min(least, max(0, _diff(reading.due, now)))
        return least

    def _take_out(self, boot, seq):
        for at, reading in enumerate(self._readings):
            if reading.seq == seq and reading.boot == boot:
                return self._forget(at)
        self.late_acks += 1
        return None

    def _hurry(self, tries_above, due):
        """Whoever had to wait long may go: the link lives."""
        for reading in self._readings:
            if reading.tries > tries_above:
                reading.tries = 1
                reading.due = due

    def ack(self, boot, seq, now):
        """It is durable. In any order; one that is unknown is counted and does no harm."""
        reading = self._take_out(boot, seq)
        if reading is not None:
            self.acked += 1
            if reading.tries > 1:
                self._hurry(1, _add(now, self._jittered(self._retry_min_ms)))

    def nak(self, boot, seq):
        """It can never be taken."""
        if self._take_out(boot, seq) is not None:
            self.nacked += 1

    def link_up(self, now):
        """The link is there again: what waits for its next try goes now."""
        self._hurry(0, now)

    def wall_ms(self, now):
        """Milliseconds since 1970 as the gateway told them; 0: not known, or a day ago."""
        age = _diff(now, self._wall_at)
        if self._wall_ms == 0 or age < 0 or age > _DAY_MS:
            return 0
        return self._wall_ms + age

    # The serial line.

    def _send(self, body):
        crc = crc16(body) ^ 0xFFFF
        frame = cobs_encode(body + bytes((crc >> 8, crc & 255)))
        self._write(b"\0" + frame + b"\0")  # the first ends what noise may have begun

    def _say_hello(self, boot):
        name = self.name.encode()
        self._named = boot
        self._send(bytes((_HELLO,)) + _u32(boot) + bytes((len(name),)) + name)

    def poll(self, now):
        """Sends what is due. Returns the ms until it has something to do again."""
        if self.wall_ms(now) == 0:
            self._wall_ms = 0  # before its age wraps with the clock
        greeted = False
        if _diff(now, self._hello_due) >= 0:
            self._say_hello(self.boot)
            greeted = True
            self._hello_due = _add(now, self._jittered(self._hello_wait))
            self._hello_wait = min(self._hello_wait * 2, self._retry_max_ms)
        while True:
            reading = self.next(now)
            if reading is None:
                break
            # No answer: the host may be another one by now, which does not know whose line this is.
            if (reading.tries > 1 and not greeted) or reading.boot != self._named:
                self._say_hello(reading.boot)
                greeted = True
            head = bytes((_READING,)) + _u32(reading.boot) + _u32(reading.seq)
            topic = reading.topic
            self._send(head + bytes((len(topic),)) + topic + reading.payload)
        return min(self.wait_ms(now), max(0, _diff(self._hello_due, now)))

    def receive(self, data, now):
        """What the serial line brought, in pieces of any size."""
        for byte in data:
            if byte == 0:  # the end of a frame, or of nothing
                if not self._skipping and self._code != 0:
                    if self._left == 0:
                        self._take_frame(bytes(self._received), now)
                    else:
                        self.bad_frames += 1
                self._received = bytearray()
                self._code = 0
                self._left = 0
                self._skipping = False
            elif self._skipping:
                continue
            elif self._left > 0:
                self._left -= 1
                self._take_byte(byte)
            else:
                if self._code not in (0, 255):
                    self._take_byte(0)
                self._code = byte
                self._left = byte - 1

    def _take_byte(self, byte):
        if len(self._received) < _RECEIVE_BYTES:
            self._received.append(byte)
        else:  # longer than any that is for us
            self._skipping = True
            self.bad_frames += 1

    def _take_frame(self, frame, now):
        count = len(frame)
        # Over a frame with its checksum the sum is always the same.
        if count < 3 or crc16(frame) != _WHOLE:
            self.bad_frames += 1
        elif frame[0] == _ACK and count >= 11:
            self.ack(_number(frame[1:5]), _number(frame[5:9]), now)
        elif frame[0] == _NAK and count >= 12:
            self.nak(_number(frame[1:5]), _number(frame[5:9]))
        elif frame[0] == _WELCOME and count >= 13:
            self._welcomed(_number(frame[1:9]), _number(frame[9:11]), now)
        elif frame[0] == _ASK:
            self._hello_due = now
        else:
            self.bad_frames += 1

    def _welcomed(self, wall_ms, max_frame, now):
        self._wall_ms = wall_ms
        self._wall_at = now
        if max_frame >= 64:
            self._max_frame = max_frame
        self._hello_due = _add(now, _HOUR_MS)  # clocks drift
        self._hello_wait = self._retry_min_ms
        self._hurry(1, _add(now, self._jittered(self._retry_min_ms)))
