import { describe, expect, it } from 'vitest';
import { LoggedLine } from '../../../firmware-bridge/gpio/logged-line.ts';
import { OnoffLine } from '../../../firmware-bridge/gpio/onoff-line.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { FakeHeader } from './fake-gpio.ts';
import { describeOutputLine } from './output-line-contract.ts';

describeOutputLine('logged', () => {
  const changes: boolean[] = [];
  const warn = (fields: Readonly<Record<string, unknown>>) => {
    changes.push(fields['active'] === true);
  };
  return { line: new LoggedLine({ ...silentLogger, warn }), changes: () => changes };
});

for (const activeLow of [false, true]) {
  describeOutputLine(`onoff, active ${activeLow ? 'low' : 'high'}`, () => {
    const header = new FakeHeader();
    const line = new OnoffLine(header.Gpio, 17, 529, activeLow);
    // The first level is the one that the line was opened with.
    const [first, ...later] = header.wire;
    expect([first, later]).toEqual([activeLow ? 1 : 0, []]);
    const active = activeLow ? 0 : 1;
    return { line, changes: () => header.wire.slice(1).map((level) => level === active) };
  });
}

describe('a line driven by onoff', () => {
  it('is named by its pin and its number', () => {
    expect(new OnoffLine(new FakeHeader().Gpio, 17, 529, false).name).toBe('gpio 17 (sysfs 529)');
  });

  it('is let go of when it is closed', () => {
    const header = new FakeHeader();
    const line = new OnoffLine(header.Gpio, 17, 529, false);
    expect(header.exported).toBe(true);
    line.close();
    expect(header.exported).toBe(false);
  });

  it('is let go of even if it cannot be driven any more', () => {
    const header = new FakeHeader();
    const line = new OnoffLine(header.Gpio, 17, 529, false);
    line.set(true);
    header.faults.set('write', 'EIO');
    expect(() => line.close()).toThrow('EIO');
    expect(header.exported).toBe(false);
  });

  it('says that it could not be driven, and is driven by the next call', () => {
    const header = new FakeHeader();
    const line = new OnoffLine(header.Gpio, 17, 529, false);
    header.faults.set('write', 'EIO');
    expect(() => line.set(true)).toThrow('EIO');
    header.faults.clear();
    line.set(true);
    expect(header.wire).toEqual([0, 1]);
  });

  it('is not had at all if it cannot be driven from the start', () => {
    const header = new FakeHeader();
    header.faults.set('write', 'EPERM');
    expect(() => new OnoffLine(header.Gpio, 17, 529, false)).toThrow('EPERM');
    expect(header.exported).toBe(false);
  });
});
