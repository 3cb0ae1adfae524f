import { createHash, createHmac, type Hash as NodeHash, type Hmac } from 'node:crypto';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Keys } from '../aws/session.ts';
import { urlOf } from '../aws/transport.ts';
import { eksLimits } from './limits.ts';

type Source = string | ArrayBuffer | ArrayBufferView;
const bytesOf = (data: Source): string | Uint8Array => {
  if (typeof data === 'string') return data;
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
};

/** What the signer wants of a hash, over Node's own. */
class Sha256 {
  readonly #secret: string | Uint8Array | undefined;
  #hash: NodeHash | Hmac;
  constructor(secret?: Source) {
    this.#secret = secret === undefined ? undefined : bytesOf(secret);
    this.#hash = this.#make();
  }
  #make(): NodeHash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
  }
  update(data: Source): void {
    this.#hash.update(bytesOf(data));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    this.#hash = this.#make();
  }
}

/**
 * What EKS takes for a bearer token: `k8s-aws-v1.` and the base64url of a presigned GetCallerIdentity whose header names the cluster (aws-iam-authenticator,
 * "API Authorization from Outside a Cluster"). Nothing is called; the API server asks STS with it who we are.
 */
export const clusterToken = async (
  keys: () => Promise<Keys>,
  region: string,
  cluster: string,
  wallMs: number,
): Promise<{ token: string; expiresAtMs: number }> => {
  const hostname = `sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  const signer = new SignatureV4({ service: 'sts', region, credentials: keys, sha256: Sha256 });
  const request = new HttpRequest({
    method: 'GET',
    protocol: 'https:',
    hostname,
    path: '/',
    query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
    headers: { host: hostname, 'x-k8s-aws-id': cluster },
  });
  const signed = await signer.presign(request, {
    expiresIn: eksLimits.presignSeconds,
    signingDate: new Date(wallMs),
    unhoistableHeaders: new Set(['x-k8s-aws-id']),
  });
  const token = `k8s-aws-v1.${Buffer.from(urlOf(signed)).toString('base64url')}`;
  return { token, expiresAtMs: wallMs + eksLimits.tokenMs };
};
