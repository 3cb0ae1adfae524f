import { afterAll, beforeAll, describe } from 'vitest';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { applyTests } from './cluster-apply.ts';
import { failureTests } from './cluster-failures.ts';
import { readTests } from './cluster-read.ts';
import { watchTests } from './cluster-watch.ts';
import { workloadTests } from './cluster-workloads.ts';

/** One cluster under test. */
export interface ClusterUnderTest {
  /** As somebody who may do everything. */
  cluster: Cluster;
  /** As somebody who may read everything but secrets. */
  viewer: Cluster;
  /** The API server goes away without a word, and comes back with its data. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  close(): Promise<void>;
}

/** Gives the tests the cluster that was made before they run. */
export type Get = () => ClusterUnderTest;

/** What every Cluster has to do. The cluster must run controllers with nodes, and may be slow to make. */
export const clusterConformance = (name: string, makeCluster: () => Promise<ClusterUnderTest>, makeMs: number = 30_000): void => {
  describe(`Cluster: ${name}`, () => {
    let made: ClusterUnderTest | undefined;
    beforeAll(async () => {
      made = await makeCluster();
    }, makeMs);
    afterAll(async () => await made?.close());
    const get: Get = () => {
      if (made === undefined) throw new Error('the cluster was not made');
      return made;
    };
    describe('apply', () => applyTests(get));
    describe('get, list, create, replace, delete', () => readTests(get));
    describe('failures', () => failureTests(get));
    describe('workloads', () => workloadTests(get));
    // Last, because it takes the API server away.
    describe('watch', () => watchTests(get));
  });
};
