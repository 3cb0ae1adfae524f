import { digestBytes, digestOf } from '@groundplane/protocol/digest';
import { statementText, type RootStatement, type Verify } from '@groundplane/protocol/trust';
import type { DeviceKey } from '@groundplane/agent/identity/key';
import type { HubKeys } from '@groundplane/hub/trust/keys';

/** Signatures that cost a hash instead of a curve: only somebody who can name the key can make them, which is all that honest actors need. */
const signed = (key: string, text: string): string => digestBytes(`${key}\n${text}`).slice(7);
export const simVerify: Verify = (key, text, signature) => signed(key, text) === signature;

const publicKey = (name: string): string => `ed25519:${Buffer.from(digestBytes(name).slice(7), 'hex').toString('base64url')}`;

export const simDeviceKey = (name: string): DeviceKey => ({
  publicKey: publicKey(`device ${name}`),
  sign: (text) => signed(publicKey(`device ${name}`), text),
});

export const simHubKeys = (hub: string): HubKeys => {
  const role = (name: string) => ({ keys: [publicKey(`${hub} ${name}`)], threshold: 1 });
  const root: RootStatement = {
    schema: 'groundplane.dev/root/1',
    hub,
    version: 1,
    mode: 'hub',
    roles: { root: role('root'), release: role('release'), director: role('director'), time: role('time') },
  };
  const sign: HubKeys['sign'] = (name, statement) => ({
    signed: statement,
    signatures: [{ key: publicKey(`${hub} ${name}`), signature: signed(publicKey(`${hub} ${name}`), statementText(statement)) }],
  });
  return {
    hub,
    sealKey: new Uint8Array(32),
    root: sign('root', root),
    rootDigest: digestOf(root),
    sign,
    signTime: (text) => signed(publicKey(`${hub} time`), text),
  };
};
