/** Why there is no link, for people: in one line, and with the setting to look at. Pure. */

/** An error of OpenSSL: numbers, what it says, a place in its source, a newline. */
const OPENSSL = /^.*?error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)(?::.*)?$/;

/** What stands before or behind that which was said. */
interface Row {
  readonly says: RegExp;
  readonly before?: string;
  readonly behind?: string;
  /** Of a try that failed alone: a link that was up may end so for any reason. */
  readonly isOfTry?: true;
}

const ROWS: readonly Row[] = [
  {
    says: /alert certificate required/,
    before: 'the cloud wants a client certificate (uplink.certFile, uplink.keyFile)',
  },
  {
    says: /alert (unknown ca|bad certificate|certificate (unknown|expired|revoked))/,
    before: 'the cloud refuses the client certificate (uplink.certFile)',
  },
  {
    says: /bad user ?name or password|not authorized|authorization violation|sasl.* failed/i,
    before: 'the cloud refuses the user name or password (uplink.username, uplink.passwordFile)',
  },
  {
    says: /self-signed certificate|unable to (verify|get local issuer)/,
    behind: 'uplink.caFile names whose certificates hold',
  },
  {
    says: /does not match certificate's altnames/,
    behind: 'uplink.serverName, of MQTT alone, is the name to look for if not the host of the URL',
  },
  {
    says: /ECONNRESET|before secure TLS connection|wrong version number|packet length too long/,
    behind: 'perhaps TLS on one side only: see scheme and port of uplink.url',
    isOfTry: true,
  },
];

/** `isTry`: no link was made; else one that was up has ended. */
export function linkFault(text: string, isTry: boolean): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').replace(/[ :]+$/, '');
  const said = line.replace(OPENSSL, 'TLS: $1').trim();
  const row = ROWS.find(({ says, isOfTry }) => says.test(said) && (isTry || isOfTry !== true));
  if (row?.before !== undefined) return `${row.before}: ${said}`;
  return row?.behind === undefined ? said : `${said} (${row.behind})`;
}
