/* headgate.h by itself: the ring, the retries, the boot counter, numbers. Its seed is argv[1]. */
#define HEADGATE_IMPLEMENTATION
#include "headgate.h"

#include "check.h"

static uint8_t memory[256];
static hg_config config;
static hg device;

static uint32_t stored_boot;
static bool has_boot, loads, saves;
static uint32_t stuck_bits; /* of a cell that is worn out: ones, whatever is written */
static unsigned writes;

static bool load_boot(void *context, uint32_t *boot) {
  CHECK(context == &stored_boot);
  if (has_boot) *boot = stored_boot;
  return has_boot && loads;
}

static bool save_boot(void *context, uint32_t boot) {
  CHECK(context == &stored_boot);
  writes++;
  if (!saves) return false;
  stored_boot = boot | stuck_bits;
  has_boot = true;
  return true;
}

static void fresh(void) {
  memset(&config, 0, sizeof config);
  memset(memory, 0xa5, sizeof memory);
  config.memory = memory;
  config.memory_bytes = sizeof memory;
  config.device = "pump-3";
  config.load_boot = load_boot;
  config.save_boot = save_boot;
  config.context = &stored_boot;
  config.seed = 7;
  has_boot = loads = saves = true;
  stored_boot = 6;
  writes = 0;
}

static void begin(void) { CHECK(hg_begin(&device, &config, 0)); }

static bool next_is(uint32_t boot, uint32_t seq, uint32_t now) {
  hg_message message;
  return hg_next(&device, &message, NULL, now) && message.boot == boot && message.seq == seq;
}

static bool nothing(uint32_t now) {
  hg_message message;
  return !hg_next(&device, &message, NULL, now);
}

static void test_boot_counter(void) {
  uint32_t first;
  fresh();
  begin();
  CHECK(device.boot == 7 && stored_boot == 7 && writes == 1);
  begin();
  CHECK(device.boot == 8 && writes == 2);

  has_boot = false; /* a new device: not one that has been before, and counted from there */
  begin();
  first = device.boot;
  CHECK(first > 1000 && stored_boot == first);
  begin();
  CHECK(device.boot == first + 1);
  stored_boot = 0xffffffffUL; /* EEPROM that was never written */
  begin();
  CHECK(device.boot == first);
  config.seed = 8;
  has_boot = false;
  begin();
  CHECK(device.boot != first);

  saves = false; /* worn out: each boot another number, though the counter stands still */
  has_boot = true;
  stored_boot = 6;
  begin();
  first = device.boot;
  CHECK(first != 7);
  config.seed = 9;
  begin();
  CHECK(device.boot != 7 && device.boot != first);

  saves = true; /* says that it wrote, and has something else: so it would at each boot */
  stored_boot = 6;
  stuck_bits = 16;
  begin();
  CHECK(device.boot != 7 && device.boot != stored_boot);
  stuck_bits = 0;

  saves = true; /* reads fail: a write that can't be looked at is not trusted */
  loads = false;
  begin();
  CHECK(device.boot != stored_boot);

  config.load_boot = NULL;
  begin();
  first = device.boot;
  config.seed = 10;
  begin();
  CHECK(device.boot != first);
}

static void test_refused_settings(void) {
  static char long_name[130];
  fresh();
  config.seed = 0;
  CHECK(!hg_begin(&device, &config, 0));
  fresh();
  config.memory_bytes = 63;
  CHECK(!hg_begin(&device, &config, 0));
  fresh();
  config.device = NULL;
  CHECK(!hg_begin(&device, &config, 0));
  fresh();
  memset(long_name, 'a', 129);
  config.device = long_name;
  CHECK(!hg_begin(&device, &config, 0));
  CHECK(writes == 0); /* a setting that is wrong wears nothing */
  fresh();
  config.memory = memory + 1; /* at any address */
  config.memory_bytes = sizeof memory - 1;
  begin();
  CHECK(hg_put_fixed(&device, "t", 1, 0, 0) == HG_OK);
}

static void number_is(hg_result put, const char *text) {
  hg_message message;
  static char payload[100];
  static char expected[100];
  CHECK(put == HG_OK);
  CHECK(hg_next(&device, &message, NULL, 0));
  CHECK(hg_payload(&message, payload, sizeof payload) > 0);
  sprintf(expected, "{\"boot\":7,\"seq\":%lu,\"value\":%s}", (unsigned long)message.seq, text);
  if (strcmp(payload, expected) != 0) fprintf(stderr, "%s, not %s\n", payload, expected);
  CHECK(strcmp(payload, expected) == 0);
  hg_ack(&device, message.boot, message.seq, 0);
}

