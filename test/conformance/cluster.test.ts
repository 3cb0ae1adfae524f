import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import { openConnection } from '@groundplane/agent/cluster/connection';
import { parseKubeconfig } from '@groundplane/agent/cluster/kubeconfig';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { systemClock } from '@groundplane/agent/system/clock';
import { systemRandom } from '@groundplane/agent/system/random';
import { fakeCluster } from '../fake/cluster.ts';
import { startLight } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { good } from './cluster-objects.ts';
import { clusterConformance } from './cluster.ts';

clusterConformance('simulated', async () => {
  const cluster = fakeCluster({ clock: systemClock, establishMs: 20 });
  cluster.controllers({ readyMs: 20 });
  return {
    cluster,
    viewer: cluster.as('viewer'),
    pause: async () => cluster.pause(),
    resume: async () => cluster.resume(),
    close: async () => cluster.close(),
  };
});

const connect = async (kubeconfig: string): Promise<Cluster> => {
  const connection = good(await openConnection(good(parseKubeconfig(kubeconfig, { folder: '/' }))));
  return kubernetesCluster({ connection, clock: systemClock, random: systemRandom });
};

/** A first run builds Kubernetes. */
const buildMsMax = 40 * 60_000;

const missing = await missingForLab();
if (missing.length === 0) {
  clusterConformance(
    'real API server',
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'groundplane-light-'));
      const light = good(await startLight({ dir, controllers: true, kwokNodes: 2 }));
      const cluster = await connect(light.kubeconfig);
      const viewer = await connect(light.kubeconfigOf('viewer'));
      return {
        cluster,
        viewer,
        pause: light.pause,
        resume: async () => good(await light.resume()),
        close: async () => {
          cluster.close();
          viewer.close();
          await light.stop();
          await rm(dir, { recursive: true, force: true });
        },
      };
    },
    buildMsMax,
  );
} else {
  test.skipIf(!isRequired('go'))(`Cluster: real API server (cannot run here: ${missing.join(' ')})`, () => {
    expect(missing).toEqual([]);
  });
}
