/*
 * What headgate.h says to a question, a line each on stdin, so that a test can hold it against
 * known answers. Bytes are in hexadecimal, `-` for none.
 *   crc BYTES             the checksum
 *   cobs BYTES            how they are encoded
 *   hello BOOT NAME       the frame
 *   reading BOOT SEQ TOPIC FIELDS   the frame, and the payload over MQTT
 *   receive BOOT SEQ BYTES          with this one reading in the ring, what the bytes do
 *   sizes                 of the structures
 */
#define HEADGATE_IMPLEMENTATION
#include "headgate.h"

#include "check.h"

static uint8_t line_out[4096];
static size_t line_bytes;

static bool write_line(void *context, const uint8_t *bytes, size_t count) {
  (void)context;
  CHECK(line_bytes + count <= sizeof line_out);
  memcpy(line_out + line_bytes, bytes, count);
  line_bytes += count;
  return true;
}

static size_t from_hex(const char *text, uint8_t *bytes) {
  size_t count = 0;
  unsigned byte;
  if (strcmp(text, "-") == 0) return 0;
  for (; sscanf(text, "%2x", &byte) == 1; text += 2) bytes[count++] = (uint8_t)byte;
  return count;
}

static void print_hex(const uint8_t *bytes, size_t count) {
  size_t at;
  for (at = 0; at < count; at++) printf("%02x", bytes[at]);
  printf("\n");
}

static hg device;
static hg_config config;
static uint8_t memory[4096];

static void begin(unsigned long boot, unsigned long seq, const char *name) {
  memset(&config, 0, sizeof config);
  config.memory = memory;
  config.memory_bytes = sizeof memory;
  config.device = name;
  config.write = write_line;
  config.seed = 1;
  CHECK(hg_begin(&device, &config, 0));
  device.boot = device.named = (uint32_t)boot;
  device.seq = (uint32_t)seq;
  device.hello_due = 1000; /* not before the reading */
  line_bytes = 0;
}

int main(void) {
  static char line[8192], a[4096], b[4096];
  static uint8_t bytes[4096], encoded[4200];
  while (fgets(line, sizeof line, stdin) != NULL) {
    unsigned long boot, seq;
    if (sscanf(line, "crc %4095s", a) == 1) {
      printf("%u\n", 0xffffU ^ hg_crc16(0xffff, bytes, from_hex(a, bytes)));
    } else if (sscanf(line, "cobs %4095s", a) == 1) {
      print_hex(encoded, hg_cobs_encode(bytes, from_hex(a, bytes), encoded));
    } else if (sscanf(line, "hello %lu %4095s", &boot, a) == 2) {
      begin(boot, 0, strcmp(a, "-") == 0 ? "" : a);
      device.hello_due = 0;
      hg_poll(&device, 0);
      print_hex(line_out, line_bytes);
    } else if (sscanf(line, "reading %lu %lu %4095s %4095[^\n]", &boot, &seq, a, b) == 4) {
      hg_message message;
      begin(boot, seq, "x");
      CHECK(hg_put(&device, strcmp(a, "-") == 0 ? "" : a, b, 0) == HG_OK);
      hg_poll(&device, 0);
      print_hex(line_out, line_bytes);
      CHECK(hg_next(&device, &message, NULL, 100000));
      CHECK(hg_payload(&message, (char *)encoded, sizeof encoded) == strlen((char *)encoded));
      CHECK(hg_payload(&message, (char *)bytes, strlen((char *)encoded)) == 0);
      printf("%s\n", (char *)encoded);
    } else if (sscanf(line, "receive %lu %lu %4095s", &boot, &seq, a) == 3) {
      size_t count = from_hex(a, bytes);
      begin(boot, seq, "x");
      CHECK(hg_put_fixed(&device, "t", 1, 0, 0) == HG_OK);
      hg_receive(&device, bytes, count, 0);
      printf("acked %lu nacked %lu late %lu bad %lu wall %llu frame %u asked %d\n",
             (unsigned long)device.counts.acked, (unsigned long)device.counts.nacked,
             (unsigned long)device.counts.late_acks, (unsigned long)device.counts.bad_frames,
             (unsigned long long)hg_wall_ms(&device, 0), (unsigned)device.max_frame,
             device.hello_due == 0);
    } else if (strncmp(line, "sizes", 5) == 0) {
      printf("hg %u record %u config %u\n", (unsigned)sizeof(hg), (unsigned)sizeof(hg_record),
             (unsigned)sizeof(hg_config));
    } else {
      CHECK(!"a question that is known");
    }
    fflush(stdout);
  }
  return 0;
}