static void test_numbers(void) {
  double zero = 0;
  fresh();
  begin();
  number_is(hg_put_fixed(&device, "t", 0, 0, 0), "0");
  number_is(hg_put_fixed(&device, "t", 0, 2, 0), "0.00");
  number_is(hg_put_fixed(&device, "t", -5, 2, 0), "-0.05");
  number_is(hg_put_fixed(&device, "t", 100, 2, 0), "1.00");
  number_is(hg_put_fixed(&device, "t", 123, 9, 0), "0.000000123");
  number_is(hg_put_fixed(&device, "t", 123, 200, 0), "0.000000123");
  number_is(hg_put_fixed(&device, "t", INT32_MIN, 0, 0), "-2147483648");
  number_is(hg_put_fixed(&device, "t", INT32_MAX, 1, 0), "214748364.7");
  number_is(hg_put_float(&device, "t", 21.5, 2, 0), "21.50");
  number_is(hg_put_float(&device, "t", -0.004, 2, 0), "0.00");
  number_is(hg_put_float(&device, "t", -0.006, 2, 0), "-0.01");
  number_is(hg_put_float(&device, "t", 2.5, 0, 0), "3");
  CHECK(hg_put_float(&device, "t", zero / zero, 1, 0) == HG_NOT_A_NUMBER);
  CHECK(hg_put_float(&device, "t", 1 / zero, 1, 0) == HG_NOT_A_NUMBER);
  CHECK(hg_put_float(&device, "t", -1 / zero, 1, 0) == HG_NOT_A_NUMBER);
  CHECK(hg_put_float(&device, "t", 3e9, 0, 0) == HG_NOT_A_NUMBER);
  CHECK(hg_put_float(&device, "t", 30000000, 2, 0) == HG_NOT_A_NUMBER);
  CHECK(hg_waiting(&device) == 0);
}

static void test_order_and_acks(void) {
  fresh();
  config.window = 3;
  begin();
  for (int i = 0; i < 5; i++) CHECK(hg_put_fixed(&device, "t", i, 0, 0) == HG_OK);
  CHECK(next_is(7, 0, 0) && next_is(7, 1, 0) && next_is(7, 2, 0) && nothing(0));
  hg_ack(&device, 7, 1, 0); /* out of order: what is behind it may go, what is before stays */
  CHECK(next_is(7, 3, 0) && nothing(0));
  hg_ack(&device, 7, 1, 0);
  hg_ack(&device, 7, 99, 0);
  hg_ack(&device, 6, 0, 0);
  CHECK(device.counts.late_acks == 3 && device.counts.acked == 1);
  hg_nak(&device, 7, 0);
  CHECK(device.counts.nacked == 1 && hg_waiting(&device) == 3);
  CHECK(next_is(7, 4, 0) && nothing(0));
  hg_ack(&device, 7, 4, 0);
  hg_ack(&device, 7, 2, 0);
  hg_ack(&device, 7, 3, 0);
  CHECK(hg_waiting(&device) == 0 && device.ring->used == 0);
  CHECK(device.counts.sent == 5 && device.counts.resent == 0);

  fresh(); /* one at a time unless it is asked for more */
  begin();
  CHECK(hg_put_fixed(&device, "t", 0, 0, 0) == HG_OK);
  CHECK(hg_put_fixed(&device, "t", 1, 0, 0) == HG_OK);
  CHECK(next_is(7, 0, 0) && nothing(0));
  hg_ack(&device, 7, 0, 0);
  CHECK(next_is(7, 1, 0));
}

static void test_full(void) {
  uint32_t held;
  fresh();
  begin();
  while (hg_put_fixed(&device, "t", 1, 0, 0) == HG_OK) continue;
  held = device.counts.put;
  CHECK(held >= 6 && device.counts.refused == 1 && device.seq == held);
  CHECK(next_is(7, 0, 0)); /* the oldest is kept, and no number was spent on the other */
  hg_ack(&device, 7, 0, 0);
  CHECK(hg_put_fixed(&device, "t", 1, 0, 0) == HG_OK && device.seq == held + 1);

  fresh();
  config.when_full = HG_DROP_OLDEST;
  begin();
  for (uint32_t i = 0; i < held + 3; i++) CHECK(hg_put_fixed(&device, "t", 1, 0, 0) == HG_OK);
  CHECK(device.counts.dropped >= 3 && device.counts.refused == 0);
  CHECK(hg_waiting(&device) == held + 3 - device.counts.dropped);
  CHECK(next_is(7, device.counts.dropped, 0));

  fresh();
  begin();
  static char text[300];
  memset(text, 'x', 299);
  CHECK(hg_put(&device, "t", text, 0) == HG_TOO_LONG);
  CHECK(hg_put(&device, text, "\"value\":1", 0) == HG_TOO_LONG); /* a topic of 299 */
  CHECK(device.seq == 0 && device.counts.refused == 0);
}

