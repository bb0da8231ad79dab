import { describe, expect, test } from 'vitest';
import {
  SimulatedSensor,
  type SimulatedSensorOptions,
} from '../../../firmware-bridge/device/simulated-sensor.ts';

const WALL_MS = 1_767_225_600_000.7;

function messages(count: number, more: Partial<SimulatedSensorOptions> = {}) {
  const sensor = new SimulatedSensor({ device: 'd1', seed: 7, ...more });
  return Array.from({ length: count }, (_, i) => sensor.next(WALL_MS + i * 1_000));
}

const measured = ({ payload }: { payload: string }) => JSON.parse(payload).value as number;

describe('a simulated sensor', () => {
  test('says who it is, when, and what', () => {
    const [first] = messages(1);
    expect(first).toMatchObject({
      topic: 'sensors/d1/temperature',
      id: 'sim-d1-0',
      anomaly: false,
    });
    expect(JSON.parse(first?.payload ?? '')).toEqual({
      id: 'sim-d1-0',
      ts: 1_767_225_600_001,
      value: expect.any(Number),
    });
  });

  test('is the same for the same seed and another for another', () => {
    expect(messages(200)).toEqual(messages(200));
    expect(messages(200, { seed: 8 }).map(measured)).not.toEqual(messages(200).map(measured));
  });

  test('never uses an id twice, nor that of another device or run', () => {
    const all = [...messages(300), ...messages(300, { device: 'd2' })];
    all.push(...messages(300, { boot: 'b2' }));
    expect(new Set(all.map(({ id }) => id)).size).toBe(900);
  });

  test('stays near 21 degrees but for its anomalies, which are where they were asked for', () => {
    const all = messages(600, { anomalies: [5, 399] });
    const odd = all.flatMap(({ anomaly }, step) => (anomaly ? [step] : []));
    expect(odd).toEqual([5, 399]);
    for (const message of all) {
      const distance = Math.abs(measured(message) - 21);
      if (message.anomaly) expect(distance).toBeGreaterThan(30);
      else expect(distance).toBeLessThan(2.5);
    }
  });

  test('repeats about as many as it was told', () => {
    const share = (repeatShare: number) =>
      messages(2_000, { repeatShare }).filter(({ repeated }) => repeated).length / 2_000;
    expect(share(0)).toBe(0);
    expect(share(1)).toBe(1);
    expect(share(0.2)).toBeGreaterThan(0.15);
    expect(share(0.2)).toBeLessThan(0.25);
  });

  test('a share of repeats changes nothing of what is measured', () => {
    expect(messages(50, { repeatShare: 0.5 }).map(measured)).toEqual(messages(50).map(measured));
  });
});
