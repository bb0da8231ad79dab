import { type Architecture, FACTS } from './architectures.ts';

/** Texts of the control archive. Pure. */

export interface Release {
  /** Of Debian: 0.1.0-1. */
  readonly version: string;
  /** Seconds of Unix time; every file of the package is of this moment. */
  readonly epoch: number;
}

export const CONFFILES = ['/etc/headgate/headgate.yaml'];

const MAINTAINER = 'Headgate <headgate@localhost>';

const DESCRIPTION = `\
Description: edge MQTT broker whose PUBACK means the reading is on flash
 Headgate is an MQTT broker for IoT gateways of Raspberry Pi class. It writes
 each reading of a sensor to a log that is kind to flash, drops retransmits,
 raises alerts on the spot, and forwards everything to a cloud whenever there
 is a link. What it acknowledged survives a power cut.
 .
 It starts at installation and listens on 127.0.0.1 until told otherwise.`;

/** `kib` is what the files take once installed. */
export function controlText(architecture: Architecture, { version }: Release, kib: number): string {
  const { libc } = FACTS[architecture];
  const depends = [
    'nodejs (>= 20.19)',
    `libc6 (>= ${libc})`,
    'libgcc-s1 (>= 3.5)',
    'libstdc++6 (>= 11)',
    // Makes the user and the folders, also in a container without systemd.
    'systemd | systemd-standalone-sysusers | systemd-sysusers',
    'systemd | systemd-standalone-tmpfiles | systemd-tmpfiles',
  ];
  return `\
Package: headgate
Version: ${version}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${kib}
Depends: ${depends.join(', ')}
Recommends: gpiod
Suggests: mosquitto-clients
Section: net
Priority: optional
${DESCRIPTION}
`;
}

/** RFC 2822, in UTC, as a changelog of Debian has it. */
export function debianDate(epoch: number): string {
  return new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
}

/** What changed is in CHANGELOG.md, which goes along as changelog.gz. */
export function changelogText({ version, epoch }: Release): string {
  return `\
headgate (${version}) unstable; urgency=medium

  * See /usr/share/doc/headgate/changelog.gz.

 -- ${MAINTAINER}  ${debianDate(epoch)}
`;
}
