import { describe, expect, test } from 'vitest';
import {
  ARCHITECTURES,
  elfFault,
  NATIVE_PACKAGES,
  nativeFiles,
} from '../../deploy/deb/architectures.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../../deploy/deb/completion.ts';
import { changelogText, controlText } from '../../deploy/deb/control.ts';
import { packagedConfig } from '../../deploy/deb/default-config.ts';
import { headgatePage, helpPage, settingsPage } from '../../deploy/deb/manual.ts';
import { escaped } from '../../deploy/deb/roff.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { optionRows } from '../../src/cli/usage.ts';
import { defaultConfigYaml } from '../../src/ops/config-docs.ts';
import { CONFIG_KEYS } from '../../src/ops/config-keys.ts';
import { loadConfig } from '../../src/ops/load-config.ts';

const EDITION = { version: '1.2.3-1', date: '2026-05-04' };

describe('the manual', () => {
  test('headgate(1) has every command, and below it every option with its meaning', () => {
    const parts = headgatePage(COMMANDS, EDITION).split('.SS ');
    for (const command of COMMANDS) {
      const part = parts.find((one) => one.startsWith(`"${escaped(`headgate ${command.name}`)}"`));
      expect(part, command.name).toContain(escaped(command.usage));
      expect(part, command.name).toContain(escaped(command.summary));
      for (const [typed, help] of optionRows(command)) {
        const meaning = help === '' ? '\\&' : escaped(help);
        expect(part, command.name).toContain(`.B "${escaped(typed)}"\n${meaning}\n`);
      }
    }
    expect(parts.length).toBe(COMMANDS.length + 1);
  });

  test('headgate.yaml(5) has every setting with its meaning', () => {
    const page = settingsPage(EDITION);
    for (const { path, description } of CONFIG_KEYS) {
      expect(page).toContain(`.B "${escaped(path.join('.'))}"\n${escaped(description)}\n`);
    }
    expect(page.match(/^\.TP$/gm)).toHaveLength(CONFIG_KEYS.length);
  });

  test('no line of a page is a request by accident', () => {
    for (const page of [headgatePage(COMMANDS, EDITION), settingsPage(EDITION)]) {
      const requests = page.split('\n').filter((line) => /^[.']/.test(line));
      for (const line of requests) expect(line).toMatch(/^\.(TH|SH|SS|PP|TP|B|nf|fi)\b/);
    }
    expect(escaped(".x\n'y\na\\b --c")).toBe("\\&.x\n\\&'y\na\\eb \\-\\-c");
  });

  test('a page from a help has its options, those without a meaning and with several lines', () => {
    const help = [
      ...['tool: does it', '', '  tool --from URL [more]', ''],
      ...['  --from URL   where from;', '               and more', '  --name NAME', '  --ca FILE'],
      ...['               PEM', '', '  Prose that', '  goes on.', ''],
    ].join('\n');
    const page = helpPage(help, EDITION);
    expect(page).toContain('.SH NAME\ntool \\- does it\n');
    expect(page).toContain('.B "\\-\\-from URL"\nwhere from;\nand more\n.TP\n');
    expect(page).toContain('.B "\\-\\-name NAME"\n\\&\n.TP\n.B "\\-\\-ca FILE"\nPEM\n');
    expect(page).toContain('.PP\nProse that\ngoes on.\n');
    expect(() => helpPage('no help at all', EDITION)).toThrow('no page');
  });
});

describe('the configuration file of the package', () => {
  const configOf = (text: string) => {
    const loaded = loadConfig({ text, env: {} });
    return loaded.ok ? loaded.config : loaded.problems;
  };
  const defaults = configOf('data: { dir: /var/lib/headgate }');

  test('changes nothing but the data folder', () => {
    expect(configOf(packagedConfig())).toEqual(defaults);
    const set = packagedConfig()
      .split('\n')
      .filter((line) => line !== '' && !/^ *#/.test(line));
    expect(set).toEqual(['data:', '  dir: /var/lib/headgate']);
  });

  test('has every setting, to be uncommented', () => {
    const bare = (text: string) => text.replaceAll(/^#(?! \S)/gm, '').replace(/^(#.*\n)+/, '');
    const own = bare(packagedConfig()).split('\n');
    const whole = bare(defaultConfigYaml()).split('\n');
    expect(own.map((line) => line.replace(/^( {2}dir:) .*/, '$1'))).toEqual(
      whole.map((line) => line.replace(/^( {2}dir:) .*/, '$1')),
    );
    expect(configOf(own.join('\n'))).toEqual(defaults);
  });
});

describe('completion', () => {
  test.each([bashCompletion, fishCompletion, zshCompletion])('%o knows every option', (make) => {
    const text = make(COMMANDS);
    for (const command of COMMANDS) {
      for (const word of command.name.split(' ')) expect(text).toContain(word);
      for (const name of Object.keys(command.options)) {
        expect(text).toMatch(new RegExp(`(--|-l )${name}\\b`));
      }
    }
  });

  test('each offers the second words behind the first alone', () => {
    const words = COMMANDS.flatMap(({ name }) => name.match(/^log (.+)$/)?.slice(1) ?? []);
    expect(words.length).toBeGreaterThan(3);
    expect(bashCompletion(COMMANDS)).toContain(`    log) words='${words.join(' ')} --help' ;;`);
    const zsh = /^ {4}log\) rows=\((.*)\) ;;$/m.exec(zshCompletion(COMMANDS))?.[1] ?? '';
    for (const word of words) {
      expect(zsh).toContain(`'${word}:`);
      const behind = `__fish_seen_subcommand_from log; and not .*' -a ${word} `;
      expect(fishCompletion(COMMANDS)).toMatch(new RegExp(behind));
    }
  });
});

const ELF = { amd64: [2, 62], arm64: [2, 183], armhf: [1, 40] } as const;

function elf([elfClass, machine]: readonly [number, number]): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, elfClass]);
  bytes[18] = machine;
  return bytes;
}

