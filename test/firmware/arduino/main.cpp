/* Runs a sketch, given as SKETCH, as the board's own main() does. */
#include "Arduino.h"
#include SKETCH

int main() {
  setup();
  for (;;) loop();
}
