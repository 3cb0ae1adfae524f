import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A Kubernetes API server that a counterpart hands out for its managed clusters, each in its cloud's own shape. */
export interface ControlPlane {
  /** `https://127.0.0.1:6443` */
  server: string;
  /** PEM. */
  ca: string;
  /** Of `system:masters`, signed by an authority that this API server knows; PEM. For clouds that hand out certificates. */
  admin?: { certificate: string; key: string };
}
/** By the name that the cluster has in its cloud; undefined: the counterpart's own address, at which nobody is. */
export type ControlPlaneOf = (cluster: string) => ControlPlane | undefined;

/** Who a token stands for, or why it is not taken. */
export type Reviewed = { username: string; groups: string[] } | { error: string };
/** Undefined: a token of another cloud. */
export type ReviewToken = (token: string) => Reviewed | undefined | Promise<Reviewed | undefined>;

interface TokenReview {
  spec?: { token?: string };
}

/**
 * What stands behind the API server of a managed cluster and knows its cloud's tokens: an authenticator by webhook (`authentication.k8s.io/v1`), which asks
 * each of the clouds.
 */
export const startTokenReviews = async () => {
  const clouds: ReviewToken[] = [];
  /** What was said about whom, in order. */
  const said: { token: string; reviewed: Reviewed }[] = [];
  const review = async (token: string): Promise<Reviewed> => {
    for (const cloud of clouds) {
      const reviewed = await cloud(token);
      if (reviewed !== undefined) return reviewed;
    }
    return { error: 'no cloud knows this token' };
  };
  const answer = async (token: string): Promise<string> => {
    const reviewed = await review(token).catch((error: unknown) => ({ error: String(error) }));
    said.push({ token, reviewed });
    const status = 'error' in reviewed ? { authenticated: false, error: reviewed.error } : { authenticated: true, user: reviewed };
    return JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status });
  };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => void parts.push(part));
    request.on('end', () => {
      const { spec } = JSON.parse(Buffer.concat(parts).toString()) as TokenReview;
      void answer(spec?.token ?? '').then((text) => response.setHeader('content-type', 'application/json').end(text));
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', () => listening.resolve());
  await listening.promise;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/review`,
    said,
    add: (cloud: ReviewToken): void => void clouds.push(cloud),
    close: async (): Promise<void> => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
};
export type TokenReviews = Awaited<ReturnType<typeof startTokenReviews>>;