describe('native parts', () => {
  test('a file of another machine is found out', () => {
    for (const own of ARCHITECTURES) {
      for (const other of ARCHITECTURES) {
        const fault = elfFault(elf(ELF[other]), own);
        expect(fault === undefined, `${other} for ${own}: ${fault}`).toBe(own === other);
      }
      expect(elfFault(elf([3 - ELF[own][0], ELF[own][1]]), own)).toContain('class');
      expect(elfFault(new Uint8Array(64), own)).toBe('no ELF file');
      expect(elfFault(new Uint8Array(3), own)).toBe('no ELF file');
    }
  });

  test('each package names its prebuilds in its own way; those of musl are not taken', () => {
    const level = ['classic-level.musl.node', 'classic-level.node'];
    expect(nativeFiles('classic-level', 'amd64', level)).toEqual([
      { from: 'classic-level/prebuilds/linux-x64/classic-level.node', to: 'classic-level.node' },
    ]);
    const own = '@serialport+bindings-cpp';
    const serial = [`${own}.armv6.glibc.node`, `${own}.armv7.glibc.node`, `${own}.armv7.musl.node`];
    const folder = '@serialport/bindings-cpp/prebuilds/linux-arm';
    expect(nativeFiles('@serialport/bindings-cpp', 'armhf', serial)).toEqual([
      { from: `${folder}/${own}.armv6.glibc.node`, to: 'serialport-bindings-cpp.armv6.node' },
      { from: `${folder}/${own}.armv7.glibc.node`, to: 'serialport-bindings-cpp.node' },
    ]);
    for (const name of NATIVE_PACKAGES) {
      expect(() => nativeFiles(name, 'arm64', [])).toThrow('no linux-arm64 prebuild');
    }
  });
});

test('control and changelog have the version, the machine and the date', () => {
  const release = { version: '1.2.3-1', epoch: 1_777_896_000 };
  const control = controlText('arm64', release, 3000);
  expect(control).toMatch(/^Version: 1\.2\.3-1$/m);
  expect(control).toMatch(/^Architecture: arm64$/m);
  expect(control).toMatch(/^Depends: nodejs \(>= 20\.19\), libc6 \(>= 2\.28\), /m);
  expect(changelogText(release)).toContain('Mon, 04 May 2026 12:00:00 +0000');
});
