/*
 * headgate.h: the sensor's side of Headgate, in one file of C99 (or C++) without malloc.
 *
 * It names each reading, keeps it in a ring of memory that you give it, and sends it again until
 * the gateway says that it is on flash. Over a serial line it does the framing as well; over MQTT
 * you pass what hg_next() says to your client. docs/device-contract.md says what the two sides
 * owe each other, docs/serial.md what goes over the line.
 *
 *   #define HEADGATE_IMPLEMENTATION        // in one file of your program, before the include
 *   #include "headgate.h"
 *
 *   static uint8_t memory[512];            // the ring: what an outage may hold
 *   static hg_config config;               // all zeros, but for what you set
 *   static hg device;
 *
 *   config.memory = memory; config.memory_bytes = sizeof memory;
 *   config.device = "pump-3";
 *   config.load_boot = ...; config.save_boot = ...; config.write = ...; config.seed = ...;
 *   hg_begin(&device, &config, millis());
 *   ...
 *   hg_put_float(&device, "temperature", 21.5, 2, millis());   // whenever you measure
 *   hg_receive(&device, bytes, count, millis());               // whatever the line brought
 *   hg_poll(&device, millis());                                // in each turn of your loop
 *
 * Time is yours to give: milliseconds of any clock that goes on, and may wrap at 32 bits. Call
 * hg_poll() or hg_next() at least once in 24 days. Nothing here is safe from two tasks or from an
 * interrupt: use one task.
 *
 * Memory: the struct hg is 108 bytes on an 8-bit AVR, 120 on a 32-bit MCU, 136 on a PC. The ring
 * costs per reading a head (18 on an AVR, 20 elsewhere), its topic and its fields: 43 bytes for
 * {"boot":7,"seq":42,"value":21.50} on `temperature` on an AVR. Of the stack it takes some 200
 * bytes, of an AVR's flash 9 KB. The tests compare these with sizeof.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HEADGATE_H
#define HEADGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what you set ---------------------------------------------------------------------------- */

/* What happens to a reading for which the ring has no room. Both are counted. */
typedef enum {
  HG_REFUSE_NEWEST, /* hg_put() returns HG_FULL; the reading gets no number */
  HG_DROP_OLDEST    /* the oldest make room; the gateway's audit lists their numbers as missing */
} hg_when_full;

typedef struct {
  /*
   * The ring, 64 bytes or more. `kept`: it lies where a reset leaves it alone (RTC memory,
   * .noinit), so what is in it is looked for at hg_begin(); each reading there has a checksum.
   */
  void *memory;
  size_t memory_bytes;
  bool kept;

  const char *device; /* its name, 1 to 128 bytes; or "": the serial port's configured name */

  /*
   * The boot counter, in NVS or EEPROM. load_boot() returns false where none was stored yet.
   * hg_begin() calls each once, and load_boot() once more to see that the write took: one write
   * per boot, before anything is sent. A cell of an AVR's EEPROM is good for 100,000 writes: with
   * one boot an hour that is 11 years, with one in a second (a supply that browns out) a day. Let
   * the supply settle before hg_begin(), or spread the writes with hg_slots_save() below. ESP32's
   * NVS spreads them by itself.
   * Where the counter is missing, or its memory broken, a random number stands for this boot.
   */
  bool (*load_boot)(void *context, uint32_t *boot);
  bool (*save_boot)(void *context, uint32_t boot);

  /* Serial line: sends all of the bytes, or returns false. NULL where only MQTT is used. */
  bool (*write)(void *context, const uint8_t *bytes, size_t count);
  void *context; /* handed to the three above */

  /*
   * Entropy: other at each boot and for each device (esp_random(); noise of an open analog pin).
   * It starts a counter that is not there yet, and spreads retries. Not 0.
   */
  uint32_t seed;

  /*
   * Readings on their way at one time; 0 means 1. With 1 they are stored in their order. With more
   * a slow link carries more, and one that was lost comes after those behind it.
   */
  uint16_t window;
  /* No answer for so long: sent again, later each time. 0 means 500 ms and 60 s. */
  uint32_t retry_min_ms;
  uint32_t retry_max_ms;

  hg_when_full when_full;
  bool stamp_time; /* adds "ts", once the gateway has told the time */
} hg_config;

typedef enum {
  HG_OK = 0,
  HG_FULL,        /* HG_REFUSE_NEWEST, and no room */
  HG_TOO_LONG,    /* for the ring, or for a frame of the serial line */
  HG_NOT_A_NUMBER /* NaN, infinite, or beyond 32 bits once it is scaled */
} hg_result;

/* Since hg_begin(). Each wraps at 32 bits. */
typedef struct {
  uint32_t put;         /* taken into the ring */
  uint32_t recovered;   /* found in a ring that was kept */
  uint32_t sent;        /* the first time, each */
  uint32_t resent;
  uint32_t acked;       /* durable at the gateway */
  uint32_t nacked;      /* refused by the gateway for good, and dropped */
  uint32_t refused;     /* HG_FULL */
  uint32_t dropped;     /* HG_DROP_OLDEST */
  uint32_t bad_frames;  /* noise, and frames that are none of ours */
  uint32_t late_acks;   /* of readings that are gone already */
} hg_counts;

