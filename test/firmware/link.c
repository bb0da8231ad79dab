/*
 * A device whose line is stdin and stdout, for tests against a gateway. Ends once `count` readings
 * are acknowledged, and says on stderr what it counted, as JSON; before that, with `put BOOT SEQ`,
 * each reading that it took. Arguments, name and value:
 *   device NAME  count N  every MS  window N  seed N  memory BYTES  full drop
 *   boot FILE    where the boot counter is
 *   kept FILE    the ring: shared memory that outlives the process, as RTC memory does a reset
 *   mqtt 1       says `BOOT SEQ TOPIC PAYLOAD` and hears `BOOT SEQ` for MQTT instead of frames
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define HEADGATE_IMPLEMENTATION
#include "headgate.h"

#include "check.h"

static const char *boot_file;

static bool load_boot(void *context, uint32_t *boot) {
  unsigned long value;
  FILE *file = fopen(boot_file, "r");
  bool read = file != NULL && fscanf(file, "%lu", &value) == 1;
  (void)context;
  if (file != NULL) fclose(file);
  if (read) *boot = (uint32_t)value;
  return read;
}

static bool save_boot(void *context, uint32_t boot) {
  FILE *file = fopen(boot_file, "w");
  (void)context;
  return file != NULL && fprintf(file, "%lu", (unsigned long)boot) > 0 && fclose(file) == 0;
}

static bool write_line(void *context, const uint8_t *bytes, size_t count) {
  (void)context;
  while (count > 0) {
    ssize_t wrote = write(STDOUT_FILENO, bytes, count);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes += wrote;
    count -= (size_t)wrote;
  }
  return true;
}

/* Starts just before it wraps, as every clock does some day. */
static uint32_t now_ms(void) {
  struct timespec now;
  static struct timespec start;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (start.tv_sec == 0) start = now;
  return (uint32_t)(0xfffffe00UL + (unsigned long)(now.tv_sec - start.tv_sec) * 1000UL +
                    (unsigned long)(now.tv_nsec / 1000000L));
}

static void *map_kept(const char *path, size_t bytes) {
  int file = open(path, O_RDWR | O_CREAT, 0600);
  CHECK(file >= 0 && ftruncate(file, (off_t)bytes) == 0);
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK(memory != MAP_FAILED);
  close(file);
  return memory;
}

static void say_mqtt(hg *device) {
  hg_message message;
  char payload[200];
  while (hg_next(device, &message, NULL, now_ms())) {
    CHECK(hg_payload(&message, payload, sizeof payload) > 0);
    printf("%lu %lu %.*s %s\n", (unsigned long)message.boot, (unsigned long)message.seq,
           (int)message.topic_bytes, message.topic, payload);
  }
  fflush(stdout);
}

static void hear_mqtt(hg *device, const char *bytes, size_t count) {
  static char line[64];
  static size_t held;
  for (; count > 0; count--, bytes++) {
    unsigned long boot, seq;
    if (*bytes != '\n') {
      CHECK(held + 1 < sizeof line);
      line[held++] = *bytes;
      continue;
    }
    line[held] = 0;
    held = 0;
    CHECK(sscanf(line, "%lu %lu", &boot, &seq) == 2);
    hg_ack(device, (uint32_t)boot, (uint32_t)seq, now_ms());
  }
}

int main(int argc, char **argv) {
  static hg device;
  static hg_config config;
  unsigned long count = 100, every_ms = 0, memory_bytes = 512, made = 0;
  const char *kept_file = NULL;
  bool mqtt = false;
  config.device = "pump-3";
  config.retry_min_ms = 30;
  config.retry_max_ms = 500;
  for (int at = 1; at + 1 < argc; at += 2) {
    const char *name = argv[at], *text = argv[at + 1];
    unsigned long value = strtoul(text, NULL, 10);
    if (strcmp(name, "device") == 0) config.device = text;
    else if (strcmp(name, "count") == 0) count = value;
    else if (strcmp(name, "every") == 0) every_ms = value;
    else if (strcmp(name, "window") == 0) config.window = (uint16_t)value;
    else if (strcmp(name, "seed") == 0) config.seed = (uint32_t)value;
    else if (strcmp(name, "memory") == 0) memory_bytes = value;
    else if (strcmp(name, "full") == 0) config.when_full = HG_DROP_OLDEST;
    else if (strcmp(name, "boot") == 0) boot_file = text;
    else if (strcmp(name, "kept") == 0) kept_file = text;
    else if (strcmp(name, "mqtt") == 0) mqtt = true;
    else CHECK(!"an argument that is known");
  }
  config.memory_bytes = memory_bytes;
  config.kept = kept_file != NULL;
  config.memory = kept_file == NULL ? malloc(memory_bytes) : map_kept(kept_file, memory_bytes);
  config.load_boot = boot_file == NULL ? NULL : load_boot;
  config.save_boot = boot_file == NULL ? NULL : save_boot;
  config.write = mqtt ? NULL : write_line;
  CHECK(hg_begin(&device, &config, now_ms()));
  uint32_t next_ms = now_ms();
  while (made < count || hg_waiting(&device) > 0) {
    struct pollfd line = {STDIN_FILENO, POLLIN, 0};
    uint32_t wait_ms;
    while (made < count && hg_is_due(now_ms(), next_ms)) {
      uint32_t boot = device.boot, seq = device.seq;
      if (hg_put_fixed(&device, "level", (int32_t)made, 0, now_ms()) != HG_OK) break;
      fprintf(stderr, "put %lu %lu\n", (unsigned long)boot, (unsigned long)seq);
      made++;
      next_ms += (uint32_t)every_ms;
    }
    if (mqtt) say_mqtt(&device);
    wait_ms = hg_poll(&device, now_ms());
    if (poll(&line, 1, wait_ms < 10 ? (int)wait_ms : 10) > 0) {
      uint8_t bytes[64];
      ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
      CHECK(got > 0);
      if (mqtt) hear_mqtt(&device, (const char *)bytes, (size_t)got);
      else hg_receive(&device, bytes, (size_t)got, now_ms());
    }
  }
  fprintf(stderr,
          "{\"boot\":%lu,\"put\":%lu,\"recovered\":%lu,\"sent\":%lu,\"resent\":%lu,"
          "\"acked\":%lu,\"nacked\":%lu,\"refused\":%lu,\"dropped\":%lu,\"badFrames\":%lu,"
          "\"lateAcks\":%lu}\n",
          (unsigned long)device.boot, (unsigned long)device.counts.put,
          (unsigned long)device.counts.recovered, (unsigned long)device.counts.sent,
          (unsigned long)device.counts.resent, (unsigned long)device.counts.acked,
          (unsigned long)device.counts.nacked, (unsigned long)device.counts.refused,
          (unsigned long)device.counts.dropped, (unsigned long)device.counts.bad_frames,
          (unsigned long)device.counts.late_acks);
  return 0;
}
