/* As much of Arduino as the example sketches use, on a PC: Serial is stdin and stdout. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline unsigned long stub_us() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (unsigned long)now.tv_sec * 1000000UL + (unsigned long)now.tv_nsec / 1000UL;
}

/* A sketch whose loop measures every 10 s is run a thousand times as fast; its delays are none. */
static inline uint32_t millis() { return (uint32_t)(stub_us() / STUB_US_PER_MS); }
static inline uint32_t micros() { return (uint32_t)stub_us(); }
static inline void delay(unsigned long) {}
enum { A0 = 14 };
static inline int analogRead(int) { return 215; }
static inline uint32_t esp_random() { return (uint32_t)stub_us() * 2654435761u; }
#define RTC_NOINIT_ATTR

struct StubSerial {
  void begin(unsigned long) {}
  size_t write(const uint8_t *bytes, size_t count) {
    ssize_t wrote = ::write(STDOUT_FILENO, bytes, count);
    return wrote < 0 ? 0 : (size_t)wrote;
  }
  int available() {
    pollfd line = {STDIN_FILENO, POLLIN, 0};
    return poll(&line, 1, 1) > 0 ? 1 : 0;
  }
  int read() {
    uint8_t byte;
    if (::read(STDIN_FILENO, &byte, 1) != 1) exit(0);
    return byte;
  }
};
__attribute__((unused)) static StubSerial Serial;

void setup();
void loop();

#endif
