import { parseCbor } from './cbor-tree.ts';
import { SENML_LABELS, senmlOf } from './senml.ts';

export const SENML_CBOR = senmlOf('senml-cbor', (payload) => parseCbor(payload, SENML_LABELS));
