/*
 * Bytes of chance and broken frames into headgate.h, under sanitizers, with readings put and sent
 * between them. argv: seed, rounds.
 */
#define HEADGATE_IMPLEMENTATION
#include "headgate.h"

#include "check.h"

static uint32_t state;
static uint32_t chance(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state % below;
}

static uint32_t wrote;
static bool write_line(void *context, const uint8_t *bytes, size_t count) {
  (void)context;
  CHECK(count > 0);
  for (size_t at = 0; at < count; at++) wrote += bytes[at];
  return chance(10) != 0; /* a line that does not take all */
}

/* A frame of the host: a body of one of the known types or of any, with its checksum or another. */
static size_t make_frame(uint8_t *to, uint32_t boot) {
  static const uint8_t types[] = {0x13, 0x13, 0x14, 0x15, 0x16, 0x11, 0x12, 0x23, 0x00, 0xff};
  uint8_t body[300];
  size_t count = 1 + chance(chance(4) == 0 ? 290 : 20);
  for (size_t at = 0; at < count; at++) body[at] = (uint8_t)chance(256);
  body[0] = types[chance(sizeof types)];
  if (count >= 9 && chance(2) == 0) { /* of a reading that may be there */
    hg_put_u32(body + 1, boot);
    hg_put_u32(body + 5, chance(16));
  }
  uint16_t crc = (uint16_t)~hg_crc16(0xffff, body, count);
  if (chance(4) == 0) crc = (uint16_t)(crc ^ (1u << chance(16)));
  body[count] = (uint8_t)(crc >> 8);
  body[count + 1] = (uint8_t)crc;
  size_t bytes = hg_cobs_encode(body, count + 2, to);
  CHECK(bytes <= count + 2 + (count + 2) / 254 + 1);
  for (size_t at = 0; at < bytes; at++) CHECK(to[at] != 0);
  if (chance(8) == 0) to[chance((uint32_t)bytes)] = (uint8_t)chance(256);
  if (chance(8) == 0) bytes = chance((uint32_t)bytes + 1);
  if (chance(8) != 0) to[bytes++] = 0;
  return bytes;
}

int main(int argc, char **argv) {
  unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
  unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
  state = (uint32_t)seed * 2654435761u | 1;
  uint32_t now = state;
  unsigned long acked = 0, bad = 0, welcomed = 0;
  for (unsigned long round = 0; round < rounds; round++) {
    /* Exactly as large as it says, so that a byte beyond it is seen. */
    size_t memory_bytes = 64 + chance(300);
    uint8_t *memory = (uint8_t *)malloc(memory_bytes);
    hg_config config;
    hg device;
    CHECK(memory != NULL);
    for (size_t at = 0; at < memory_bytes; at++) memory[at] = (uint8_t)chance(256);
    memset(&config, 0, sizeof config);
    config.memory = memory;
    config.memory_bytes = memory_bytes;
    config.kept = chance(2) == 0;
    config.device = "fuzz";
    config.write = write_line;
    config.seed = state;
    config.window = (uint16_t)chance(5);
    config.retry_min_ms = chance(3) == 0 ? state : chance(3000);
    config.retry_max_ms = chance(3) == 0 ? state : chance(100000);
    config.when_full = chance(2) == 0 ? HG_DROP_OLDEST : HG_REFUSE_NEWEST;
    config.stamp_time = chance(2) == 0;
    CHECK(hg_begin(&device, &config, now));
    if (chance(2) == 0) { /* memory that looks kept, and is damaged behind its magic */
      device.ring->head = chance((uint32_t)memory_bytes + 8);
      device.ring->used = chance((uint32_t)memory_bytes + 8);
      CHECK(hg_begin(&device, &config, now));
    }
    for (int step = 0; step < 40; step++) {
      uint8_t bytes[400];
      size_t count = 0;
      if (chance(2) == 0) count = make_frame(bytes, device.boot);
      else for (count = 0; count < chance(60); count++) bytes[count] = (uint8_t)chance(256);
      for (size_t from = 0; from < count;) { /* in pieces */
        size_t piece = 1 + chance((uint32_t)(count - from));
        hg_receive(&device, bytes + from, piece, now);
        from += piece;
      }
      if (chance(3) == 0) {
        static const double values[] = {0, -1e300, 1e300, 21.5, -0.001, 2147483647.0};
        (void)hg_put_float(&device, chance(2) == 0 ? "" : "t", values[chance(6)],
                           (uint8_t)chance(256), now);
      }
      now += chance(10) == 0 ? chance(0x7fffffff) : chance(1000);
      CHECK(hg_poll(&device, now) <= 0x7fffffffUL);
      if (hg_waiting(&device) == 0) CHECK(device.ring->used == 0);
      welcomed += hg_wall_ms(&device, now) != 0;
    }
    CHECK(device.counts.put + device.counts.recovered ==
          hg_waiting(&device) + device.counts.acked + device.counts.nacked + device.counts.dropped);
    acked += device.counts.acked;
    bad += device.counts.bad_frames;
    free(memory);
  }
  printf("seed %lu, %lu rounds: %lu acked, %lu bad, %lu welcomed, %lu\n", seed, rounds, acked, bad,
         welcomed, (unsigned long)wrote);
  CHECK(acked > 0 && bad > 0 && welcomed > 0); /* it reached what it was to break */
  return 0;
}
