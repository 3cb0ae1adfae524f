import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { chmodSync } from 'node:fs';
import { writeDurably } from './durable.ts';

/** Cost of scrypt: 32 MiB and a tenth of a second, once for each try (OWASP's second choice). Written beside the hash, so that it can grow. */
const cost = { N: 2 ** 15, r: 8, p: 1 };
const costMax = 2 ** 17;
const keyBytes = 32;
export const passwordCharsMin = 12;
export const passwordCharsMax = 256;

const derive = (password: string, salt: Buffer, { N, r, p }: typeof cost): Promise<Buffer> => {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  scrypt(password.normalize('NFKC'), salt, keyBytes, { N, r, p, maxmem: 256 * N * r }, (error, key) => (error === null ? resolve(key) : reject(error)));
  return promise;
};

export const hashPassword = async (password: string): Promise<string> => {
  const salt = randomBytes(16);
  const key = await derive(password, salt, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), key.toString('base64url')].join('$');
};

/** Whether a password belongs to a hash; false for what is no hash of ours. */
export const isPassword = async (password: string, hash: string): Promise<boolean> => {
  const [name, N, r, p, salt, key] = hash.trim().split('$');
  const numbers = { N: Number(N), r: Number(r), p: Number(p) };
  if (name !== 'scrypt' || salt === undefined || key === undefined || !Object.values(numbers).every((value) => Number.isInteger(value) && value > 0))
    return false;
  if (numbers.N > costMax || numbers.r > 16 || numbers.p > 4 || password.length > passwordCharsMax) return false;
  const wanted = Buffer.from(key, 'base64url');
  if (wanted.length !== keyBytes) return false;
  const made = await derive(password, Buffer.from(salt, 'base64url'), numbers).catch(() => undefined);
  return made !== undefined && timingSafeEqual(made, wanted);
};

/** The hash in its file; undefined: nobody may log in. */
export const readPasswordHash = (file: string): string | undefined => {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
};

/** Sets the password of the local page. The running agent reads it at the next login. */
export const setPassword = async (file: string, password: string): Promise<Result<void>> => {
  if (password.length < passwordCharsMin || password.length > passwordCharsMax)
    return fail(
      'fatal',
      'password-weak',
      'password',
      `has ${password.length} characters; it needs ${passwordCharsMin} to ${passwordCharsMax}. A few words are easy to remember`,
    );
  if (!writeDurably(file, `${await hashPassword(password)}\n`)) return fail('blocked', 'disk-error', file, 'cannot be written');
  chmodSync(file, 0o600);
  return ok(undefined);
};
