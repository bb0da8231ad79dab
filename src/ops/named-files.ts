import { messageOf } from '../base/errors.ts';
import type { Files } from '../os/files.ts';
import type { Config } from './config.ts';

/** Settings that name a file to be read at start. */
const SETTINGS = ['passwordFile', 'caFile', 'certFile', 'keyFile'] as const;

export interface FileFault {
  readonly path: readonly string[];
  readonly message: string;
  /** systemd puts the file there when it starts the service: before, nobody can look at it. */
  readonly isHandedOver: boolean;
}

const HANDED_OVER = '/run/credentials/';

export interface NamedFiles {
  /** By setting; absent where none is named. */
  readonly texts: Partial<Record<(typeof SETTINGS)[number], string>>;
  readonly faults: readonly FileFault[];
}

/** Reads the files that the uplink's settings name, or says what is wrong with them. */
export async function readNamedFiles(files: Files, { uplink }: Config): Promise<NamedFiles> {
  const texts: NamedFiles['texts'] = {};
  const faults: FileFault[] = [];
  for (const name of SETTINGS) {
    const file = uplink[name];
    if (file === '') continue;
    const fault = (what: string, isHandedOver = false) =>
      faults.push({ path: ['uplink', name], message: `uplink.${name}: ${what}`, isHandedOver });
    try {
      const text = await files.readText(file);
      const used = name === 'passwordFile' ? text?.split('\n', 1)[0] : text;
      if (text === undefined) fault(`there is no file ${file}`, file.startsWith(HANDED_OVER));
      else if (used?.trim() === '') fault(`there is nothing in ${file}`);
      else texts[name] = text;
    } catch (error) {
      fault(messageOf(error));
    }
  }
  return { texts, faults };
}
