import { describe, expect, test } from 'vitest';
import { linkFault } from '../../../src/uplink/link-fault.ts';

const openssl = (what: string, number: number) =>
  `80EC054A857F0000:error:0A00045C:SSL routines:ssl3_read_bytes:${what}:` +
  `../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1601:SSL alert number ${number}\n`;

describe('why there is no link', () => {
  test.each([
    [
      openssl('tlsv13 alert certificate required', 116),
      'the cloud wants a client certificate (uplink.certFile, uplink.keyFile): ' +
        'TLS: tlsv13 alert certificate required',
    ],
    [
      openssl('tlsv1 alert unknown ca', 48),
      'the cloud refuses the client certificate (uplink.certFile): TLS: tlsv1 alert unknown ca',
    ],
    [openssl('tlsv1 alert protocol version', 70), 'TLS: tlsv1 alert protocol version'],
    [
      'self-signed certificate in certificate chain',
      'self-signed certificate in certificate chain (uplink.caFile names whose certificates hold)',
    ],
    [
      'unable to verify the first certificate',
      'unable to verify the first certificate (uplink.caFile names whose certificates hold)',
    ],
    [
      "Hostname/IP does not match certificate's altnames: IP: ::1 is not in the cert's list: ",
      "Hostname/IP does not match certificate's altnames: IP: ::1 is not in the cert's list " +
        '(uplink.serverName, of MQTT alone, is the name to look for if not the host of the URL)',
    ],
    ['connect ECONNREFUSED 127.0.0.1:1883', 'connect ECONNREFUSED 127.0.0.1:1883'],
  ])('%j', (text, words) => {
    expect(linkFault(text, true)).toBe(words);
    expect(linkFault(text, false)).toBe(words);
  });

  // MQTT 3.1.1, MQTT 5, NATS, Kafka.
  test.each([
    'Connection refused: Not authorized',
    'Connection refused: Bad username or password',
    'Connection refused: Bad User Name or Password',
    "'Authorization Violation'",
    'SASL PLAIN authentication failed: Authentication failed',
  ])('who it is, and what was said: %s', (text) => {
    expect(linkFault(text, true)).toBe(
      `the cloud refuses the user name or password (uplink.username, uplink.passwordFile): ${text}`,
    );
  });

  test.each([
    'read ECONNRESET',
    'Client network socket disconnected before secure TLS connection was established',
    '80EC054A857F0000:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:a.c:1:\n',
  ])('TLS on one side only, where no link was made: %s', (text) => {
    expect(linkFault(text, true)).toMatch(/ \(perhaps TLS on one side only: .*uplink\.url\)$/);
    expect(linkFault(text, false)).not.toContain('perhaps');
  });

  test('is one line, whatever the cloud said', () => {
    expect(linkFault('\r\ngone\u0000\nor\u001b[31m\tnot\u2028so\n', false)).toBe(
      'gone or [31m not so',
    );
  });
});
