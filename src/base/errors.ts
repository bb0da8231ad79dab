/**
 * Every error that Headgate raises by itself, in one closed table: what it means (`cause`) and what
 * to do about it (`mend`). docs/errors.md is this table; a test holds the two together. Operators
 * search for the codes, so a code is never renamed.
 */
interface ErrorRow {
  readonly cause: string;
  readonly mend: string;
}

const row = (cause: string, mend: string): ErrorRow => ({ cause, mend });

export const ERRORS = {
  CONFIG_INVALID: row(
    'The configuration has errors; each is listed with its line.',
    'Mend the lines named and run `headgate check` again.',
  ),
  CONFIG_UNREADABLE: row(
    'The configuration file cannot be read.',
    'Check the path given to --config or in HEADGATE_CONFIG, and the rights of the file.',
  ),
  FILE_UNREADABLE: row(
    'A file that the configuration names (a password, a certificate, a key) cannot be used.',
    'Check that it is there, is what it should be, and that the user of the daemon may read it.',
  ),
  OUT_UNWRITABLE: row(
    'The file that is to be written cannot be.',
    'Name a file (no folder, no device) in a folder that is there and that this user may write ' +
      'to; after --results a folder.',
  ),
  IMPORT_UNREADABLE: row(
    'The mosquitto.conf that is to be imported, or a file that it includes, cannot be read.',
    'Check the path and the rights of the file; as root if it is readable by mosquitto alone.',
  ),
  CORPUS_INVALID: row(
    'The folder is no labelled corpus that `headgate detect score` can read.',
    'It needs data/<category>/<file>.csv and labels/combined_windows.json: docs/replay.md.',
  ),
  DATA_NO_FOLDER: row(
    'The data folder that is named is none: something else has that name.',
    'Name a folder with --data, HEADGATE_DATA or data.dir; it is made if it is not there.',
  ),
  USAGE: row('The command line is not one that Headgate knows.', 'See `headgate --help`.'),
  NOT_RUNNING: row(
    'No daemon answers for this data folder.',
    'Start it with `headgate run`, or name its folder with --data.',
  ),
  NO_ACCESS: row(
    'This user may not speak to the daemon of this data folder, or not read its log.',
    "Do it as the daemon's user or group, or as root.",
  ),
  NO_LOG: row(
    'There is no log in this data folder.',
    "Name the daemon's folder with --data, or start one with `headgate run`.",
  ),
  DATA_IN_USE: row(
    'Another process has this data folder open.',
    'Stop the other daemon, or give this one a folder of its own with --data.',
  ),
  DATA_VERSION: row(
    'The data folder was written by a newer release, or its version.json is damaged. Nothing in ' +
      'it was touched.',
    'Start the release that wrote it (docs/backup.md has how to go back), or name another folder ' +
      'with --data.',
  ),
  BACKUP_INVALID: row(
    'The file is no backup, is damaged or is not whole. Nothing was restored.',
    'Take another copy of it: no part of a backup is used unless all of it is right.',
  ),
  BACKUP_UNREADABLE: row(
    'A segment of the log can not be read as what it is, so the backup would lack it.',
    'See headgate log verify. A backup of the stopped gateway takes the file as it is.',
  ),
  RESTORE_NOT_EMPTY: row(
    'There is something in the data folder already.',
    'Name an empty folder, or set aside what is there with --force: it is moved, not removed.',
  ),
  RESTORE_CLOCK: row(
    'The clock of this machine stands before the moment at which the backup was made.',
    'Set the clock first (timedatectl): it tells where offsets go on, and none may come twice.',
  ),
  RESTORE_UNFINISHED: row(
    'A restore into this data folder has not come to its end, so what is there is not whole.',
    'Run `headgate restore FILE --data DIR --force` again.',
  ),
  PORT_IN_USE: row(
    'Another program listens on the MQTT port.',
    'Stop it (often a system mosquitto), or choose another port with --port.',
  ),
  PAYLOAD_EMPTY: row('The message has no payload.', 'Send JSON or a plain number.'),
  PAYLOAD_TOO_LARGE: row(
    'The payload is larger than mqtt.maxPayloadBytes.',
    'Send smaller messages, or raise the limit.',
  ),
  PAYLOAD_NOT_A_READING: row(
    'The payload is neither JSON nor a finite plain number.',
    'Mend the device, or give its topic to a client that is no sensor.',
  ),
  PAYLOAD_NOT_OF_FORMAT: row(
    'The payload is not what the format of its stream (streams.<name>.format) says: see ' +
      'docs/payloads.md for what each one takes.',
    'Mend the device, set the format that it sends, or give its topic to another stream.',
  ),
  PAYLOAD_TOO_COMPLEX: row(
    'The payload is nested deeper, or made of more parts, than a reading may be: see ' +
      'docs/payloads.md for the limits.',
    'Send several smaller messages, or use format raw for what need not be looked into.',
  ),
  PAYLOAD_ID_INVALID: row(
    'The message id, or the boot beside a seq, is not a number, nor a string of 1 to 256 bytes ' +
      'of well-formed text.',
    'Send a short string that is not empty, or a whole number, or leave the field out.',
  ),
  DEVICE_INVALID: row(
    'The topic has no usable device level (1 to 128 bytes, no control characters).',
    "Publish to the stream's topics with a device name in its place.",
  ),
  TOPIC_RESERVED: row(
    'Clients may not publish below $SYS/ or headgate/.',
    'Use a topic of your own.',
  ),
  LOG_NOT_DURABLE: row(
    'The reading could not be made durable (disk full, failed write or failed sync), so it was ' +
      'not acknowledged; its sender still has it.',
    'See the error that is logged: free space, or replace the card. Headgate goes on by itself.',
  ),
  LOG_CLOSED: row('The log is closing down.', 'Send again after the restart.'),
  LOG_BACKPRESSURE: row(
    'More readings are waiting for the flash than log.maxPendingBytes.',
    'The sender tries again by itself. If it lasts, the card is too slow for the load.',
  ),
  LOG_FORMAT: row(
    'A file in the log is not one that this version can read.',
    'Use the version that wrote it, or move the file out of the folder.',
  ),
  STREAM_UNKNOWN: row('There is no such stream in this log.', 'See `headgate log ls`.'),
  PARTITION_UNKNOWN: row('The stream has no such partition.', 'See `headgate log ls`.'),
  OFFSET_BEYOND_END: row(
    'The offset is beyond the end of its partition: this log has never had such a record.',
    '`headgate log ls` has the offsets that there are. After a card was replaced they begin ' +
      'again: a reader then begins at `earliest` or `latest`.',
  ),
  OFFSET_GONE: row(
    'There was a record at this offset once, and it is not kept any more.',
    'Retention has dropped it, or a damaged block took it; `headgate log verify` tells of those.',
  ),
  STATE_UNKNOWN: row(
    'There is no last value of this device and metric: none came, or there was no room for it.',
    'See `headgate state`, and `windows` in docs/config.md.',
  ),
  CONSUMER_UNKNOWN: row(
    'There is no consumer of this name, or none of this stream.',
    'See `headgate consumer ls`. One is there once it has committed a position.',
  ),
  CONSUMER_RESERVED: row(
    "The name is one of the gateway's own consumers; these can't be moved.",
    'Use a name of your own.',
  ),
  CONSUMER_LIMIT: row(
    'There are as many positions of consumers as the gateway keeps.',
    'Remove those that nobody uses any more: `headgate consumer rm`.',
  ),
  READER_LIMIT: row(
    'As many programs read records over the local socket as may at a time.',
    'Try again later, or let readers end.',
  ),
  REQUEST_INVALID: row(
    'A request to the daemon is not as docs/consumers.md says.',
    'Mend what is named; docs/consumers.md has positions, times and names as they are taken.',
  ),
  PATH_UNKNOWN: row(
    'There is no such path on the local socket, or not with this method.',
    'See docs/consumers.md for those there are.',
  ),
  CLOUD_REFUSED: row(
    'The cloud takes other records, and not this one: it was set aside so that the others go on.',
    'The diagnostics have the reason: rights on its topic, a rule of the cloud. Once that is ' +
      'mended, `headgate dead-letter redrive` sends it again.',
  ),
  CLOUD_TOO_LARGE: row(
    'The record alone is larger than one publish that the cloud takes.',
    'Raise the limit of the cloud (and uplink.maxBytes), then `headgate dead-letter redrive`; or ' +
      'keep mqtt.maxPayloadBytes well below it.',
  ),
  RECORD_TOO_LARGE: row(
    'One record does not fit into a segment.',
    'Lower mqtt.maxPayloadBytes or raise log.segmentBytes.',
  ),
  STATE_REBUILT: row(
    'The state store was damaged and has been set aside.',
    'Nothing: readings are in the log. Sessions and retained messages start afresh, and what the ' +
      'cloud already had is sent once more with the same identity.',
  ),
  UPLINK_CLIENT_MISSING: row(
    'uplink.url names a protocol whose client is not installed: those of NATS and Kafka are ' +
      'optional packages.',
    'Install the package that is named, or Headgate again without --omit=optional.',
  ),
  GPIO_UNAVAILABLE: row(
    'The GPIO line cannot be driven, and alerts are logged instead; or its button not heard.',
    'See why not by each way that was tried: a wrong gpio.pin, a package that is missing, rights ' +
      '(the group gpio), another program that has the line. `headgate doctor`, docs/gpio.md.',
  ),
  GPIO_IN_USE: row(
    'The daemon of this data folder drives the alert line.',
    'Stop the daemon first, and start it again after; with --pin another line can be tried.',
  ),
  SERIAL_PORT_MISSING: row(
    'The serial port is not there: the device is not plugged in, or has another name.',
    'Plug it in: it is found then. `ls -l /dev/serial/by-id` has the names of what is there.',
  ),
  SERIAL_PORT_DENIED: row(
    'This user may not read and write the serial port.',
    'Add the user to the group of the port, by `ls -l` most often dialout: `sudo usermod -aG ' +
      'dialout USER`, and log in again. A service has SupplementaryGroups= and DeviceAllow=.',
  ),
  SERIAL_PORT_BUSY: row(
    'Another program has the serial port open.',
    'End it: `sudo fuser -v PORT` names it. Often a terminal program, ModemManager or brltty; a ' +
      'console on it is taken away by raspi-config or from the kernel command line.',
  ),
  SERIAL_PORT_UNUSABLE: row(
    'The serial port cannot be opened with these settings.',
    'Check that it is a serial device, and that its driver knows the baud rate.',
  ),
  SERIAL_CLIENT_MISSING: row(
    'The driver of serial ports is not installed: it is an optional package.',
    'Where Headgate is installed (with -g if it is there): `npm install ' +
      '@serialport/bindings-cpp@13.0.1`.',
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a code from the table; `detail` says what was seen this time. */
export class HeadgateError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;

  constructor(code: ErrorCode, detail = '', options?: { cause?: unknown }) {
    super(detail === '' ? `${code}: ${ERRORS[code].cause}` : `${code}: ${detail}`, options);
    this.name = 'HeadgateError';
    this.code = code;
    this.detail = detail;
  }
}

/** The code of a Headgate error or a system error (`ENOSPC`), else the error's name. */
export function codeOf(error: unknown): string {
  if (error instanceof Error) {
    const code = (error as { code?: unknown }).code;
    return typeof code === 'string' ? code : error.name;
  }
  return 'unknown';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `ENOSPC: no space left on device, write`: system errors begin with their code already. */
export function codedMessageOf(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return message.startsWith(code) ? message : `${code}: ${message}`;
}

/** Why a file that was named cannot be read, in words. */
export function unreadable(path: string, error: unknown): string {
  return codeOf(error) === 'EISDIR' ? `${path} is a folder` : `${path}: ${messageOf(error)}`;
}
