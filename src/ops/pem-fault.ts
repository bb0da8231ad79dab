import { createPrivateKey, X509Certificate } from 'node:crypto';
import { messageOf } from '../base/errors.ts';

/**
 * What is wrong with certificates and keys, in words, or undefined. Without this a bad one is only
 * met when the uplink connects, and a file of authorities without any is not met at all: TLS then
 * trusts nobody and says no more than that. Pure.
 */

const CERTIFICATE = /-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----[\s\S]*?-----END \1-----/g;

export function certificateFault(text: string): string | undefined {
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) return 'holds no certificate in PEM';
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (error) {
      return `holds a certificate (number ${index + 1}) that can't be read: ${messageOf(error)}`;
    }
  }
  return undefined;
}

export function keyFault(text: string): string | undefined {
  try {
    createPrivateKey(text);
    return undefined;
  } catch {
    // What the library says speaks of decoders, never of the file.
    return 'holds no private key in PEM that can be read without a passphrase';
  }
}

/** The key is that of the first certificate. Both are known to be sound. */
export function isPair(certificate: string, key: string): boolean {
  const [first = ''] = certificate.match(CERTIFICATE) ?? [];
  return new X509Certificate(first).checkPrivateKey(createPrivateKey(key));
}
