/*
 * A sensor on an ESP32 that speaks MQTT over Wi-Fi: a temperature every 10 s, kept until its PUBACK.
 * Put headgate.h beside this file. Needs the library MQTT of 256dpi (arduino-mqtt), whose publish()
 * with QoS 1 waits for the PUBACK; PubSubClient can't be used, it publishes with QoS 0 only.
 * docs/device-contract.md
 */
#include <MQTT.h>
#include <Preferences.h>
#include <WiFi.h>

#define HEADGATE_IMPLEMENTATION
#include "headgate.h"

static const char *const DEVICE = "pump-3"; /* each its own: it is the client id too */
static const char *const WIFI_NAME = "plant";
static const char *const WIFI_PASSWORD = "change me";
static const char *const GATEWAY = "192.168.1.10";
static const uint32_t EVERY_MS = 10000;
static const uint32_t RECONNECT_MIN_MS = 1000, RECONNECT_MAX_MS = 60000;

RTC_NOINIT_ATTR static uint8_t memory[4096]; /* outlives a reset, though not a power loss */
static hg device;
static hg_config config;
static WiFiClient net;
static MQTTClient mqtt(512);

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

/* Yours: degrees Celsius. */
static float measure() { return (float)analogRead(A0) / 10; }

void setup() {
  delay(2000); /* the supply settles; a boot is counted only after that */
  config.memory = memory;
  config.memory_bytes = sizeof memory;
  config.kept = true;
  config.device = DEVICE;
  config.load_boot = load_boot;
  config.save_boot = save_boot;
  config.seed = esp_random() | 1;
  config.when_full = HG_DROP_OLDEST;
  while (!hg_begin(&device, &config, millis())) delay(1000); /* a setting is wrong: see headgate.h */
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  mqtt.begin(GATEWAY, 1883, net);
  mqtt.setOptions(30, true, 10000); /* keepalive 30 s, clean session, 10 s for an answer */
}

/* Waits longer each time, and not all devices of a plant the same. */
static void connect(uint32_t now_ms) {
  static uint32_t wait_ms = RECONNECT_MIN_MS, tried_ms;
  if (now_ms - tried_ms < wait_ms) return;
  tried_ms = now_ms;
  if (WiFi.status() == WL_CONNECTED && mqtt.connect(DEVICE)) {
    wait_ms = RECONNECT_MIN_MS;
    hg_link_up(&device, now_ms);
    return;
  }
  wait_ms = wait_ms > RECONNECT_MAX_MS / 2 ? RECONNECT_MAX_MS : wait_ms * 2;
  wait_ms -= esp_random() % (wait_ms / 4);
}

void loop() {
  static uint32_t measured_ms;
  static bool has_measured;
  hg_message message;
  char payload[128], topic[96];
  uint32_t now_ms = millis();
  if (!has_measured || now_ms - measured_ms >= EVERY_MS) {
    has_measured = true;
    measured_ms = now_ms;
    (void)hg_put_float(&device, "temperature", measure(), 2, now_ms);
  }
  mqtt.loop();
  if (!mqtt.connected()) {
    connect(now_ms);
  } else if (hg_next(&device, &message, NULL, now_ms)) {
    size_t count = hg_payload(&message, payload, sizeof payload);
    if (count == 0) { /* longer than what is here for it: it would never go */
      hg_nak(&device, message.boot, message.seq);
      return;
    }
    snprintf(topic, sizeof topic, "sensors/%s/%.*s", DEVICE, (int)message.topic_bytes,
             message.topic);
    /* It waits for the PUBACK, or closes the connection and says false: then it comes again. */
    if (mqtt.publish(topic, payload, (int)count, false, 1)) {
      hg_ack(&device, message.boot, message.seq, millis());
    }
  }
}
