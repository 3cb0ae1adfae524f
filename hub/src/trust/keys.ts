import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign as signWith, type KeyObject } from 'node:crypto';
import { chmodSync, closeSync, constants, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { digestOf, type Digest } from '@groundplane/protocol/digest';
import { statementText, trustRoles, type RootStatement, type Signed, type TrustRole } from '@groundplane/protocol/trust';

/** The keys that this hub holds. In mode `hub` all of them; elsewhere only director and time (the others' code path is the same). */
export interface HubKeys {
  /** Names the hub for ever: from its first root. */
  hub: string;
  root: Signed<RootStatement>;
  rootDigest: Digest;
  sign<T extends { schema: string }>(role: TrustRole, statement: T): Signed<T>;
  /** Signs a text that is not a statement (handshake proofs) with the time key. */
  signTime(text: string): string;
  /** 32 bytes that secrets in the store are sealed with. */
  sealKey: Uint8Array;
}

interface KeyFile {
  hub: string;
  keys: Record<TrustRole, string>;
  root: Signed<RootStatement>;
  /** base64url; hubs from before have none yet. */
  seal?: string;
}

const publicText = (key: KeyObject): string => `ed25519:${createPublicKey(key).export({ format: 'jwk' }).x}`;

const signedBy = <T extends { schema: string }>(key: KeyObject, statement: T): Signed<T> => ({
  signed: statement,
  signatures: [{ key: publicText(key), signature: signWith(null, Buffer.from(statementText(statement)), key).toString('base64url') }],
});

const makeKeyFile = (hub: string): KeyFile => {
  const keys = Object.fromEntries(trustRoles.map((role) => [role, generateKeyPairSync('ed25519').privateKey])) as Record<TrustRole, KeyObject>;
  const role = (name: TrustRole) => ({ keys: [publicText(keys[name])], threshold: 1 });
  const statement: RootStatement = {
    schema: 'groundplane.dev/root/1',
    hub,
    version: 1,
    mode: 'hub',
    roles: { root: role('root'), release: role('release'), director: role('director'), time: role('time') },
  };
  const pem = Object.fromEntries(trustRoles.map((name) => [name, keys[name].export({ type: 'pkcs8', format: 'pem' })])) as Record<TrustRole, string>;
  return { hub, keys: pem, root: signedBy(keys.root, statement), seal: randomBytes(32).toString('base64url') };
};

const fromFile = (file: KeyFile): HubKeys => {
  const keys = Object.fromEntries(trustRoles.map((role) => [role, createPrivateKey(file.keys[role])])) as Record<TrustRole, KeyObject>;
  return {
    hub: file.hub,
    root: file.root,
    rootDigest: digestOf(file.root.signed),
    sign: (role, statement) => signedBy(keys[role], statement),
    signTime: (text) => signWith(null, Buffer.from(text), keys.time).toString('base64url'),
    sealKey: Buffer.from(file.seal ?? '', 'base64url'),
  };
};

/** Keys for tests and simulations, nowhere on disk. */
export const makeHubKeys = (hub: string): HubKeys => fromFile(makeKeyFile(hub));

const writeKeyFile = (path: string, file: KeyFile): void => {
  const temporary = `${path}.new`;
  const handle = openSync(temporary, constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY, 0o600);
  writeSync(handle, JSON.stringify(file, null, 2));
  fsyncSync(handle);
  closeSync(handle);
  renameSync(temporary, path);
};

/** Reads the hub's keys, or makes them on the very first start. Losing this file means flashing every device again: it belongs into the backup. */
export const loadHubKeys = (path: string, makeHubId: () => string): HubKeys => {
  if (!existsSync(path)) writeKeyFile(path, makeKeyFile(makeHubId()));
  chmodSync(path, 0o600);
  const file = JSON.parse(readFileSync(path, 'utf8')) as KeyFile;
  if (file.seal === undefined) {
    file.seal = randomBytes(32).toString('base64url');
    writeKeyFile(path, file);
  }
  return fromFile(file);
};
