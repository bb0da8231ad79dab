/** The bodies of frames, as docs/serial.md has them. Pure. */

const VERSION = 1;

const TYPE = { hello: 1, reading: 2, ack: 3, welcome: 4, nak: 5, ask: 6 } as const;

/** Why a reading is refused for good. */
export const REASON = { tooLong: 1, topic: 2, refused: 3 } as const;

export type Reason = (typeof REASON)[keyof typeof REASON];

/** A reading by its number: what an answer names. */
export interface Identity {
  readonly boot: number;
  readonly seq: number;
}

export interface Hello {
  readonly kind: 'hello';
  readonly boot: number;
  /** Empty: the device has no name of its own. */
  readonly device: string;
}

export interface ReadingFrame extends Identity {
  readonly kind: 'reading';
  readonly topic: string;
  readonly payload: Uint8Array;
}

const HEAD_BYTES = 1;
const IDENTITY_END = 9;

/** undefined: it is not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function viewOf(body: Uint8Array): DataView {
  return new DataView(body.buffer, body.byteOffset, body.byteLength);
}

/** A length and as many bytes of text, and where they end. A name that is no UTF-8 is no name. */
function nameAt(body: Uint8Array, at: number): { name: string; end: number } | undefined {
  const bytes = body[at];
  if (bytes === undefined) return undefined;
  const end = at + 1 + bytes;
  if (end > body.length) return undefined;
  // Half a character can't be a level of a topic: said in place of what can't be read.
  return { name: textOf(body.subarray(at + 1, end)) ?? '\0', end };
}

function isOfType(body: Uint8Array, type: number): boolean {
  return body[0] === ((VERSION << 4) | type);
}

/** What a device says; undefined: nothing that this version knows. */
export function readFrame(body: Uint8Array): Hello | ReadingFrame | undefined {
  if (isOfType(body, TYPE.hello) && body.length > HEAD_BYTES + 4) {
    const found = nameAt(body, HEAD_BYTES + 4);
    if (found === undefined) return undefined;
    return { kind: 'hello', boot: viewOf(body).getUint32(HEAD_BYTES), device: found.name };
  }
  const identity = readingIdentity(body);
  if (identity === undefined) return undefined;
  const found = nameAt(body, IDENTITY_END);
  if (found === undefined) return undefined;
  return { kind: 'reading', ...identity, topic: found.name, payload: body.subarray(found.end) };
}

/** Whose first bytes these are, if they are those of a reading. */
export function readingIdentity(head: Uint8Array): Identity | undefined {
  if (!isOfType(head, TYPE.reading) || head.length < IDENTITY_END) return undefined;
  const view = viewOf(head);
  return { boot: view.getUint32(HEAD_BYTES), seq: view.getUint32(HEAD_BYTES + 4) };
}

function bodyOf(type: number, bytes: number): { body: Uint8Array; view: DataView } {
  const body = new Uint8Array(bytes);
  body[0] = (VERSION << 4) | type;
  return { body, view: viewOf(body) };
}

function answerBody(type: number, { boot, seq }: Identity, bytes: number): Uint8Array {
  const { body, view } = bodyOf(type, bytes);
  view.setUint32(HEAD_BYTES, boot);
  view.setUint32(HEAD_BYTES + 4, seq);
  return body;
}

export function ackBody(identity: Identity): Uint8Array {
  return answerBody(TYPE.ack, identity, IDENTITY_END);
}

export function nakBody(identity: Identity, reason: Reason): Uint8Array {
  const body = answerBody(TYPE.nak, identity, IDENTITY_END + 1);
  body[IDENTITY_END] = reason;
  return body;
}

/** `wallMs`: ms since 1970, 0 if it is not known. */
export function welcomeBody(wallMs: number, maxBodyBytes: number): Uint8Array {
  const { body, view } = bodyOf(TYPE.welcome, 11);
  view.setBigUint64(HEAD_BYTES, BigInt(Math.trunc(wallMs)));
  view.setUint16(HEAD_BYTES + 8, maxBodyBytes);
  return body;
}

export function askBody(): Uint8Array {
  return bodyOf(TYPE.ask, HEAD_BYTES).body;
}
