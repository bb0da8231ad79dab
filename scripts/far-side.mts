// What a far side written in TypeScript does first; `.ci/run` compiles it against the package as it
// is installed, and runs it.
import { type CloudRecord, decodeEnvelope, EnvelopeError } from 'headgate/envelope';

const batch = {
  ...{ headgate: 1, gateway: 'plant-4', log: '9f3c61d2', stream: 'readings' },
  ...{ starts: [[0, 41]], sources: [[3, 'boiler-7', 'sensors/boiler-7', 'a-']], source: [0, 0] },
  ...{ id: [17, 1], receivedAt: [1_767_225_600_000, 950], payload: ['1', '2'] },
};
const records: CloudRecord[] = decodeEnvelope(new TextEncoder().encode(JSON.stringify(batch)));
const told = records.map(({ offset, id, payload }) => `${offset} ${id} ${payload}`).join(', ');
if (told !== '41 a-17 1, 42 a-18 2') throw new Error(`decoded as ${told}`);

let refusal: unknown;
try {
  decodeEnvelope(Uint8Array.of(0x7b));
} catch (error) {
  refusal = error;
}
if (!(refusal instanceof EnvelopeError)) throw new Error('half a message was taken');
