import { HeadgateError, unreadable } from '../base/errors.ts';
import type { Files } from '../os/files.ts';
import type { Config } from './config.ts';
import { certificateFault, isPair, keyFault } from './pem-fault.ts';

/** Settings that name a file to be read at start. */
const SETTINGS = ['passwordFile', 'caFile', 'certFile', 'keyFile'] as const;

/** What is wrong with the contents of each, in words, or undefined. */
const FAULT_OF: Record<(typeof SETTINGS)[number], (text: string) => string | undefined> = {
  passwordFile: () => undefined,
  caFile: certificateFault,
  certFile: certificateFault,
  keyFile: keyFault,
};

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

/** What is in them. Throws FILE_UNREADABLE for the first one that cannot be used. */
export async function textsOfNamedFiles(
  files: Files,
  config: Config,
): Promise<NamedFiles['texts']> {
  const { texts, faults } = await readNamedFiles(files, config);
  const [fault] = faults;
  if (fault !== undefined) throw new HeadgateError('FILE_UNREADABLE', fault.message);
  return texts;
}

/** Reads the files that the uplink's settings name, or says what is wrong with them. */
export async function readNamedFiles(files: Files, { uplink }: Config): Promise<NamedFiles> {
  const texts: NamedFiles['texts'] = {};
  const faults: FileFault[] = [];
  const fault = (name: (typeof SETTINGS)[number], what: string, isHandedOver = false) =>
    faults.push({ path: ['uplink', name], message: `uplink.${name}: ${what}`, isHandedOver });
  for (const name of SETTINGS) {
    const file = uplink[name];
    if (file === '') continue;
    try {
      const text = await files.readText(file);
      const used = name === 'passwordFile' ? text?.split('\n', 1)[0] : text;
      if (text === undefined) fault(name, `there is no file ${file}`, file.startsWith(HANDED_OVER));
      else if (used?.trim() === '') fault(name, `there is nothing in ${file}`);
      else {
        const wrong = FAULT_OF[name](text);
        if (wrong === undefined) texts[name] = text;
        else fault(name, `${file} ${wrong}`);
      }
    } catch (error) {
      fault(name, unreadable(file, error));
    }
  }
  const { certFile: certificate, keyFile: key } = texts;
  if (certificate !== undefined && key !== undefined && !isPair(certificate, key)) {
    fault('keyFile', `${uplink.keyFile} is not the key of the certificate in ${uplink.certFile}`);
  }
  return { texts, faults };
}
