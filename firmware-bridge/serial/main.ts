#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock, systemRandom } from '../../src/base/clock.ts';
import { ERRORS, HeadgateError, messageOf, unreadable } from '../../src/base/errors.ts';
import { createLogger, type ProcessLogger } from '../../src/os/logger.ts';
import { DeviceClient } from '../device/device-client.ts';
import { Bridge } from './bridge.ts';
import { CobsSession } from './cobs-session.ts';
import { JsonSession } from './json-session.ts';
import { newLineCounts } from './line-counts.ts';
import { loadBindings, openPort } from './node-port.ts';
import { type BridgeSettings, bridgeSettings, HELP } from './options.ts';

/** headgate-serial: docs/serial.md. */

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new HeadgateError('FILE_UNREADABLE', unreadable(path, error));
  }
}

function newLogger(): ProcessLogger {
  return createLogger({
    level: 'info',
    format: 'auto',
    clock: systemClock,
    env: process.env,
    isTty: process.stdout.isTTY === true,
  });
}

function newClient(settings: BridgeSettings, logger: ProcessLogger): DeviceClient {
  const { url, clientId, mqttVersion, window, username, password, ca } = settings;
  return new DeviceClient({
    ...{ url, clientId, protocolVersion: mqttVersion, window, reconnectMs: 1_000 },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    onConnected: () => logger.info({ url, clientId }, 'connected to the gateway'),
    onTrouble: (error) => logger.warn({ url, error, repeatKey: error }, 'no way to the gateway'),
  });
}

async function serve(settings: BridgeSettings, signal: AbortSignal): Promise<void> {
  const bindings = await loadBindings();
  const { path, device, prefix, maxFrameBytes, framing, window } = settings;
  const logger = newLogger();
  const counts = newLineCounts();
  let client: DeviceClient | undefined;
  const connected = () => {
    client ??= newClient(settings, logger);
    return client;
  };
  const Session = framing === 'cobs' ? CobsSession : JsonSession;
  const bridge = new Bridge({
    ...{ path, window, logger, counts, clock: systemClock, random: systemRandom },
    open: async () => {
      const port = await openPort(bindings, settings);
      // Not before: another process that has the port is at the gateway under the same name.
      connected();
      return port;
    },
    newSession: (send) =>
      new Session({ ...send, device, prefix, maxFrameBytes, counts, clock: systemClock }),
    deliver: (topic, payload) => connected().deliver(topic, payload),
    wait: (ms, until) => wait(ms, undefined, { signal: until }).catch(() => {}),
  });
  const figures = () => ({ ...counts, onTheWay: bridge.onTheWay, resent: client?.resent ?? 0 });
  let said = JSON.stringify(figures());
  const report = () => {
    const fields = figures();
    const now = JSON.stringify(fields);
    // Each is another line, though the words are the same.
    if (now !== said) logger.info({ port: path, ...fields, repeatKey: now }, 'counts');
    said = now;
  };
  const ticker = setInterval(report, settings.everyMs);
  await bridge.run(signal);
  clearInterval(ticker);
  report();
  await client?.close();
  logger.close();
}

async function main(): Promise<void> {
  const settings = bridgeSettings(process.argv.slice(2), process.env, contentOf);
  if (settings === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort());
  await serve(settings, stop.signal);
}

// Whoever reads the lines may have had enough: readings matter more.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

try {
  await main();
} catch (error) {
  const isKnown = error instanceof HeadgateError;
  const stack = error instanceof Error ? error.stack : messageOf(error);
  const mend = isKnown && error.code !== 'USAGE' ? `\n${ERRORS[error.code].mend}` : '';
  const help = isKnown && error.code === 'USAGE' ? '\nSee headgate-serial --help.' : '';
  process.stderr.write(`headgate-serial: ${isKnown ? error.message : stack}${mend}${help}\n`);
  // 2: starting it again can't help.
  process.exitCode = isKnown ? 2 : 1;
}
