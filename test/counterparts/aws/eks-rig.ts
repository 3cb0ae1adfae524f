import { DeleteNodegroupCommand, DescribeNodegroupCommand, ListClustersCommand, ListNodegroupsCommand } from '@aws-sdk/client-eks';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import { baseName } from '@groundplane/hub/providers/aws/names';
import { createSession } from '@groundplane/hub/providers/aws/session';
import { openEks } from '@groundplane/hub/providers/eks/provider';
import { createClients, type EksCloud } from '@groundplane/hub/providers/eks/read';
import type { ManagedRig } from '../../conformance/providers/rig.ts';
import { plainHttp } from '../plain-http.ts';
import { eksFront, type EksModel } from './eks-front.ts';
import { eksCallOf } from './eks-routes.ts';
import { motoFront, wrongKeyId } from './front.ts';
import { inventoryOf } from './inventory.ts';
import { depsOf, region, throttledAnswer, forgetPast } from './rig.ts';
import { motoVersion, startMoto } from './start.ts';
import { errorAnswer, serviceOf } from './words.ts';

export const eksInventory = async (cloud: EksCloud): Promise<string[]> => {
  const { clusters = [] } = await cloud.eks.send(new ListClustersCommand({}));
  const lines = await Promise.all(
    clusters.map(async (clusterName) => {
      const { nodegroups = [] } = await cloud.eks.send(new ListNodegroupsCommand({ clusterName }));
      return [`cluster ${clusterName}`, ...nodegroups.map((name) => `node-group ${name}`)];
    }),
  );
  return [...lines.flat(), ...(await inventoryOf(cloud))];
};

/** The conformance suite's view of moto with our model of EKS in front. Throws with the reason where it cannot be had. */
export const eksRig = async (heard: Set<string> = new Set(), model: EksModel = { looks: 2 }): Promise<ManagedRig> => {
  const moto = await startMoto();
  if (!moto.ok) throw new Error(moto.failure.message);
  const { url, stop } = moto.value;
  const front = motoFront(eksFront(plainHttp, model), heard);
  const outside = createClients(createSession(depsOf(url, front)))(region);
  const rig: ManagedRig<'eks'> = {
    kind: 'managed',
    counterpart: `moto server ${motoVersion}, with our model of EKS' time, versions, add-ons and access entries in front`,
    http: front,
    pollMs: 5,
    callsPerLook: 6,
    versions: ['1.33', '1.34'],
    open: (http) => openEks(depsOf(url, http)),
    openWrong: (http) => openEks(depsOf(url, http, wrongKeyId)),
    scope: (id, name) => ({
      id,
      name,
      zones: ['us-east-1a', 'us-east-1b'],
      placement: placementSchemas.eks.parse({
        region,
        addons: [{ name: 'coredns' }],
        accessEntries: [{ principal: 'arn:aws:iam::123456789012:role/developers', policies: ['AmazonEKSViewPolicy'], groups: ['developers'] }],
      }),
    }),
    inventory: () => eksInventory(outside),
    untag: async (scope, pool) => {
      const name = pool === undefined ? baseName(scope) : `${baseName(scope)}/${pool}`;
      model.untagged = new Set([...(model.untagged ?? []), name]);
      return () => void model.untagged?.delete(name);
    },
    otherSize: 'm5.xlarge',
    pool: (name, count) => ({
      name,
      pool: name,
      size: 'm5.large',
      count,
      zones: [],
      spot: false,
      labels: { pool: name },
      taints: [],
      update: { maxSurge: 1, maxUnavailable: 0 },
    }),
    deleteBehind: async (scope, nodegroupName) => {
      const at = { clusterName: baseName(scope), nodegroupName };
      await outside.eks.send(new DeleteNodegroupCommand(at));
      for (let round = 0; round < 10; round += 1) await outside.eks.send(new DescribeNodegroupCommand(at)).catch(() => undefined);
    },
    answers: {
      throttled: throttledAnswer,
      quota: (request) =>
        serviceOf(request) === 'eks' && eksCallOf(request)?.name === 'CreateCluster'
          ? errorAnswer(request, 400, 'ResourceLimitExceededException', 'Cluster limit exceeded')
          : undefined,
    },
    forgetPast: () => forgetPast(url),
    close: stop,
  };
  return rig;
};