/* ---- what is inside --------------------------------------------------------------------------- */

#define HG_RECEIVE_BYTES 16 /* ACK, NAK and WELCOME are shorter */

typedef struct hg_ring hg_ring;

typedef struct {
  const hg_config *config; /* must live as long */
  hg_ring *ring;
  uint8_t *area;
  size_t area_bytes;
  uint32_t boot;
  uint32_t seq;   /* of the next reading */
  uint32_t named; /* the boot that the last HELLO had */
  uint32_t random;
  uint32_t hello_due;
  uint32_t hello_wait;
  uint32_t wall_at; /* when the gateway told the time */
  uint64_t wall_ms; /* 0: it did not */
  uint16_t waiting;
  uint16_t max_frame;
  uint8_t received[HG_RECEIVE_BYTES];
  uint8_t received_bytes;
  uint8_t code; /* of the COBS block that comes in */
  uint8_t left; /* bytes that it still has */
  bool skipping;
  hg_counts counts;
} hg;

/* A reading that is to be sent. The pointers are good until the next call with the same hg. */
typedef struct {
  uint32_t boot;
  uint32_t seq;
  const char *topic; /* what follows sensors/<device>/; not ended by a 0 */
  const char *fields;
  size_t fields_bytes;
  uint8_t topic_bytes;
  uint8_t tries; /* before this one: 0 is the first */
} hg_message;

/* ---- what you call ---------------------------------------------------------------------------- */

/*
 * Counts this boot, and looks for what a kept ring has. False: `memory` too small, no `device` or
 * one that is too long, or no `seed`.
 */
bool hg_begin(hg *self, const hg_config *config, uint32_t now_ms);

/*
 * Takes a reading. `topic` is what follows the device (at most 255 bytes, or ""), `fields` the
 * members of a JSON object without its braces: "\"value\":21.5,\"rh\":40".
 */
hg_result hg_put(hg *self, const char *topic, const char *fields, uint32_t now_ms);
/* "value": 2150 with 2 decimals is 21.50. */
hg_result hg_put_fixed(hg *self, const char *topic, int32_t value, uint8_t decimals,
                       uint32_t now_ms);
/* Rounded to 0 to 9 decimals. */
hg_result hg_put_float(hg *self, const char *topic, double value, uint8_t decimals,
                       uint32_t now_ms);

/* The serial line: sends what is due. Returns the ms until it has something to do again. */
uint32_t hg_poll(hg *self, uint32_t now_ms);
/* What the serial line brought, in pieces of any size. */
void hg_receive(hg *self, const uint8_t *bytes, size_t count, uint32_t now_ms);

/*
 * MQTT: the next reading that is due, and counts it as sent. False: none is. Publish it with
 * QoS 1 on sensors/<device>/<topic>, and call hg_ack() at its PUBACK. `wait_ms` (or NULL) gets the
 * ms until one is due.
 */
bool hg_next(hg *self, hg_message *message, uint32_t *wait_ms, uint32_t now_ms);
/* Its payload, ended by a 0 that does not count. Returns its bytes; 0: `size` is too small. */
size_t hg_payload(const hg_message *message, char *text, size_t size);
/* It is durable. In any order; one that is unknown is counted and does no harm. */
void hg_ack(hg *self, uint32_t boot, uint32_t seq, uint32_t now_ms);
/* It can never be taken. */
void hg_nak(hg *self, uint32_t boot, uint32_t seq);
/* The link is there again: what waits for its next try goes now. */
void hg_link_up(hg *self, uint32_t now_ms);

/* Readings without an acknowledgement. */
uint16_t hg_waiting(const hg *self);
/* Milliseconds since 1970 as the gateway told them; 0: not known, or a day ago. */
uint64_t hg_wall_ms(const hg *self, uint32_t now_ms);

/* The parts, for tests and for protocols of your own. */
/* CRC-16/GENIBUS. Start with 0xFFFF; what goes over the line is the last of it inverted. */
uint16_t hg_crc16(uint16_t crc, const uint8_t *bytes, size_t count);
/* `to` has room for count + count / 254 + 1 bytes. Returns how many; no 0 ends them. */
size_t hg_cobs_encode(const uint8_t *bytes, size_t count, uint8_t *to);

/*
 * A boot counter in EEPROM, spread over `count` slots of 6 bytes from `at` on, each with a
 * checksum: that many times the writes, and a write that is cut by a power loss leaves the number
 * before it. Call them from your load_boot() and save_boot().
 */
typedef struct {
  uint8_t (*read)(uint16_t at);
  void (*write)(uint16_t at, uint8_t byte);
  uint16_t at;
  uint8_t count;
} hg_slots;

bool hg_slots_load(const hg_slots *slots, uint32_t *boot);
bool hg_slots_save(const hg_slots *slots, uint32_t boot);

