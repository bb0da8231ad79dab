/*
 * A program that uses all of headgate.h and nothing else: compiled by every compiler, and run on a
 * simulated AVR, whose int has 16 bits. There it says on the serial port how it went.
 */
#define HEADGATE_IMPLEMENTATION
#include "headgate.h"

#ifdef __AVR__
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#endif

char size_of_hg[sizeof(hg)];
char size_of_record[sizeof(hg_record)];

static uint8_t memory[256], line[300], cells[60];
static size_t line_bytes;

static uint8_t read_cell(uint16_t at) { return cells[at]; }
static void write_cell(uint16_t at, uint8_t byte) { cells[at] = byte; }
static const hg_slots slots = {read_cell, write_cell, 0, 10};

static bool load_boot(void *context, uint32_t *boot) {
  (void)context;
  return hg_slots_load(&slots, boot);
}

static bool save_boot(void *context, uint32_t boot) {
  (void)context;
  return hg_slots_save(&slots, boot);
}

static bool write_line(void *context, const uint8_t *bytes, size_t count) {
  (void)context;
  if (line_bytes + count > sizeof line) return false;
  memcpy(line + line_bytes, bytes, count);
  line_bytes += count;
  return true;
}

/* Frames of test/golden/serial-vectors.json, which another program made. */
static const char reading[] =
    "\x00\x02\x12\x01\x01\x02\x07\x01\x01\x31\x2a\x0btemperature"
    "{\"boot\":7,\"seq\":42,\"value\":21.50}\x57\xdd";
static const char ack[] = "\x02\x13\x01\x01\x02\x07\x01\x01\x04\x2a\x7b\xcb";

/* What does not hold, or NULL. */
static const char *try_all(void) {
  static hg_config config;
  static hg device;
  hg_message message;
  char payload[80];
  uint32_t now = 0xffffff00UL, wait = 0;
  uint8_t step;
  if (hg_crc16(0xffff, (const uint8_t *)"123456789", 9) != (0xffffU ^ 0xd64eU)) return "checksum";
  hg_slots_save(&slots, 6);
  config.memory = memory;
  config.memory_bytes = sizeof memory;
  config.device = "pump-3";
  config.load_boot = load_boot;
  config.save_boot = save_boot;
  config.write = write_line;
  config.seed = 1;
  if (!hg_begin(&device, &config, now) || device.boot != 7) return "boot";
  hg_poll(&device, now);
  device.seq = 42;
  line_bytes = 0;
  if (hg_put_float(&device, "temperature", 21.5, 2, now) != HG_OK) return "put";
  hg_poll(&device, now);
  if (line_bytes != sizeof reading || memcmp(line, reading, sizeof reading) != 0) return "frame";
  for (step = 1; step < 8; step++) { /* over the end of the clock */
    uint32_t base = 500UL << (step - 1);
    if (hg_next(&device, &message, &wait, now)) return "too soon";
    if (wait < base - base / 4 || wait > base + base / 4) return "wait";
    now += wait;
    if (!hg_next(&device, &message, NULL, now) || message.tries != step) return "retry";
  }
  if (hg_payload(&message, payload, sizeof payload) != 33) return "payload";
  if (strcmp(payload, "{\"boot\":7,\"seq\":42,\"value\":21.50}") != 0) return "text";
  hg_receive(&device, (const uint8_t *)ack, sizeof ack, now);
  if (hg_waiting(&device) != 0 || device.counts.acked != 1) return "ack";
  hg_nak(&device, 7, 42);
  hg_link_up(&device, now);
  if (hg_wall_ms(&device, now) != 0) return "wall";
  for (step = 0; step < 100; step++) {
    if (hg_put_fixed(&device, "level", -30000 + step, 1, now) != HG_OK) break;
    if (hg_next(&device, &message, NULL, now)) hg_ack(&device, message.boot, message.seq, now);
  }
  return step == 100 ? NULL : "ring";
}

static void say(const char *text) {
#ifdef __AVR__
  UCSR0B = 1 << TXEN0;
  for (; *text != 0; text++) {
    while ((UCSR0A & (1 << UDRE0)) == 0) continue;
    UDR0 = (uint8_t)*text;
  }
#else
  (void)text;
#endif
}

int main(void) {
  const char *wrong = try_all();
  say(wrong == NULL ? "all hold\n" : wrong);
  say("\n");
#ifdef __AVR__
  cli(); /* asleep without interrupts: the simulator ends */
  sleep_enable();
  sleep_cpu();
#endif
  return wrong != NULL;
}
