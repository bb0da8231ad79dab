/** What differs between the packages of the three architectures. */

export const ARCHITECTURES = ['amd64', 'arm64', 'armhf'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** A native part of a package of npm, and the name under which the bundle loads it. */
export interface NativeFile {
  /** Below node_modules. */
  readonly from: string;
  /** Below /usr/lib/headgate/native. */
  readonly to: string;
}

/** Packages of npm with a native part; each ships it built, for every architecture. */
export const NATIVE_PACKAGES = ['classic-level', '@serialport/bindings-cpp'] as const;
export type NativePackage = (typeof NATIVE_PACKAGES)[number];

interface Facts {
  /** Folder of the prebuilds, and what follows the name of the package in its files. */
  readonly folder: string;
  /** In the prebuild's name → in ours. */
  readonly flavours: ReadonlyArray<readonly [theirs: string, ours: string]>;
  /** e_machine of ELF, and its class: 1 is 32 bits, 2 is 64. */
  readonly machine: number;
  readonly elfClass: number;
  /** The newest symbols that a prebuild asks for: GLIBC_2.28, or 2.34 on 32 bits. */
  readonly libc: string;
}

/**
 * armhf is two machines: ARMv7, and the ARMv6 of the first Raspberry Pis, whose own Debian has the
 * same name. Both prebuilds are there, and the kernel's word for the machine decides.
 */
export const FACTS: Readonly<Record<Architecture, Facts>> = {
  amd64: { folder: 'linux-x64', flavours: [['', '']], machine: 62, elfClass: 2, libc: '2.28' },
  arm64: {
    ...{ folder: 'linux-arm64', flavours: [['.armv8', '']] },
    ...{ machine: 183, elfClass: 2, libc: '2.28' },
  },
  armhf: {
    folder: 'linux-arm',
    flavours: [
      ['.armv6', '.armv6'],
      ['.armv7', ''],
    ],
    ...{ machine: 40, elfClass: 1, libc: '2.34' },
  },
};

/** Our name of a native part, without its flavour and `.node`. */
export function nativeName(name: NativePackage): string {
  return name.replaceAll('@', '').replaceAll('/', '-');
}

/** The native files of one package for one architecture, of glibc and not of musl. */
export function nativeFiles(
  name: NativePackage,
  architecture: Architecture,
  prebuilds: readonly string[],
): NativeFile[] {
  const { folder, flavours } = FACTS[architecture];
  const stem = name.replaceAll('/', '+');
  return flavours.map(([theirs, ours]) => {
    const names = ['', '.glibc'].flatMap((libc) => [
      `${stem}${theirs}${libc}.node`,
      `${stem}${libc}${theirs}.node`,
    ]);
    const found = names.find((one) => prebuilds.includes(one));
    if (found === undefined) {
      throw new Error(`${name} has no ${folder} prebuild among ${prebuilds.join(', ')}`);
    }
    return {
      from: `${name}/prebuilds/${folder}/${found}`,
      to: `${nativeName(name)}${ours}.node`,
    };
  });
}

/** Says what is wrong with the head of a native file; undefined: it is of this architecture. */
export function elfFault(bytes: Uint8Array, architecture: Architecture): string | undefined {
  const { machine, elfClass } = FACTS[architecture];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 20 || view.getUint32(0) !== 0x7f454c46) return 'no ELF file';
  const own = view.getUint16(18, true);
  if (own !== machine) return `ELF machine ${own}, not ${machine} of ${architecture}`;
  return bytes[4] === elfClass ? undefined : `ELF class ${bytes[4]}, not ${elfClass}`;
}
