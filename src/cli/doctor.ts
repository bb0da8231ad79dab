import { userInfo } from 'node:os';
import { loadOnoff } from '../../firmware-bridge/gpio/onoff-line.ts';
import { systemClock } from '../base/clock.ts';
import { codedMessageOf } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { type Check, dataCheck, levelCheck, nodeCheck, onoffCheck } from '../ops/doctor.ts';
import { gpioChecks } from '../ops/doctor-gpio.ts';
import { readNamedFiles } from '../ops/named-files.ts';
import { writeAttribute, writeBar } from '../os/attribute.ts';
import { installation, loadLevel } from '../os/native-parts.ts';
import { nodeFiles as files } from '../os/node-files.ts';
import { type Programs, systemPrograms } from '../os/programs.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION, type Values } from './command.ts';
import { ConfigError, readSettings, type Settings } from './settings.ts';

/** An ordinary user of no name has a number. */
function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'root');
  }
}

interface ReadConfig {
  readonly check: Check;
  readonly settings?: Settings;
}

async function configCheck(values: Values, env: NodeJS.ProcessEnv): Promise<ReadConfig> {
  const check = 'config';
  const named = values['config'];
  const mend = `headgate check${typeof named === 'string' ? ` --config ${named}` : ''}`;
  try {
    const settings = await readSettings(values, env);
    const { faults } = await readNamedFiles(files, settings.config);
    const wrong = faults.filter(({ isHandedOver }) => !isHandedOver);
    const from = settings.file ?? 'the embedded default';
    if (wrong.length === 0) return { check: { check, state: 'ok', says: from }, settings };
    const says = `${from}: ${wrong.map(({ message }) => message).join('; ')}`;
    return { check: { check, state: 'fail', says, mend }, settings };
  } catch (error) {
    const lines = error instanceof ConfigError ? error.lines : [];
    const says = lines.length > 0 ? lines.join('\n') : codedMessageOf(error);
    return { check: { check, state: 'fail', says, mend } };
  }
}

interface Looked {
  readonly programs: Programs;
  readonly onoffMend: string | undefined;
}

async function ofSettings(settings: Settings, { programs, ...more }: Looked): Promise<Check[]> {
  const { config, data } = settings;
  const user = ownName();
  const { minFreeBytes } = config.log.retention;
  const parts = { files, programs, writeAttribute, clock: systemClock, logger: silentLogger };
  return [
    await dataCheck({ root: data.root, minFreeBytes, user, files, writeBar }),
    ...(await gpioChecks({ settings: config.gpio, parts, writeBar, user, ...more })),
  ];
}

export const doctor: Command = {
  name: 'doctor',
  usage: 'headgate doctor [--config FILE] [--data DIR] [--json]',
  summary: 'looks at what a gateway needs of its machine, with a command for each mend',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const programs = systemPrograms(io.env);
    const installed = await installation(files);
    const { check, settings } = await configCheck(values, io.env);
    const onoff = await onoffCheck({ installed, programs, load: loadOnoff });
    const looked = { programs, onoffMend: onoff.mend };
    const checks = [
      nodeCheck(process.versions.node, process.versions.modules),
      await levelCheck({ installed, programs, load: loadLevel }),
      onoff,
      check,
      ...(settings === undefined ? [] : await ofSettings(settings, looked)),
    ];
    const ok = checks.every(({ state }) => state !== 'fail');
    if (values['json'] === true) io.print(JSON.stringify({ ok, checks }));
    else for (const one of checks) for (const line of linesOf(one)) io.print(line);
    return ok ? 0 : 1;
  },
};

function linesOf({ check, state, says, mend }: Check): string[] {
  const [first = '', ...more] = says.split('\n');
  const lines = [`${state.padEnd(4)}  ${check.padEnd(13)}  ${first}`];
  for (const line of more) lines.push(`${' '.repeat(21)}${line}`);
  if (mend !== undefined) lines.push(`${' '.repeat(21)}mend: ${mend}`);
  return lines;
}
