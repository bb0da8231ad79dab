import { plain } from './record-text.ts';

/** A payload for people: the beginning of it, as text or as bytes. Pure. */

const MAX_TEXT_CHARS = 4_096;
const LINE_CHARS = 96;
const MAX_HEX_BYTES = 512;
const HEX_LINE_BYTES = 16;

function rest(left: number, what: string): string[] {
  return left > 0 ? [`… and ${left} ${what} more: --raw gives all of it`] : [];
}

/** Lines of text; undefined: it is none. */
export function textLines(payload: Uint8Array): string[] | undefined {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    return undefined;
  }
  // Nothing in it but line ends and tabs that a text would not have.
  if (/(?![\n\r\t])\p{Cc}/u.test(text)) return undefined;
  const shown = text.slice(0, MAX_TEXT_CHARS);
  const lines = shown.split(/\r?\n/).flatMap((line) => {
    const count = Math.max(1, Math.ceil(line.length / LINE_CHARS));
    return Array.from({ length: count }, (_, i) =>
      plain(line.slice(i * LINE_CHARS, (i + 1) * LINE_CHARS)),
    );
  });
  return [...lines, ...rest(text.length - shown.length, 'characters')];
}

/** As `hexdump -C` shows them. */
export function hexLines(payload: Uint8Array): string[] {
  const shown = Buffer.from(payload.subarray(0, MAX_HEX_BYTES));
  const lines: string[] = [];
  for (let at = 0; at < shown.length; at += HEX_LINE_BYTES) {
    const bytes = [...shown.subarray(at, at + HEX_LINE_BYTES)];
    const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = bytes.map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    );
    const columns = hex.padEnd(3 * HEX_LINE_BYTES - 1);
    lines.push(`${at.toString(16).padStart(8, '0')}  ${columns}  |${text.join('')}|`);
  }
  return [...lines, ...rest(payload.length - shown.length, 'bytes')];
}
