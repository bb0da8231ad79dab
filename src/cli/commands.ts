import { alertsAck } from './alerts-ack.ts';
import { alertsLs } from './alerts-ls.ts';
import { audit } from './audit.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import type { Command } from './command.ts';
import { consumerCommit } from './consumer-commit.ts';
import { consumerLag } from './consumer-lag.ts';
import { consumerLs } from './consumer-ls.ts';
import { consumerRead } from './consumer-read.ts';
import { consumerRm } from './consumer-rm.ts';
import { consumerSeek } from './consumer-seek.ts';
import { deadLetterLs } from './dead-letter-ls.ts';
import { deadLetterRedrive } from './dead-letter-redrive.ts';
import { deadLetterShow } from './dead-letter-show.ts';
import { demo } from './demo.ts';
import { detectReplay } from './detect-replay.ts';
import { detectScore } from './detect-score.ts';
import { doctor } from './doctor.ts';
import { gpioList } from './gpio-list.ts';
import { gpioSafe } from './gpio-safe.ts';
import { gpioTest } from './gpio-test.ts';
import { importConf } from './import.ts';
import { logDump } from './log-dump.ts';
import { logExport } from './log-export.ts';
import { logLs } from './log-ls.ts';
import { logRead } from './log-read.ts';
import { logTail } from './log-tail.ts';
import { logVerify } from './log-verify.ts';
import { restoreBackup } from './restore.ts';
import { run } from './run.ts';
import { sim } from './sim.ts';
import { state } from './state.ts';
import { status } from './status.ts';

/** Every command of `headgate`, in the order of its help. Manual and completion are made of it. */
export const COMMANDS: readonly Command[] = [
  run,
  demo,
  check,
  doctor,
  importConf,
  status,
  state,
  audit,
  sim,
  logLs,
  logRead,
  logTail,
  logVerify,
  logExport,
  logDump,
  consumerLs,
  consumerRead,
  consumerCommit,
  consumerSeek,
  consumerLag,
  consumerRm,
  deadLetterLs,
  deadLetterShow,
  deadLetterRedrive,
  detectReplay,
  detectScore,
  alertsLs,
  alertsAck,
  backup,
  restoreBackup,
  gpioList,
  gpioTest,
  gpioSafe,
];