#ifdef __cplusplus
}
#endif
#endif /* HEADGATE_H */

/* ================================================================================================ */

#if defined(HEADGATE_IMPLEMENTATION) && !defined(HEADGATE_IMPLEMENTED)
#define HEADGATE_IMPLEMENTED

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- numbers and texts ------------------------------------------------------------------------ */

/* true when `at` is not in the future, over a clock that wraps. */
static bool hg_is_due(uint32_t now_ms, uint32_t at_ms) {
  return (uint32_t)(now_ms - at_ms) < 0x80000000UL;
}

static uint32_t hg_random(hg *self) { /* xorshift32: it spreads retries, no more */
  uint32_t x = self->random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return self->random = x;
}

/* Between 3/4 and 5/4 of it, so that devices that lost one gateway do not come back as one. */
static uint32_t hg_jittered(hg *self, uint32_t ms) {
  return ms - ms / 4 + hg_random(self) % (ms / 2 + 1);
}

#define HG_MOST_WAIT_MS 0x20000000UL /* with jitter well below half of the clock */

static uint32_t hg_retry_min(const hg *self) {
  uint32_t ms = self->config->retry_min_ms;
  if (ms == 0) return 500;
  return ms > HG_MOST_WAIT_MS ? HG_MOST_WAIT_MS : ms;
}

static uint32_t hg_retry_max(const hg *self) {
  uint32_t ms = self->config->retry_max_ms, least = hg_retry_min(self);
  if (ms == 0) ms = 60000UL;
  if (ms > HG_MOST_WAIT_MS) ms = HG_MOST_WAIT_MS;
  return ms < least ? least : ms;
}

static uint32_t hg_doubled(const hg *self, uint32_t ms) {
  uint32_t most = hg_retry_max(self);
  return ms > most / 2 ? most : ms * 2;
}

static uint8_t *hg_put_u32(uint8_t *to, uint32_t value) {
  to[0] = (uint8_t)(value >> 24);
  to[1] = (uint8_t)(value >> 16);
  to[2] = (uint8_t)(value >> 8);
  to[3] = (uint8_t)value;
  return to + 4;
}

