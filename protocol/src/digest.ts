import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { canonicalJson } from './canonical.ts';

/** Content address: `sha256:` and 64 lower-case hex digits, as in OCI. */
export const digestSchema = z.templateLiteral(['sha256:', z.string().regex(/^[0-9a-f]{64}$/)]);
export type Digest = `sha256:${string}`;

export const isDigest = (text: string): text is Digest => /^sha256:[0-9a-f]{64}$/.test(text);

/** SHA-256 of bytes, or of a text's UTF-8. */
export const digestBytes = (data: Uint8Array | string): Digest => `sha256:${bytesToHex(sha256(typeof data === 'string' ? utf8ToBytes(data) : data))}`;

/** SHA-256 of the canonical JSON: equal values have equal digests. */
export const digestOf = (value: unknown): Digest => digestBytes(canonicalJson(value));

/** First twelve digits, for people. */
export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12);
