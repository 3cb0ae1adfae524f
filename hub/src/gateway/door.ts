import { createPublicKey, verify as verifyWith } from 'node:crypto';
import { limits } from '@groundplane/protocol/limits';
import type { Clock } from '../port/clock.ts';

/** Whether the device key signed the text. Malformed keys and signatures are simply false. */
export const isSigned = (key: string, text: string, signature: string): boolean => {
  try {
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key.slice('ed25519:'.length) }, format: 'jwk' });
    return verifyWith(null, Buffer.from(text), publicKey, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
};

/** Refills with time; the hub greets this many hosts a second and tells the rest when to return. */
export const createDoor = (clock: Clock) => {
  let tokens: number = limits.handshakesPerSecond;
  let lastMs = clock.monotonicMs();
  return (): boolean => {
    const nowMs = clock.monotonicMs();
    tokens = Math.min(limits.handshakesPerSecond, tokens + ((nowMs - lastMs) / 1000) * limits.handshakesPerSecond);
    lastMs = nowMs;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
};
