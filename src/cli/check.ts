import { codeOf, messageOf } from '../base/errors.ts';
import type { Config } from '../ops/config.ts';
import { defaultConfigYaml } from '../ops/config-docs.ts';
import { readNamedFiles } from '../ops/named-files.ts';
import { uplinkSummary } from '../ops/preset-rules.ts';
import { nodeFiles } from '../os/node-files.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { ConfigError, readSettings } from './settings.ts';

export const check: Command = {
  name: 'check',
  usage: 'headgate check [--config FILE] [--data DIR] [--port N] [--json] | --defaults',
  summary: 'lists every problem of the configuration with its line, or prints a default file',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    ...JSON_OPTION,
    port: { type: 'string' },
    defaults: { type: 'boolean' },
  },
  positionals: [0, 0],
  async run(values, _, io) {
    const json = values['json'] === true;
    if (values['defaults'] === true) {
      io.print(defaultConfigYaml().trimEnd());
      return 0;
    }
    try {
      const { config, data, file, warnings, problemAt } = await readSettings(values, io.env);
      const { faults } = await readNamedFiles(nodeFiles, config);
      const problems = faults
        .filter(({ isHandedOver }) => !isHandedOver)
        .map(({ path, message }) => problemAt(path, message));
      const later = faults.filter(({ isHandedOver }) => isHandedOver);
      if (problems.length > 0) throw new ConfigError(problems, file);
      if (json) {
        const from = file ?? null;
        const uplink = uplinkSummary(config);
        const about = { ok: true, problems: [], warnings };
        const found = { ...about, file: from, data: data.root, uplink, config };
        io.print(JSON.stringify(found));
      } else {
        const { host, port } = config.mqtt;
        io.print(`configuration  ${file ?? 'embedded default'}`);
        io.print(`data           ${data.root}`);
        io.print(`MQTT           ${host}:${port}`);
        for (const [name, { topics }] of Object.entries(config.streams)) {
          io.print(`stream         ${name}: ${topics.join(', ')}`);
        }
        for (const line of limitLines(config)) io.print(line);
        for (const line of uplinkLines(config)) io.print(line);
        for (const { path } of later) {
          io.print(`not looked at  ${path.join('.')}: systemd hands it over at the start`);
        }
        for (const warning of warnings) io.print(`older          ${warning}`);
        io.print('The configuration is sound.');
      }
      return 0;
    } catch (error) {
      if (json && codeOf(error) === 'CONFIG_UNREADABLE') {
        const problems = [{ path: '', message: messageOf(error) }];
        io.print(JSON.stringify({ ok: false, problems }));
        return 1;
      }
      if (!(error instanceof ConfigError)) throw error;
      if (json) io.print(JSON.stringify({ ok: false, problems: error.problems }));
      else for (const line of error.lines) io.print(line);
      return 1;
    }
  },
};

/** As they were read, so that one under a wrong name or unit is seen. */
function limitLines({ limits }: Config): string[] {
  return Object.entries(limits).map(([name, limit]) => {
    const { severity, ...said } = limit;
    const parts = Object.entries(said).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key} ${value}`],
    );
    return `limit          ${name}: ${parts.join(', ')}: ${severity}`;
  });
}

function uplinkLines(config: Config): string[] {
  const { preset, url, topic, clientId, protocolVersion, alpn, limits, notes } =
    uplinkSummary(config);
  if (url === '') return ['uplink         off'];
  const { maxBytes, window, publishesPerSecond, kbitPerSecond } = limits;
  const some = [
    `${window} on their way`,
    maxBytes > 0 ? `${maxBytes} bytes a publish` : '',
    publishesPerSecond > 0 ? `${publishesPerSecond} publishes/s` : '',
    kbitPerSecond > 0 ? `${kbitPerSecond} kbit/s` : '',
  ];
  const version = protocolVersion === 5 ? '5' : '3.1.1';
  return [
    `uplink         ${preset === 'none' ? '' : `${preset}: `}${url}`,
    `  as           ${clientId}, MQTT ${version}${alpn === '' ? '' : `, ALPN ${alpn}`}`,
    `  topic        ${topic}`,
    `  limits       ${some.filter((part) => part !== '').join(', ')}`,
    ...notes.map((note) => `  note         ${note}`),
  ];
}
