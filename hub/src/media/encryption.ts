import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { Decrypter, Encrypter } from 'age-encryption';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

/** Archives end with this when they are encrypted by age (age-encryption.org/v1). */
export const encryptedSuffix = '.tar.age';

const why = (error: unknown): string => (error instanceof Error ? error.message : String(error));

type Web = globalThis.ReadableStream<Uint8Array>;
const webOf = (file: string): Web => Readable.toWeb(createReadStream(file)) as unknown as Web;

const writeAside = async (stream: Web, file: string): Promise<void> => {
  await pipeline(Readable.fromWeb(stream as unknown as ReadableStream), createWriteStream(`${file}.part`, { mode: 0o600 }));
  const handle = await open(`${file}.part`, 'r+');
  await handle.sync();
  await handle.close();
  await rename(`${file}.part`, file);
};

/** Whoever holds the identity of one of the recipients can read it. They are checked before hours of export are lost on a typing error. */
export const makeEncrypter = (recipients: readonly string[]): Result<Encrypter> => {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (error) {
      return fail('fatal', 'recipient-invalid', recipient, `is no recipient of age: ${why(error)}. Recipients begin with age1; make a pair with age-keygen`);
    }
  }
  return ok(encrypter);
};

/** As a stream in little memory; the file is there whole or not at all. */
export const encryptFile = async (from: string, to: string, encrypter: Encrypter): Promise<Result<void>> => {
  try {
    await writeAside(await encrypter.encrypt(webOf(from)), to);
    return ok(undefined);
  } catch (error) {
    await rm(`${to}.part`, { force: true });
    return fail('blocked', 'media-unwritable', to, `cannot be encrypted: ${why(error)}`);
  }
};

/** Identities as `age-keygen` writes them: one a line, comments with `#`. */
export const decryptFile = async (from: string, to: string, identities: string): Promise<Result<void>> => {
  const decrypter = new Decrypter();
  const lines = identities.split('\n').map((line) => line.trim());
  try {
    const keys = lines.filter((line) => line !== '' && !line.startsWith('#'));
    for (const key of keys) decrypter.addIdentity(key);
    if (keys.length === 0) return fail('fatal', 'identity-invalid', from, 'the file of identities names none; age-keygen writes one');
  } catch {
    return fail('fatal', 'identity-invalid', from, 'the file of identities holds something else; identities begin with AGE-SECRET-KEY-');
  }
  try {
    await writeAside(await decrypter.decrypt(webOf(from)), to);
    return ok(undefined);
  } catch (error) {
    await rm(`${to}.part`, { force: true });
    return fail('fatal', 'media-sealed', from, `cannot be decrypted: ${why(error)}. It is for other identities, or damaged`);
  }
};
