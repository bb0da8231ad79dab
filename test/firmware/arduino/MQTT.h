#ifndef MQTT_H
#define MQTT_H
#include "WiFi.h"
/* Says what it is to publish, a line each, and takes every other one for acknowledged. */
struct MQTTClient {
  bool is_connected = false;
  unsigned count = 0;
  explicit MQTTClient(int) {}
  void begin(const char *, int, WiFiClient &) {}
  void setOptions(int, bool, int) {}
  bool loop() { return is_connected; }
  bool connected() { return is_connected; }
  bool connect(const char *) { return is_connected = true; }
  bool publish(const char *topic, const char *payload, int bytes, bool, int qos) {
    printf("%s %.*s %d\n", topic, bytes, payload, qos);
    fflush(stdout);
    if (count == 9) exit(0);
    return is_connected = count++ % 2 == 1;
  }
};
#endif
