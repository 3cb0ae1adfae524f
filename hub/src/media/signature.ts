import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { digestSchema, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { sha256 } from '../content/digest.ts';

/** Lies beside index.json, which names everything else by digest. Readers of OCI layouts pass it over. */
export const signatureFile = 'groundplane-signature.json';
export const signatureBytesMax = 16 * 1024;

const schema = z.strictObject({
  schema: z.literal('groundplane.dev/media-signature/1'),
  index: digestSchema,
  /** SHA-256 of the public key in DER form. */
  key: digestSchema,
  /** Ed25519 over the text that `signedText` makes, in base64. */
  signature: z.string().max(128),
});

/** What is said about a medium's signature. `unchecked`: there is one, and no key was given. */
export type MediaSignature = { state: 'unsigned' } | { state: 'unchecked' | 'verified'; key: Digest };

/** With the name of its purpose in front, so that the signature is good for nothing else. */
const signedText = (index: Digest): Buffer => Buffer.from(`groundplane.dev/media-signature/1\n${index}\n`);

const keyId = (key: KeyObject): Digest => sha256(key.export({ type: 'spki', format: 'der' }));

const parseKey = (pem: string, element: string, kind: 'private' | 'public'): Result<KeyObject> => {
  const wanted = kind === 'private' ? 'make one: openssl genpkey -algorithm ed25519 -out key.pem' : 'make one: openssl pkey -in key.pem -pubout -out pub.pem';
  try {
    const key = kind === 'private' ? createPrivateKey(pem) : createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return ok(key);
    return fail('fatal', 'key-invalid', element, `is a key of the kind ${key.asymmetricKeyType ?? 'unknown'}; media are signed with Ed25519. ${wanted}`);
  } catch {
    return fail('fatal', 'key-invalid', element, `is no ${kind} key in PEM form without a passphrase; ${wanted}`);
  }
};

/** Reads a private key; answers what makes the signature file of an index. `element` names the key's file. */
export const mediaSigner = (pem: string, element: string): Result<(index: Uint8Array) => string> => {
  const key = parseKey(pem, element, 'private');
  if (!key.ok) return key;
  return ok((bytes) => {
    const index = sha256(bytes);
    const text: z.infer<typeof schema> = {
      schema: 'groundplane.dev/media-signature/1',
      index,
      key: keyId(createPublicKey(key.value)),
      signature: sign(null, signedText(index), key.value).toString('base64'),
    };
    return `${JSON.stringify(text)}\n`;
  });
};

/** What is to be said about a signature file (undefined: there is none) and an index. With a key only a right signature of that key will do. */
export const checkSignature = (text: string | undefined, index: Uint8Array, publicPem: string | undefined, element: string): Result<MediaSignature> => {
  const key = publicPem === undefined ? undefined : parseKey(publicPem, 'the public key', 'public');
  if (key !== undefined && !key.ok) return key;
  if (text === undefined)
    return key === undefined
      ? ok({ state: 'unsigned' })
      : fail('fatal', 'media-unsigned', element, 'is not signed, and a key was given. Leave the key out to take it as it is');
  const wrong = (why: string): Result<never> => fail('fatal', 'signature-wrong', `${element}, ${signatureFile}`, why);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return wrong('is not JSON');
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) return wrong('is no signature of a medium');
  if (parsed.data.index !== sha256(index)) return wrong('signs another index.json than the one that is there');
  if (key === undefined) return ok({ state: 'unchecked', key: parsed.data.key });
  if (!verify(null, signedText(parsed.data.index), key.value, Buffer.from(parsed.data.signature, 'base64')))
    return wrong(`was not made with the key ${keyId(key.value)}; it names ${parsed.data.key}`);
  return ok({ state: 'verified', key: keyId(key.value) });
};
