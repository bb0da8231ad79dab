/*
 * A sensor on a serial line, from an Arduino Uno (ATmega328) to an ESP32: a temperature every 10 s,
 * kept until the gateway has it on flash. Put headgate.h beside this file. At the gateway:
 *
 *   headgate-serial --port /dev/ttyUSB0 --framing cobs
 *
 * The line is Serial, the USB port of most boards: print nothing else on it. docs/device-contract.md
 */
#define HEADGATE_IMPLEMENTATION
#include "headgate.h"

static const char *const DEVICE = "pump-3"; /* each its own */
static const uint32_t EVERY_MS = 10000;

static hg device;
static hg_config config;

#if defined(ESP32)

#include <Preferences.h>

/* 8 KB of RTC memory outlive a reset and deep sleep, though not a power loss. */
RTC_NOINIT_ATTR static uint8_t memory[4096];
static const bool KEPT = true;

static bool load_boot(void *, uint32_t *boot) {
  Preferences store;
  if (!store.begin("headgate", true)) return false;
  bool found = store.isKey("boot");
  *boot = store.getUInt("boot", 0);
  store.end();
  return found;
}

static bool save_boot(void *, uint32_t boot) {
  Preferences store;
  if (!store.begin("headgate", false)) return false;
  bool saved = store.putUInt("boot", boot) == sizeof boot;
  store.end();
  return saved;
}

static uint32_t entropy() { return esp_random(); }

#else

#include <EEPROM.h>

static uint8_t memory[384]; /* some 8 readings; an Uno has 2 KB in all */
static const bool KEPT = false;

/* 16 slots of 6 bytes: 16 times the 100,000 boots that a cell is good for. */
static uint8_t read_cell(uint16_t at) { return EEPROM.read(at); }
static void write_cell(uint16_t at, uint8_t byte) { EEPROM.update(at, byte); }
static const hg_slots SLOTS = {read_cell, write_cell, 0, 16};

static bool load_boot(void *, uint32_t *boot) { return hg_slots_load(&SLOTS, boot); }
static bool save_boot(void *, uint32_t boot) { return hg_slots_save(&SLOTS, boot); }

/* Noise of pins that nothing is connected to, and how long it took to read. */
static uint32_t entropy() {
  uint32_t noise = 0;
  for (uint8_t step = 0; step < 32; step++) {
    noise = noise * 31 + (uint32_t)analogRead(A0) + micros();
  }
  return noise;
}

#endif

static bool write_line(void *, const uint8_t *bytes, size_t count) {
  return Serial.write(bytes, count) == count;
}

/* Yours: degrees Celsius. */
static float measure() { return (float)analogRead(A0) / 10; }

void setup() {
  Serial.begin(115200);
  delay(2000); /* the supply settles; a boot is counted, and wears, only after that */
  config.memory = memory;
  config.memory_bytes = sizeof memory;
  config.kept = KEPT;
  config.device = DEVICE;
  config.load_boot = load_boot;
  config.save_boot = save_boot;
  config.write = write_line;
  config.seed = entropy() | 1;
  config.when_full = HG_DROP_OLDEST;
  config.stamp_time = true;
  while (!hg_begin(&device, &config, millis())) delay(1000); /* a setting is wrong: see headgate.h */
}

void loop() {
  static uint32_t measured_ms;
  static bool has_measured;
  uint8_t bytes[16];
  size_t count = 0;
  uint32_t now_ms = millis();
  if (!has_measured || now_ms - measured_ms >= EVERY_MS) {
    has_measured = true;
    measured_ms = now_ms;
    (void)hg_put_float(&device, "temperature", measure(), 2, now_ms);
  }
  while (count < sizeof bytes && Serial.available() > 0) bytes[count++] = (uint8_t)Serial.read();
  hg_receive(&device, bytes, count, now_ms);
  hg_poll(&device, now_ms);
}
