import { askControl } from '../ops/control-client.ts';
import type { Status } from '../status.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, JSON_OPTION } from './command.ts';
import { dataFolderOf } from './settings.ts';

/** `learning, 62%`: of what is learnt nothing is raised. */
function learningText({ learning, leastLearned }: Status['detect']): string {
  if (learning === 0) return '';
  return `, ${learning} of them learning, ${Math.floor(100 * leastLearned)}%`;
}

function unheardLines({ unheard }: Status['detect']): Array<[name: string, value: string]> {
  if (unheard === 0) return [];
  const why = 'readings of devices beyond detect.maxSeries: their silence is not noticed';
  return [['  silence', `${unheard} ${why}`]];
}

/** Of interest to those with edge nodes alone. */
function gapLines({ sparkplugGaps }: Status): Array<[name: string, value: string]> {
  if (sparkplugGaps === 0) return [];
  return [['sparkplugGaps', `${sparkplugGaps} (messages of edge nodes that never came)`]];
}

/** Of interest to those with a downlink alone. */
function downlinkLines({
  downlinked,
  downlinkRefused,
}: Status): Array<[name: string, value: string]> {
  if (downlinked + downlinkRefused === 0) return [];
  const refused = downlinkRefused === 0 ? '' : `; ${downlinkRefused} refused`;
  return [['downlinked', `${downlinked} (messages of the cloud)${refused}`]];
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** As the settings of the flash count: 10⁶. */
function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function uplinkLine({ link, sinceSeconds, lastError }: Status['uplink']): string {
  if (sinceSeconds === undefined) return link;
  return `${link} for ${sinceSeconds} s${link === 'down' ? `: ${lastError ?? ''}` : ''}`;
}

function age(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** How it gets on, and what it costs. */
function drainLines({ backlog, uplink }: Status): Array<[name: string, value: string]> {
  const { recordsPerSecond, backlogAgeSeconds, etaSeconds, metered, sentBytes } = uplink;
  if (recordsPerSecond === undefined || sentBytes === undefined) return [];
  const { bytesPerRecord, mbPerDayOf100Sensors: mbPerDay } = uplink;
  const oldest =
    backlogAgeSeconds === undefined ? '' : `, the oldest ${age(backlogAgeSeconds)} old`;
  const end = etaSeconds === undefined ? 'does not get smaller' : `gone in ${age(etaSeconds)}`;
  const waits = metered === true ? '; metered hours: it waits' : '';
  const drain = `${recordsPerSecond} records/s; ${backlog} wait${oldest}, ${end}${waits}`;
  const per = bytesPerRecord === undefined ? '' : `, ${bytesPerRecord} bytes a record`;
  const day = mbPerDay === undefined ? '' : `: ${mbPerDay} MB a day for 100 sensors at 1 Hz`;
  return [
    ['  drain', backlog === 0 ? `${recordsPerSecond} records/s` : drain],
    ['  sent', `${megabytes(sentBytes)} since the start${per}${day}`],
  ];
}

function parkedLine({ parked }: Status): string {
  return `${parked} (the cloud did not take them: headgate dead-letter ls)`;
}

function auditLine({ openBuckets, closedBuckets }: Status['audit']): string {
  return `${openBuckets} buckets open, ${closedBuckets} closed; headgate audit shows them`;
}

function flashLines(flash: Status['flash']): Array<[name: string, value: string]> {
  const { writtenTodayBytes, amplification, projectedBytesPerDay, lifeYears } = flash;
  const { budgetBytesPerDay, overBudget, lingerMs } = flash;
  const times = amplification === undefined ? '' : `, ${amplification} per byte of payload`;
  const today = `${megabytes(writtenTodayBytes)} in the last 24 h of running${times}`;
  const rate = `${megabytes(projectedBytesPerDay)} a day`;
  const years = lifeYears === undefined || lifeYears > 100 ? 'over 100' : String(lifeYears);
  // The first minutes are those of new files: a rate of years can't be told from them.
  const isYoung = lifeYears === undefined && projectedBytesPerDay > 0;
  const life = isYoung
    ? 'not known yet: it is told after ten minutes of running'
    : `${rate} at this rate: the card lasts ${years} years`;
  const over = overBudget ? ', exceeded: no commit may wait longer' : '';
  const budget = `${megabytes(budgetBytesPerDay)} a day${over}; commits wait ${lingerMs} ms`;
  return [
    ['flash', today],
    ['  life', life],
    ...(budgetBytesPerDay === 0 ? [] : [['  budget', budget] as [string, string]]),
  ];
}

function windowLines({ windows }: Status): Array<[name: string, value: string]> {
  if (windows === undefined) return [];
  const { series, idle, unkept, late, bytes } = windows;
  const rest = `${unkept} values without a place, ${late} late; ${mebibytes(bytes)}`;
  return [['  windows', `of ${series} series, ${idle} more are silent; ${rest}`]];
}

function lines(status: Status): Array<[name: string, value: string]> {
  const { mqtt, uplink, log, detect } = status;
  const lost = [...log.telemetry.lost, ...log.events.lost];
  const damaged = lost.reduce((sum, { count }) => sum + count, 0);
  const damage: Array<[name: string, value: string]> =
    damaged === 0 ? [] : [['damage', `${damaged} offsets lost; see headgate log verify`]];
  return [
    ['gateway', `${status.gateway}, version ${status.version}, up ${status.uptimeSeconds} s`],
    ['health', status.health],
    ...damage,
    ['MQTT', `${mqtt.host}:${mqtt.port}, ${mqtt.connections} connections`],
    ['received', String(status.received)],
    ['  stored', String(status.stored)],
    ['  duplicates', String(status.duplicates)],
    ['  deadLettered', String(status.deadLettered)],
    ['  rejected', `${status.rejected} (not acknowledged: the sender still has them)`],
    ['  lostAfterAck', `${status.lostAfterAck} (ack: received, and then not stored)`],
    ['unrouted', `${status.unrouted} (on topics of no stream: not kept)`],
    ...gapLines(status),
    ['forwarded', `${status.forwarded} (records of all streams)`],
    ...(status.parked === 0 ? [] : [['  parked', parkedLine(status)] as [string, string]]),
    ...downlinkLines(status),
    ['backlog', String(status.backlog)],
    ['expired', `${status.expired} (dropped by retention before the cloud had them)`],
    ['audit', auditLine(status.audit)],
    ['uplink', uplinkLine(uplink)],
    ...drainLines(status),
    ...(uplink.stuck ?? []).map(({ stream, reason }): [string, string] => [
      '  stuck',
      `${stream}: ${reason}`,
    ]),
    ['alerts', `${status.alerts} begun, ${status.activeAlerts} active, line: ${status.alertLine}`],
    [
      '  series',
      `${detect.series} watched${learningText(detect)}; ${detect.unwatched} values of others`,
    ],
    ...unheardLines(detect),
    ...windowLines(status),
    ['bytesWritten', `${mebibytes(status.bytesWritten)} in ${log.telemetry.commits} commits`],
    ['  state', `${mebibytes(status.stateBytesWritten)} besides`],
    ...flashLines(status.flash),
    ['rssBytes', mebibytes(status.rssBytes)],
  ];
}

export const status: Command = {
  name: 'status',
  usage: 'headgate status [--data DIR] [--config FILE] [--json]',
  summary: 'what the running daemon has done since it started; exit code 1 if it takes no data',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const data = await dataFolderOf(values, io.env);
    const answer = (await askControl(data.socket, '/status')) as Status;
    if (values['json']) io.print(JSON.stringify(answer));
    else for (const [name, value] of lines(answer)) io.print(`${name.padEnd(14)} ${value}`);
    return answer.health === 'ok' ? 0 : 1;
  },
};
