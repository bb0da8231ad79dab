/** Topics of Sparkplug B: `spBv1.0/<group>/<type>/<node>` and `…/<device>`. Pure. */

const NAMESPACE = 'spBv1.0';
const TYPES = [
  ...(['NBIRTH', 'NDATA', 'NDEATH', 'NCMD'] as const),
  ...(['DBIRTH', 'DDATA', 'DDEATH', 'DCMD'] as const),
] as const;

export type SparkplugType = (typeof TYPES)[number];

export interface SparkplugTopic {
  readonly type: SparkplugType;
  readonly group: string;
  readonly node: string;
  /** '' for what is about the node itself. */
  readonly device: string;
}

/** undefined: no topic of an edge node. */
export function sparkplugTopic(topic: string): SparkplugTopic | undefined {
  const [namespace, group, name, node, device = '', ...more] = topic.split('/');
  const type = TYPES.find((one) => one === name);
  if (namespace !== NAMESPACE || type === undefined || more.length > 0) return undefined;
  if (group === undefined || node === undefined) return undefined;
  const isOfDevice = type.startsWith('D');
  return isOfDevice === (device !== '') ? { type, group, node, device } : undefined;
}

/** What is sent in these was measured; in a command it is wanted, in a death it is over. */
export function isMeasured(type: SparkplugType): boolean {
  return type.endsWith('BIRTH') || type.endsWith('DATA');
}
