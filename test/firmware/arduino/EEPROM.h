#ifndef EEPROM_H
#define EEPROM_H
struct StubEeprom {
  uint8_t cells[1024];
  uint8_t read(int at) { return cells[at]; }
  void update(int at, uint8_t byte) { cells[at] = byte; }
};
static StubEeprom EEPROM;
#endif
