import { expect, test, vi } from 'vitest';
import type { OpenLink } from '../../../src/uplink/cloud-link.ts';
import { FakeCloud, FakeSource, uplinkOver } from './fakes.ts';

test('why there is no link is said once, until the reason changes or there was one', async () => {
  const cloud = new FakeCloud();
  const reasons = ['refused', 'refused', 'not authorised', 'not authorised', '', 'refused'];
  let tries = 0;
  const open: OpenLink = () => {
    const reason = reasons[tries++];
    return reason === '' || reason === undefined ? cloud.open() : Promise.reject(new Error(reason));
  };
  const { uplink, reasons: told } = uplinkOver({ open }, [new FakeSource('readings', cloud)]);
  uplink.start();
  (await cloud.link()).end('cable pulled');
  await vi.waitFor(() => expect(tries).toBeGreaterThan(6));
  await uplink.stop();
  expect(told).toEqual(['refused', 'not authorised', 'cable pulled', 'refused']);
});

test('what a link says is said in one line, with the setting to look at', async () => {
  const cloud = new FakeCloud();
  const fails = 'self-signed certificate\n';
  const open: OpenLink = () =>
    cloud.links.length === 0 ? cloud.open() : Promise.reject(new Error(fails));
  const { uplink, reasons } = uplinkOver({ open }, [new FakeSource('readings', cloud)]);
  uplink.start();
  (await cloud.link()).end('read\nECONNRESET\n');
  await vi.waitFor(() => expect(reasons).toHaveLength(2));
  const why = 'self-signed certificate (uplink.caFile names whose certificates hold)';
  expect(reasons).toEqual(['read ECONNRESET', why]);
  expect(uplink.status().lastError).toBe(why);
  await uplink.stop();
});