static uint32_t waits(uint32_t from, uint32_t most) {
  uint32_t now = from;
  while (nothing(now)) CHECK(++now - from <= most);
  return now - from;
}

static void test_retries(uint32_t now) {
  uint32_t wait, said;
  hg_message message;
  fresh();
  config.retry_min_ms = 100;
  config.retry_max_ms = 1000;
  CHECK(hg_begin(&device, &config, now));
  CHECK(hg_put_fixed(&device, "t", 1, 0, now) == HG_OK);
  CHECK(next_is(7, 0, now));
  for (uint32_t base = 100; base < 3000; base *= 2) {
    uint32_t capped = base > 1000 ? 1000 : base;
    CHECK(!hg_next(&device, &message, &said, now));
    wait = waits(now, 1300);
    CHECK(wait == said); /* as long as it told the caller to sleep */
    CHECK(wait >= capped - capped / 4 && wait <= capped + capped / 4);
    now += wait;
  }
  CHECK(device.counts.sent == 1 && device.counts.resent == 5);
  CHECK(nothing(now + 500));
  hg_link_up(&device, now + 500);
  CHECK(next_is(7, 0, now + 500));
  wait = waits(now + 500, 1300); /* and from the first wait on again */
  CHECK(wait <= 250);
  for (int i = 0; i < 400; i++) { /* its count of tries ends somewhere, and it goes on */
    now += 2000;
    CHECK(next_is(7, 0, now));
  }
  CHECK(hg_waiting(&device) == 1);
}

static void test_hurry_after_ack(void) {
  fresh();
  config.window = 2;
  config.retry_min_ms = 100;
  config.retry_max_ms = 100000;
  begin();
  CHECK(hg_put_fixed(&device, "t", 1, 0, 0) == HG_OK);
  CHECK(hg_put_fixed(&device, "t", 2, 0, 0) == HG_OK);
  uint32_t now = 0;
  while (device.counts.resent < 16) {
    hg_message message;
    while (hg_next(&device, &message, NULL, now)) continue;
    now += 10;
  }
  CHECK(now > 10000);
  hg_ack(&device, 7, 0, now);
  CHECK(nothing(now) && next_is(7, 1, now + 125));
}

static void test_seq_ends(void) {
  fresh();
  config.window = 3;
  begin();
  device.seq = 0xfffffffeUL;
  for (int i = 0; i < 3; i++) CHECK(hg_put_fixed(&device, "t", i, 0, 0) == HG_OK);
  CHECK(next_is(7, 0xfffffffeUL, 0) && next_is(8, 0, 0) && next_is(8, 1, 0));
  CHECK(stored_boot == 8);
}

static void test_kept(void) {
  static uint8_t before[256];
  unsigned whole = 0, cut = 0;
  fresh();
  config.kept = true;
  begin();
  CHECK(device.counts.recovered == 0); /* what was in it were no readings */
  for (int i = 0; i < 9; i++) { /* over the end of the area */
    CHECK(hg_put_fixed(&device, "t", i, 0, 0) == HG_OK);
    if (i < 5) CHECK(next_is(7, (uint32_t)i, 0));
    if (i < 5) hg_ack(&device, 7, (uint32_t)i, 0);
  }
  memcpy(before, memory, sizeof memory);
  begin();
  CHECK(device.boot == 8 && device.counts.recovered == 4 && hg_waiting(&device) == 4);
  CHECK(hg_put_fixed(&device, "t", 9, 0, 0) == HG_OK);
  CHECK(next_is(7, 5, 0)); /* under the name that it had */
  hg_ack(&device, 7, 5, 0);
  CHECK(next_is(7, 6, 0));
  hg_ack(&device, 7, 6, 0);
  CHECK(next_is(7, 7, 0));
  hg_ack(&device, 7, 7, 0);
  CHECK(next_is(7, 8, 0));
  hg_ack(&device, 7, 8, 0);
  CHECK(next_is(8, 0, 0));
  hg_ack(&device, 8, 0, 0);
  CHECK(hg_waiting(&device) == 0);

  /* Any byte of it changed: what is found is what was there, from the oldest on. */
  for (size_t at = 0; at < sizeof memory; at++) {
    memcpy(memory, before, sizeof memory);
    memory[at] ^= 0x10;
    begin();
    CHECK(device.counts.recovered <= 4);
    if (device.counts.recovered == 4) whole++;
    else cut++;
    hg_message message;
    while (hg_next(&device, &message, NULL, 0)) {
      static char payload[100], expected[100];
      CHECK(message.boot == 7 && message.seq < 9);
      hg_payload(&message, payload, sizeof payload);
      sprintf(expected, "{\"boot\":7,\"seq\":%d,\"value\":%d}", (int)message.seq,
              (int)message.seq);
      CHECK(strcmp(payload, expected) == 0);
      hg_ack(&device, message.boot, message.seq, 0);
    }
    CHECK(hg_waiting(&device) == 0);
  }
  CHECK(whole > 20 && cut > 60);

  memcpy(memory, before, sizeof memory); /* memory that is not kept is not looked at */
  config.kept = false;
  begin();
  CHECK(device.counts.recovered == 0 && hg_waiting(&device) == 0);
  memcpy(memory, before, sizeof memory); /* nor is that of a program with another size of it */
  config.kept = true;
  config.memory_bytes -= 8;
  begin();
  CHECK(device.counts.recovered == 0);
}