static uint32_t hg_get_u32(const uint8_t *from) {
  return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* In decimal, with a point before the last `decimals` digits. Returns the end. */
static char *hg_put_decimal(char *to, uint64_t value, uint8_t decimals) {
  char digits[24];
  uint8_t count = 0;
  do {
    if (count == decimals && count > 0) {
      digits[count++] = '.';
      decimals = 0xff;
    }
    digits[count++] = (char)('0' + (char)(value % 10));
    value /= 10;
  } while (value != 0 || (decimals != 0xff && count <= decimals));
  while (count > 0) *to++ = digits[--count];
  return to;
}

static char *hg_put_text(char *to, const char *text) {
  while (*text != 0) *to++ = *text++;
  return to;
}

uint16_t hg_crc16(uint16_t crc, const uint8_t *bytes, size_t count) {
  while (count-- > 0) {
    uint8_t bit;
    crc = (uint16_t)(crc ^ (uint16_t)((uint16_t)*bytes++ << 8));
    for (bit = 0; bit < 8; bit++) {
      crc = (uint16_t)((uint16_t)(crc << 1) ^ ((crc & 0x8000U) != 0 ? 0x1021U : 0U));
    }
  }
  return crc;
}

/* ---- the ring --------------------------------------------------------------------------------- */

/* At the start of the memory. What is in it outlives a reset, if the memory does. */
struct hg_ring {
  uint32_t magic;
  volatile size_t head; /* of the oldest reading */
  volatile size_t used; /* bytes from there on, with those that are skipped at the end */
};

/* Before each reading. Copied in and out, since it may lie at any address. */
typedef struct {
  uint32_t boot;
  uint32_t seq;
  uint32_t due_ms;
  uint16_t bytes; /* with this header */
  uint16_t crc;   /* of boot, seq, sizes, topic and fields: not of what changes */
  uint8_t topic_bytes;
  uint8_t tries; /* times that it was sent; HG_GONE: acknowledged; HG_SKIP: not a reading */
} hg_record;

#define HG_GONE 0xff
#define HG_SKIP 0xfe
#define HG_MOST_TRIES 0xfd
#define HG_MAGIC 0x48474731UL

static uint32_t hg_magic(const hg *self) { /* of this layout; another one finds nothing */
  return HG_MAGIC ^ ((uint32_t)sizeof(hg_record) << 24) ^ (uint32_t)self->area_bytes;
}

static uint16_t hg_record_crc(const hg_record *record, const uint8_t *topic_and_fields) {
  uint8_t head[11];
  uint8_t *end = hg_put_u32(hg_put_u32(head, record->boot), record->seq);
  *end++ = (uint8_t)(record->bytes >> 8);
  *end++ = (uint8_t)record->bytes;
  *end = record->topic_bytes;
  return hg_crc16(hg_crc16(0xffff, head, sizeof head), topic_and_fields,
                  record->bytes - sizeof(hg_record));
}

/* A step along the ring. `at` is what lies there; the start of the next is returned. */
static size_t hg_step(const hg *self, size_t from, hg_record *record) {
  size_t room = self->area_bytes - from;
  memset(record, 0, sizeof *record);
  if (room < sizeof *record) { /* too little for a header: nothing stands there */
    record->tries = HG_SKIP;
    record->bytes = (uint16_t)room;
    return 0;
  }
  memcpy(record, self->area + from, sizeof *record);
  from += record->bytes;
  return from >= self->area_bytes ? 0 : from;
}

static bool hg_is_live(const hg_record *record) { return record->tries <= HG_MOST_TRIES; }

/* Writes back what changes in a record. */
static void hg_update(hg *self, size_t at, const hg_record *record) {
  memcpy(self->area + at, record, sizeof *record);
}

/* Frees the head as far as it is gone. The head moves first: a reset between the two leaves
   readings that are sent once more, where the other order would lose the newest. */
static void hg_trim(hg *self) {
  hg_ring *ring = self->ring;
  while (ring->used > 0) {
    hg_record record;
    size_t next = hg_step(self, ring->head, &record);
    if (hg_is_live(&record)) break;
    ring->head = next;
    ring->used = ring->used - record.bytes;
  }
  if (ring->used == 0) ring->head = 0;
}

/* What a ring that was kept has: from the head to the first that is not whole. */
static void hg_recover(hg *self, uint32_t now_ms) {
  hg_ring *ring = self->ring;
  size_t at = ring->head, seen = 0;
  while (seen < ring->used) {
    hg_record record;
    size_t next = hg_step(self, at, &record), from = at + sizeof record;
    if (record.bytes == 0 || record.bytes > self->area_bytes - at) break;
    if (record.bytes > ring->used - seen) break;
    if (record.tries == HG_SKIP) {
      if (next != 0) break;
    } else {
      if (record.bytes < sizeof record + record.topic_bytes) break;
      if (record.crc != hg_record_crc(&record, self->area + from)) break;
      if (record.tries != HG_GONE) {
        record.tries = 0;
        record.due_ms = now_ms;
        hg_update(self, at, &record);
        self->waiting++;
        self->counts.recovered++;
      }
    }
    seen += record.bytes;
    at = next;
  }
  ring->used = seen;
  hg_trim(self);
}

/* Where `bytes` in one piece can go: true and `at`. A rest at the end of the area is skipped. */
static bool hg_make_room(hg *self, size_t bytes, size_t *at) {
  hg_ring *ring = self->ring;
  size_t tail = ring->head + ring->used, rest;
  if (tail >= self->area_bytes) { /* the free part is one piece */
    *at = tail - self->area_bytes;
    return self->area_bytes - ring->used >= bytes;
  }
  *at = tail;
  rest = self->area_bytes - tail;
  if (rest >= bytes) return true;
  if (ring->head < bytes) return false;
  if (rest >= sizeof(hg_record)) {
    hg_record skip;
    memset(&skip, 0, sizeof skip);
    skip.tries = HG_SKIP;
    skip.bytes = (uint16_t)rest;
    hg_update(self, tail, &skip);
  }
  ring->used = ring->used + rest;
  *at = 0;
  return true;
}

static void hg_drop_oldest(hg *self) {
  hg_record record;
  size_t at = self->ring->head;
  hg_step(self, at, &record); /* the head is live, or hg_trim() had gone on */
  record.tries = HG_GONE;
  hg_update(self, at, &record);
  self->waiting--;
  self->counts.dropped++;
  hg_trim(self);
}

/* ---- the boot counter ------------------------------------------------------------------------- */

static void hg_count_boot(hg *self) {
  const hg_config *config = self->config;
  uint32_t boot = 0, stored = 0;
  self->seq = 0;
  if (config->load_boot == NULL || config->save_boot == NULL) {
    self->boot = hg_random(self);
    return;
  }
  /* All ones is what an EEPROM has that was never written. */
  if (!config->load_boot(config->context, &boot) || boot == 0xffffffffUL) {
    /* Not 1: after its flash was erased, a device would say again what the gateway knows. */
    boot = hg_random(self) >> 2;
  }
  boot++;
  if (!config->save_boot(config->context, boot) ||
      !config->load_boot(config->context, &stored) || stored != boot) {
    boot = hg_random(self); /* or the next boot would have this one's number */
  }
  self->boot = boot;
}

bool hg_begin(hg *self, const hg_config *config, uint32_t now_ms) {
  size_t skew;
  memset(self, 0, sizeof *self);
  self->config = config;
  if (config->memory == NULL || config->device == NULL || config->memory_bytes < 64) return false;
  if (strlen(config->device) > 128) return false;
  if (config->seed == 0) return false;
  skew = (size_t)((uintptr_t)config->memory % sizeof(size_t));
  skew = skew == 0 ? 0 : sizeof(size_t) - skew;
  self->ring = (hg_ring *)(void *)((uint8_t *)config->memory + skew);
  self->area = (uint8_t *)(self->ring + 1);
  self->area_bytes = config->memory_bytes - skew - sizeof(hg_ring);
  self->random = config->seed;
  self->max_frame = 1024;
  self->hello_due = now_ms;
  self->hello_wait = hg_retry_min(self);
  hg_count_boot(self);
  if (config->kept && self->ring->magic == hg_magic(self) &&
      self->ring->head < self->area_bytes && self->ring->used <= self->area_bytes) {
    hg_recover(self, now_ms);
  } else {
    self->ring->head = 0;
    self->ring->used = 0;
    self->ring->magic = hg_magic(self);
  }
  return true;
}

/* ---- readings --------------------------------------------------------------------------------- */

#define HG_PREFIX_BYTES 36 /* {"boot":4294967295,"seq":4294967295, */
#define HG_HEAD_BYTES 10   /* of a READING: type, boot, seq, bytes of the topic */

static size_t hg_prefix(char *to, uint32_t boot, uint32_t seq) {
  char *end = hg_put_decimal(hg_put_text(to, "{\"boot\":"), boot, 0);
  end = hg_put_decimal(hg_put_text(end, ",\"seq\":"), seq, 0);
  *end++ = ',';
  return (size_t)(end - to);
}

/* What the host of the serial line takes. */
static bool hg_fits_frame(const hg *self, size_t topic_bytes, size_t fields_bytes) {
  size_t body = HG_HEAD_BYTES + topic_bytes + HG_PREFIX_BYTES + fields_bytes + 1;
  return self->config->write == NULL || body <= self->max_frame;
}

hg_result hg_put(hg *self, const char *topic, const char *fields, uint32_t now_ms) {
  size_t topic_bytes = strlen(topic), fields_bytes = strlen(fields), stamp_bytes = 0, at;
  char stamp[32];
  hg_record record;
  uint8_t *to;
  uint64_t wall_ms = self->config->stamp_time ? hg_wall_ms(self, now_ms) : 0;
  if (wall_ms != 0) {
    stamp_bytes = (size_t)(hg_put_decimal(hg_put_text(stamp, ",\"ts\":"), wall_ms, 0) - stamp);
  }
  if (topic_bytes > 255 || fields_bytes > 60000U ||
      sizeof record + topic_bytes + fields_bytes + stamp_bytes > self->area_bytes ||
      !hg_fits_frame(self, topic_bytes, fields_bytes + stamp_bytes)) {
    return HG_TOO_LONG;
  }
  if (self->seq == 0xffffffffUL) hg_count_boot(self); /* 0 would be a repeat of this boot's */
  memset(&record, 0, sizeof record);
  record.bytes = (uint16_t)(sizeof record + topic_bytes + fields_bytes + stamp_bytes);
  record.topic_bytes = (uint8_t)topic_bytes;
  while (!hg_make_room(self, record.bytes, &at)) {
    if (self->config->when_full == HG_REFUSE_NEWEST) {
      self->counts.refused++;
      return HG_FULL;
    }
    hg_drop_oldest(self);
  }
  record.boot = self->boot;
  record.seq = self->seq;
  record.due_ms = now_ms;
  to = self->area + at + sizeof record;
  memcpy(to, topic, topic_bytes);
  memcpy(to + topic_bytes, fields, fields_bytes);
  if (stamp_bytes > 0) memcpy(to + topic_bytes + fields_bytes, stamp, stamp_bytes);
  record.crc = hg_record_crc(&record, to);
  hg_update(self, at, &record);
  self->ring->used = self->ring->used + record.bytes; /* last: from here on it is there */
  self->seq++;
  self->waiting++;
  self->counts.put++;
  return HG_OK;
}

hg_result hg_put_fixed(hg *self, const char *topic, int32_t value, uint8_t decimals,
                       uint32_t now_ms) {
  char fields[32];
  char *end = hg_put_text(fields, "\"value\":");
  uint32_t size = value < 0 ? 0 - (uint32_t)value : (uint32_t)value;
  if (value < 0) *end++ = '-';
  end = hg_put_decimal(end, size, decimals > 9 ? 9 : decimals);
  *end = 0;
  return hg_put(self, topic, fields, now_ms);
}

hg_result hg_put_float(hg *self, const char *topic, double value, uint8_t decimals,
                       uint32_t now_ms) {
  uint8_t step;
  for (step = 0; step < decimals && step < 9; step++) value *= 10;
  value += value < 0 ? -0.5 : 0.5;
  if (!(value > -2147483520.0 && value < 2147483520.0)) return HG_NOT_A_NUMBER; /* NaN is neither */
  return hg_put_fixed(self, topic, (int32_t)value, decimals, now_ms);
}

bool hg_next(hg *self, hg_message *message, uint32_t *wait_ms, uint32_t now_ms) {
  uint16_t window = self->config->window == 0 ? 1 : self->config->window, flying = 0;
  uint32_t least = 0x7fffffffUL;
  size_t at = self->ring->head, seen = 0;
  while (seen < self->ring->used && flying < window) {
    hg_record record;
    size_t next = hg_step(self, at, &record);
    if (hg_is_live(&record)) {
      flying++;
      if (record.tries == 0 || hg_is_due(now_ms, record.due_ms)) {
        uint32_t wait = hg_retry_min(self);
        uint8_t step;
        for (step = 0; step < record.tries && wait < hg_retry_max(self); step++) {
          wait = hg_doubled(self, wait);
        }
        message->boot = record.boot;
        message->seq = record.seq;
        message->tries = record.tries;
        message->topic = (const char *)self->area + at + sizeof record;
        message->topic_bytes = record.topic_bytes;
        message->fields = message->topic + record.topic_bytes;
        message->fields_bytes = record.bytes - sizeof record - record.topic_bytes;
        if (record.tries == 0) self->counts.sent++;
        else self->counts.resent++;
        if (record.tries < HG_MOST_TRIES) record.tries++;
        record.due_ms = now_ms + hg_jittered(self, wait);
        hg_update(self, at, &record);
        if (wait_ms != NULL) *wait_ms = 0;
        return true;
      }
      if (record.due_ms - now_ms < least) least = record.due_ms - now_ms;
    }
    seen += record.bytes;
    at = next;
  }
  if (wait_ms != NULL) *wait_ms = least;
  return false;
}

size_t hg_payload(const hg_message *message, char *text, size_t size) {
  char prefix[HG_PREFIX_BYTES];
  size_t count = hg_prefix(prefix, message->boot, message->seq);
  if (count + message->fields_bytes + 2 > size) return 0;
  memcpy(text, prefix, count);
  memcpy(text + count, message->fields, message->fields_bytes);
  count += message->fields_bytes;
  text[count++] = '}';
  text[count] = 0;
  return count;
}

/* Whoever had to wait long may go: the link lives. */
static void hg_hurry(hg *self, uint8_t tries_above, uint32_t due_ms) {
  size_t at = self->ring->head, seen = 0;
  while (seen < self->ring->used) {
    hg_record record;
    size_t next = hg_step(self, at, &record);
    if (hg_is_live(&record) && record.tries > tries_above) {
      record.tries = 1;
      record.due_ms = due_ms;
      hg_update(self, at, &record);
    }
    seen += record.bytes;
    at = next;
  }
}

/* Takes a reading out of the ring. Returns how often it was sent; -1: it is not there. */
static int hg_take_out(hg *self, uint32_t boot, uint32_t seq) {
  size_t at = self->ring->head, seen = 0;
  while (seen < self->ring->used) {
    hg_record record;
    size_t next = hg_step(self, at, &record);
    if (hg_is_live(&record) && record.boot == boot && record.seq == seq) {
      int tries = record.tries;
      record.tries = HG_GONE;
      hg_update(self, at, &record);
      self->waiting--;
      hg_trim(self);
      return tries;
    }
    seen += record.bytes;
    at = next;
  }
  self->counts.late_acks++;
  return -1;
}

void hg_ack(hg *self, uint32_t boot, uint32_t seq, uint32_t now_ms) {
  int tries = hg_take_out(self, boot, seq);
  if (tries < 0) return;
  self->counts.acked++;
  if (tries > 1) hg_hurry(self, 1, now_ms + hg_jittered(self, hg_retry_min(self)));
}

void hg_nak(hg *self, uint32_t boot, uint32_t seq) {
  if (hg_take_out(self, boot, seq) >= 0) self->counts.nacked++;
}

void hg_link_up(hg *self, uint32_t now_ms) { hg_hurry(self, 0, now_ms); }

uint16_t hg_waiting(const hg *self) { return self->waiting; }

#define HG_HOUR_MS 3600000UL

uint64_t hg_wall_ms(const hg *self, uint32_t now_ms) {
  uint32_t age_ms = now_ms - self->wall_at;
  return self->wall_ms == 0 || age_ms > 24 * HG_HOUR_MS ? 0 : self->wall_ms + age_ms;
}

/* ---- the serial line -------------------------------------------------------------------------- */

/* A frame in pieces, as it lies in memory: none of it is copied together. */
typedef struct {
  const uint8_t *bytes;
  size_t count;
} hg_piece;

/* Bytes on their way to the line, some at a time. */
typedef struct {
  const hg_config *config;
  uint8_t *direct; /* or into memory */
  size_t count;
  uint8_t bytes[32];
} hg_out;

static void hg_flush(hg_out *out) {
  /* What the line does not take is as if it had been lost on it. */
  if (out->direct == NULL && out->count > 0) {
    (void)out->config->write(out->config->context, out->bytes, out->count);
    out->count = 0;
  }
}

static void hg_emit(hg_out *out, uint8_t byte) {
  if (out->direct != NULL) {
    out->direct[out->count++] = byte;
    return;
  }
  out->bytes[out->count++] = byte;
  if (out->count == sizeof out->bytes) hg_flush(out);
}

/* Moves over pieces that are done. False: that was the last byte. */
static bool hg_more(const hg_piece *pieces, uint8_t count, uint8_t *piece, size_t *at) {
  while (*piece < count && *at == pieces[*piece].count) {
    (*piece)++;
    *at = 0;
  }
  return *piece < count;
}

/* Looks ahead for the next 0 and then writes: a frame of any size needs no memory of its own. */
static void hg_cobs(hg_out *out, const hg_piece *pieces, uint8_t count) {
  uint8_t piece = 0;
  size_t at = 0;
  for (;;) {
    uint8_t ahead = piece, run = 0, step;
    size_t ahead_at = at;
    bool more;
    while ((more = hg_more(pieces, count, &ahead, &ahead_at)) && run < 254 &&
           pieces[ahead].bytes[ahead_at] != 0) {
      run++;
      ahead_at++;
    }
    hg_emit(out, (uint8_t)(run + 1));
    for (step = 0; step < run; step++) {
      hg_more(pieces, count, &piece, &at);
      hg_emit(out, pieces[piece].bytes[at++]);
    }
    if (!more) return;
    piece = ahead;
    at = run < 254 ? ahead_at + 1 : ahead_at; /* over the 0, which a full block does not stand for */
  }
}

size_t hg_cobs_encode(const uint8_t *bytes, size_t count, uint8_t *to) {
  hg_piece piece;
  hg_out out;
  memset(&out, 0, sizeof out);
  piece.bytes = bytes;
  piece.count = count;
  out.direct = to;
  hg_cobs(&out, &piece, 1);
  return out.count;
}

enum { /* version 1 and the type */
  HG_HELLO = 0x11,
  HG_READING = 0x12,
  HG_ACK = 0x13,
  HG_WELCOME = 0x14,
  HG_NAK = 0x15,
  HG_ASK = 0x16
};

/* The last of the pieces is free for the checksum. */
static void hg_send(hg *self, hg_piece *pieces, uint8_t count) {
  uint8_t sum[2], piece;
  uint16_t crc = 0xffff;
  hg_out out;
  memset(&out, 0, sizeof out);
  out.config = self->config;
  for (piece = 0; piece + 1 < count; piece++) {
    crc = hg_crc16(crc, pieces[piece].bytes, pieces[piece].count);
  }
  sum[0] = (uint8_t)~(crc >> 8);
  sum[1] = (uint8_t)~crc;
  pieces[piece].bytes = sum;
  pieces[piece].count = sizeof sum;
  hg_emit(&out, 0); /* ends what noise may have begun */
  hg_cobs(&out, pieces, count);
  hg_emit(&out, 0);
  hg_flush(&out);
}

/* Each boot is named before its readings: a ring that was kept may have those of an earlier one. */
static void hg_say_hello(hg *self, uint32_t boot) {
  uint8_t head[6];
  hg_piece pieces[3];
  size_t name_bytes = strlen(self->config->device);
  head[0] = HG_HELLO;
  *hg_put_u32(head + 1, boot) = (uint8_t)name_bytes;
  self->named = boot;
  pieces[0].bytes = head;
  pieces[0].count = sizeof head;
  pieces[1].bytes = (const uint8_t *)self->config->device;
  pieces[1].count = name_bytes;
  hg_send(self, pieces, 3);
}

static void hg_send_reading(hg *self, const hg_message *message) {
  uint8_t head[HG_HEAD_BYTES];
  char prefix[HG_PREFIX_BYTES];
  hg_piece pieces[6];
  head[0] = HG_READING;
  *hg_put_u32(hg_put_u32(head + 1, message->boot), message->seq) = message->topic_bytes;
  pieces[0].bytes = head;
  pieces[0].count = sizeof head;
  pieces[1].bytes = (const uint8_t *)message->topic;
  pieces[1].count = message->topic_bytes;
  pieces[2].bytes = (const uint8_t *)prefix;
  pieces[2].count = hg_prefix(prefix, message->boot, message->seq);
  pieces[3].bytes = (const uint8_t *)message->fields;
  pieces[3].count = message->fields_bytes;
  pieces[4].bytes = (const uint8_t *)"}";
  pieces[4].count = 1;
  hg_send(self, pieces, 6);
}

uint32_t hg_poll(hg *self, uint32_t now_ms) {
  hg_message message;
  uint32_t wait_ms = 0;
  bool greeted = false;
  if (self->config->write == NULL) return 0x7fffffffUL;
  if (hg_wall_ms(self, now_ms) == 0) self->wall_ms = 0; /* before its age wraps with the clock */
  if (hg_is_due(now_ms, self->hello_due)) {
    hg_say_hello(self, self->boot);
    greeted = true;
    self->hello_due = now_ms + hg_jittered(self, self->hello_wait);
    self->hello_wait = hg_doubled(self, self->hello_wait);
  }
  while (hg_next(self, &message, &wait_ms, now_ms)) {
    /* No answer: the host may be another one by now, which does not know whose line this is. */
    if ((message.tries > 0 && !greeted) || message.boot != self->named) {
      hg_say_hello(self, message.boot);
      greeted = true;
    }
    hg_send_reading(self, &message);
  }
  return self->hello_due - now_ms < wait_ms ? self->hello_due - now_ms : wait_ms;
}

static void hg_welcomed(hg *self, const uint8_t *frame, uint32_t now_ms) {
  uint16_t max_frame = (uint16_t)((uint16_t)(frame[9] << 8) | frame[10]);
  self->wall_ms = (uint64_t)hg_get_u32(frame + 1) << 32 | hg_get_u32(frame + 5);
  self->wall_at = now_ms;
  if (max_frame >= 64) self->max_frame = max_frame;
  self->hello_due = now_ms + HG_HOUR_MS; /* clocks drift */
  self->hello_wait = hg_retry_min(self);
  hg_hurry(self, 1, now_ms + hg_jittered(self, hg_retry_min(self)));
}

#define HG_WHOLE 0x1d0f

static void hg_take_frame(hg *self, uint32_t now_ms) {
  const uint8_t *frame = self->received;
  uint8_t count = self->received_bytes;
  /* Over a frame with its checksum the sum is always the same. More bytes than are known are for
     a later version of the protocol to use. */
  if (count < 3 || hg_crc16(0xffff, frame, count) != HG_WHOLE) {
    self->counts.bad_frames++;
  } else if (frame[0] == HG_ACK && count >= 11) {
    hg_ack(self, hg_get_u32(frame + 1), hg_get_u32(frame + 5), now_ms);
  } else if (frame[0] == HG_NAK && count >= 12) {
    hg_nak(self, hg_get_u32(frame + 1), hg_get_u32(frame + 5));
  } else if (frame[0] == HG_WELCOME && count >= 13) {
    hg_welcomed(self, frame, now_ms);
  } else if (frame[0] == HG_ASK) {
    self->hello_due = now_ms;
  } else {
    self->counts.bad_frames++;
  }
}

static void hg_take_byte(hg *self, uint8_t byte) {
  if (self->received_bytes < HG_RECEIVE_BYTES) {
    self->received[self->received_bytes++] = byte;
  } else { /* longer than any that is for us */
    self->skipping = true;
    self->counts.bad_frames++;
  }
}

void hg_receive(hg *self, const uint8_t *bytes, size_t count, uint32_t now_ms) {
  for (; count > 0; count--, bytes++) {
    uint8_t byte = *bytes;
    if (byte == 0) { /* the end of a frame, or of nothing */
      if (!self->skipping && self->code != 0) {
        if (self->left == 0) hg_take_frame(self, now_ms);
        else self->counts.bad_frames++;
      }
      self->received_bytes = 0;
      self->code = 0;
      self->left = 0;
      self->skipping = false;
    } else if (self->skipping) {
      continue;
    } else if (self->left > 0) {
      self->left--;
      hg_take_byte(self, byte);
    } else {
      if (self->code != 0 && self->code != 0xff) hg_take_byte(self, 0);
      self->code = byte;
      self->left = (uint8_t)(byte - 1);
    }
  }
}

/* ---- the boot counter in slots ---------------------------------------------------------------- */

#define HG_SLOT_BYTES 6

static bool hg_read_slot(const hg_slots *slots, uint8_t slot, uint32_t *boot) {
  uint8_t bytes[HG_SLOT_BYTES], step;
  for (step = 0; step < sizeof bytes; step++) {
    bytes[step] = slots->read((uint16_t)(slots->at + slot * HG_SLOT_BYTES + step));
  }
  *boot = hg_get_u32(bytes);
  return hg_crc16(0xffff, bytes, sizeof bytes) == 0;
}

bool hg_slots_load(const hg_slots *slots, uint32_t *boot) {
  bool found = false;
  uint8_t slot;
  for (slot = 0; slot < slots->count; slot++) {
    uint32_t one;
    if (!hg_read_slot(slots, slot, &one)) continue;
    if (!found || hg_is_due(one, *boot)) *boot = one; /* the newer, also where the number wraps */
    found = true;
  }
  return found;
}

bool hg_slots_save(const hg_slots *slots, uint32_t boot) {
  uint8_t bytes[HG_SLOT_BYTES], step, slot;
  uint32_t stored;
  uint16_t crc;
  if (slots->count == 0) return false;
  slot = (uint8_t)(boot % slots->count);
  hg_put_u32(bytes, boot);
  crc = hg_crc16(0xffff, bytes, 4);
  bytes[4] = (uint8_t)(crc >> 8);
  bytes[5] = (uint8_t)crc;
  for (step = 0; step < sizeof bytes; step++) {
    slots->write((uint16_t)(slots->at + slot * HG_SLOT_BYTES + step), bytes[step]);
  }
  return hg_read_slot(slots, slot, &stored) && stored == boot;
}

#ifdef __cplusplus
}
#endif
#endif /* HEADGATE_IMPLEMENTATION */
