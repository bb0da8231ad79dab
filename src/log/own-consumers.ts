/** The gateway's own consumers, by name: nobody else moves them. */

export const DETECT = 'detect';
export const UPLINK = 'uplink';

export function isOwnConsumer(name: string): boolean {
  return name === DETECT || name === UPLINK;
}