/* An EEPROM whose power may be cut amid a write. */
static uint8_t cells[60];
static int cell_writes_left;
static uint8_t read_cell(uint16_t at) { return cells[at]; }
static void write_cell(uint16_t at, uint8_t byte) {
  if (cell_writes_left > 0) cells[at] = byte;
  cell_writes_left--;
}

static void test_slots(void) {
  const hg_slots slots = {read_cell, write_cell, 6, 9};
  uint32_t boot = 0;
  memset(cells, 0xff, sizeof cells);
  CHECK(!hg_slots_load(&slots, &boot));
  memset(cells, 0, sizeof cells);
  CHECK(!hg_slots_load(&slots, &boot));
  cell_writes_left = 1000000;
  for (uint32_t i = 0xffffff00UL; i != 300; i++) { /* over the end of its numbers */
    CHECK(hg_slots_save(&slots, i));
    CHECK(hg_slots_load(&slots, &boot) && boot == i);
  }
  CHECK(cells[5] == 0); /* nothing before its place */
  for (int after = 0; after < 6; after++) {
    cell_writes_left = after;
    CHECK(!hg_slots_save(&slots, 0x12345678UL)); /* cut: the number before it is there */
    CHECK(hg_slots_load(&slots, &boot) && boot == 299);
  }
  cell_writes_left = 6;
  CHECK(hg_slots_save(&slots, 0x12345678UL));
}

/* Random puts and acks against a list that does the same with all the room in the world. */
static void test_against_model(unsigned seed) {
  static struct { uint32_t boot, seq; } model[64];
  size_t held = 0;
  srand(seed);
  fresh();
  config.kept = true;
  config.window = 4;
  begin();
  for (int step = 0; step < 200000; step++) {
    int what = rand() % 100;
    if (what < 45) {
      static char fields[80];
      size_t count = 1 + (size_t)rand() % 60;
      memset(fields, 'f', count);
      fields[count] = 0;
      config.when_full = rand() % 2 ? HG_DROP_OLDEST : HG_REFUSE_NEWEST;
      uint32_t dropped = device.counts.dropped;
      uint32_t boot = device.boot, seq = device.seq;
      hg_result result = hg_put(&device, "topic", fields, 0);
      CHECK(result == HG_OK || (result == HG_FULL && config.when_full == HG_REFUSE_NEWEST));
      dropped = device.counts.dropped - dropped;
      CHECK(dropped <= held);
      memmove(model, model + dropped, (held - dropped) * sizeof *model);
      held -= dropped;
      if (result == HG_OK) {
        model[held].boot = boot;
        model[held++].seq = seq;
      }
    } else if (what < 90 && held > 0) {
      size_t at = (size_t)rand() % held;
      if (rand() % 2) hg_ack(&device, model[at].boot, model[at].seq, 0);
      else hg_nak(&device, model[at].boot, model[at].seq);
      memmove(model + at, model + at + 1, (held - at - 1) * sizeof *model);
      held--;
    } else if (what < 92) {
      begin(); /* a reset: everything is there still */
    } else {
      hg_message message;
      hg_link_up(&device, 0);
      for (size_t at = 0; at < 4 && at < held; at++) {
        CHECK(hg_next(&device, &message, NULL, 0));
        CHECK(message.boot == model[at].boot && message.seq == model[at].seq);
        CHECK(message.topic_bytes == 5 && memcmp(message.topic, "topic", 5) == 0);
        CHECK(message.fields_bytes >= 1 && message.fields[0] == 'f');
      }
      CHECK(!hg_next(&device, &message, NULL, 0));
    }
    CHECK(hg_waiting(&device) == held);
    CHECK(device.counts.late_acks == 0);
  }
}

int main(int argc, char **argv) {
  unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
  test_boot_counter();
  test_refused_settings();
  test_numbers();
  test_order_and_acks();
  test_full();
  test_retries(0);
  test_retries(0xffffff00UL); /* over the end of the clock */
  test_retries(0x7fffff00UL);
  test_hurry_after_ack();
  test_seq_ends();
  test_kept();
  test_slots();
  test_against_model(seed);
  printf("all hold, seed %u\n", seed);
  return 0;
}
