import { insideNames } from '@groundplane/protocol/inside/names';
import { insidePackage, insideVersions } from '../../lab/hosts/agent-package.ts';
import type { TestHost } from '../../lab/hosts/host.ts';
import { startImageServer } from '../../lab/hosts/image-server.ts';
import { nodeImageEntries, nodeImages } from '../../lab/hosts/node-image.ts';
import { gatewayAddress } from '../../lab/hosts/site.ts';
import { until } from '../site.ts';
import { runByHand } from './baseline.ts';
import {
  agentHost,
  applyText,
  checkContainer,
  checkRestricted,
  extrasText,
  healsPaint,
  holder,
  imagePort,
  infrastructure,
  inventory,
  log,
  podNetwork,
  pods,
  podWords,
  processOf,
  read,
  theirs,
  thePod,
  useMirror,
  waitActing,
} from './inside-pod-site.ts';
import { kubectl, openPlatform, waitAlive, waitReady, withWords } from './kubeadm-site.ts';
import type { Platform } from './platform.ts';
import { check, secondsSince, type Prepared, type Scenario } from './scenario.ts';

const { namespace, agent } = insideNames;

interface Place {
  host: TestHost;
  platform: Platform;
  prepared: Prepared;
  /** What the site's registry was asked for. */
  asked: readonly string[];
  /** Notes a figure and says it. */
  note: (name: string, seconds: number) => void;
}

const upload = async ({ platform, prepared }: Place, name: keyof typeof insideVersions): Promise<void> =>
  void (await platform.gp(['agent', 'upload', insidePackage(prepared.insideAgents, name), '--inside']));

const timed = async <T>({ note }: Place, name: string, work: () => Promise<T>): Promise<T> => {
  const began = performance.now();
  const done = await work();
  note(name, secondsSince(began));
  return done;
};

/** One apply by somebody who has the right to: image, start, agent, layers. */
const arrive = async (place: Place): Promise<void> => {
  const { host, platform, asked } = place;
  await upload(place, 'first');
  await platform.apply('extras', extrasText('1.0.0', 'red'));
  const { url } = await platform.json<{ url: string }>('cloud', 'import', theirs, '--mode', 'full', '--profile', 'extras@1.0.0');
  const began = performance.now();
  const since = (name: string): void => place.note(name, secondsSince(began));
  // By its address, as from the machine of whoever owns the cluster.
  await read(host, 'apply', '-f', url);
  const pulled = await until('the container is started', async () => (await thePod(host))?.container?.state.running && (await thePod(host)), 180_000);
  since('containerStartedSeconds');
  check(pulled?.container?.image === nodeImages.stock, 'it is the image that the manifest names by default', pulled);
  check(
    asked.some((line) => line.includes('/v2/library/node/blobs/')),
    'the kubelet had it pulled over the network',
    asked,
  );
  await waitActing(host, platform, 'first start');
  since('actsSeconds');
  await waitReady(platform, '1.0.0', theirs);
  since('layersReadySeconds');
  check((await read(host, 'get', 'deployment', 'painter', '-n', 'paint', '-o', 'jsonpath={.status.readyReplicas}')) === '1', 'its pod is ready');
  check(
    (await infrastructure(platform, theirs)).steps.every(({ state }) => state === 'done'),
    'no step is open',
    await infrastructure(platform, theirs),
  );
  await checkRestricted(host);
  await checkContainer(host, await processOf(host));
};

/** The pod, its process, its node's programs and the node go away; each time the same host comes back. */
const outlive = async (place: Place, kubelet: { restarts: number }): Promise<void> => {
  const { host, platform } = place;
  const identity = (await platform.host(agentHost)).id;
  const same = async (): Promise<void> => {
    check((await platform.host(agentHost)).id === identity, 'it is the same host');
    await healsPaint(host);
  };
  const first = await waitActing(host, platform, 'before');
  await timed(place, 'deletedPodSeconds', async () => {
    await read(host, 'delete', 'pod', first.name, '--namespace', namespace, '--wait=false');
    return await waitActing(host, platform, 'deleted pod', ({ uid }) => uid !== first.uid);
  });
  await same();

  const second = await waitActing(host, platform, 'before the kill');
  const killed = await processOf(host);
  await timed(place, 'killedProcessSeconds', async () => {
    await host.run(['kill', '-9', String(killed)]);
    return await waitActing(
      host,
      platform,
      'killed process',
      ({ uid, container }) => uid === second.uid && container.restartCount === second.container.restartCount + 1,
    );
  });
  await same();

  const third = await waitActing(host, platform, 'before the kubelet');
  for (const unit of ['kubelet', 'containerd']) {
    await host.run(['systemctl', 'restart', unit]);
    await waitAlive(host, [host.name]);
    const after = await waitActing(host, platform, `restarted ${unit}`);
    check(after.uid === third.uid && after.container.containerID === third.container.containerID, `the container outlives a restart of ${unit}`, [
      third,
      after,
    ]);
    kubelet.restarts += 1;
  }
  await same();

  await host.powerCut();
  await timed(place, 'powerCutSeconds', async () => {
    await host.boot();
    await waitAlive(host, [host.name]);
    return await waitActing(
      host,
      platform,
      'power cut',
      ({ uid, container }) => uid === third.uid && container.containerID !== third.container.containerID,
      300_000,
    );
  });
  await same();
};

/** Without the hub it goes on; a pod that comes in that time waits for it, and leaves at once when it is told to. */
const withoutHub = async (place: Place): Promise<void> => {
  const { host, platform } = place;
  const before = await waitActing(host, platform, 'before the hub is killed');
  await platform.killHub();
  await healsPaint(host);
  await timed(
    place,
    'notReadySeconds',
    async () => await until('the pod is not ready', async () => (await thePod(host))?.container?.ready === false || undefined, 120_000),
  );
  await platform.startHub();
  const after = await timed(place, 'hubBackSeconds', async () => await waitActing(host, platform, 'hub again'));
  check(after.container.containerID === before.container.containerID, 'it is the container of before', after);

  await platform.killHub();
  const kept = await thePod(host);
  await timed(place, 'deletedWithoutHubSeconds', async () => {
    await read(host, 'delete', 'pod', kept?.name ?? '', '--namespace', namespace, '--wait=false');
    await until('a new pod waits for the hub', async () => (await log(host)).includes('trying again') || undefined, 90_000);
  });
  const waiting = await thePod(host);
  await timed(place, 'deletedWhileWaitingSeconds', async () => {
    await read(host, 'delete', 'pod', waiting?.name ?? '', '--namespace', namespace, '--wait=false');
    await until('the pod that waited is gone', async () => (await pods(host)).every(({ uid }) => uid !== waiting?.uid) || undefined, 60_000);
  });
  await platform.startHub();
  await timed(place, 'fetchedLateSeconds', async () => await waitActing(host, platform, 'the hub is there again'));
  await healsPaint(host);
};

const runs = async (platform: Platform, version: string): Promise<boolean> => (await platform.host(agentHost)).info?.agentVersion === version;

/** The next version comes by a changed deployment; one that does not live gives way to the one before. */
const update = async (place: Place): Promise<void> => {
  const { host, platform } = place;
  const before = await waitActing(host, platform, 'before the update');
  await timed(place, 'updatedSeconds', async () => {
    await upload(place, 'second');
    await until('the second version runs', async () => (await runs(platform, insideVersions.second)) || undefined, 180_000);
    return await waitActing(host, platform, 'updated', ({ uid }) => uid !== before.uid);
  });
  await healsPaint(host);
  const good = await waitActing(host, platform, 'second version');
  await timed(place, 'returnedSeconds', async () => {
    await upload(place, 'bad');
    const returned = await waitActing(host, platform, 'returned', ({ uid }) => uid !== good.uid, 300_000);
    check(returned.container.restartCount === 3, 'it started three times before it returned', returned);
  });
  check(await runs(platform, insideVersions.second), 'it is the version before', (await platform.host(agentHost)).info);
  await until('people are told', async () => (await platform.events()).some(({ reason }) => reason === 'AgentRolledBack') || undefined, 60_000);
  await healsPaint(host);
  await timed(place, 'updatedAfterBadSeconds', async () => {
    await upload(place, 'last');
    await until('the last version runs', async () => (await runs(platform, insideVersions.last)) || undefined, 180_000);
    return await waitActing(host, platform, 'last version');
  });
  await platform.apply('extras', extrasText('2.0.0', 'blue'));
  await platform.gp(['cloud', 'import', theirs, '--mode', 'full', '--profile', 'extras@2.0.0']);
  await waitReady(platform, '2.0.0', theirs);
};

const isGone = async (platform: Platform, name: string): Promise<boolean> =>
  !(await platform.json<{ name: string }[]>('get', 'clusters')).some((item) => item.name === name);

/** Nothing is left, neither in the cluster nor on its node nor in the hub. */
const leave = async (place: Place, name: string, before: readonly string[]): Promise<void> => {
  const { host, platform } = place;
  await platform.gp(['delete', 'cluster', name, '--yes']);
  await until('the hub has let it go', async () => (await isGone(platform, name)) || undefined, 120_000);
  await until('its namespace is gone', async () => (await kubectl(host, 'get', 'namespace', namespace)).code !== 0 || undefined, 180_000);
  let left: string[] = [];
  await until(
    'the cluster is as it was',
    async () => {
      left = (await inventory(host)).filter((line) => !before.includes(line));
      return left.length === 0 ? true : undefined;
    },
    90_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${left.join(', ')}`);
  });
  check((await platform.json<unknown[]>('get', 'hosts')).length === 0, 'the hub knows no host any more');
  check((await host.exec(['pgrep', '-f', 'agent/inside.mjs'])).code !== 0, 'no process of it runs on the node');
  const missing = before.filter((line) => !/^Pod |^CertificateSigningRequest /.test(line));
  const now = await inventory(host);
  check(
    missing.every((line) => now.includes(line)),
    'nothing of theirs is missing',
    missing.filter((line) => !now.includes(line)),
  );
};

const volume = '/var/lib/agent-volume';
const volumeText = (node: string): string => `apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: by-hand, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: by-hand}
spec:
  capacity: {storage: 2Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: by-hand
  local: {path: ${volume}}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [${node}]}]}]}}
`;

/** Only looked at, with a volume for its memory and an image of a mirror: the next pod fetches nothing. */
const stored = async (place: Place): Promise<void> => {
  const { host, platform } = place;
  await host.run(['mkdir', '-p', volume]);
  await applyText(host, volumeText(host.name));
  const before = await inventory(host);
  const flags = ['--mode', 'read-only', '--storage', '1Gi', '--image', nodeImages.mirrored];
  const { manifest } = await platform.json<{ manifest: string }>('cloud', 'import', theirs, ...flags);
  const first = await timed(place, 'storedActsSeconds', async () => {
    await applyText(host, manifest);
    await until('an agent has come', async () => (await platform.json<unknown[]>('get', 'hosts')).length === 1 || undefined, 180_000);
    return await waitActing(host, platform, 'with a volume');
  });
  check(
    place.asked.some((line) => line.includes('/v2/mirror/node/manifests/26')),
    'the image came from the mirror',
    first,
  );
  await until('seen', async () => (await infrastructure(platform, theirs)).version, 60_000);
  const unpacked = async (): Promise<string> => await host.run(['sh', '-c', `stat -c '%i %Y %u:%g' ${volume}/versions/*/bin/node`]);
  const was = await unpacked();
  await timed(place, 'storedDeletedPodSeconds', async () => {
    await read(host, 'delete', 'pod', first.name, '--namespace', namespace, '--wait=false');
    return await waitActing(host, platform, 'deleted pod with a volume', ({ uid }) => uid !== first.uid);
  });
  check((await unpacked()) === was, 'the package of before was used again', [was, await unpacked()]);
  check(
    (await kubectl(host, 'auth', 'can-i', 'create', 'pods', '--as', `system:serviceaccount:${namespace}:${agent}`)).stdout.trim() === 'no',
    'it may only look',
  );
  await timed(place, 'storedLeftSeconds', async () => await leave(place, theirs, before));
};

/** The agent of an imported cluster as a pod of a real kubelet, in a cluster that somebody made by hand. */
export const insidePod: Scenario = {
  name: 'inside-pod',
  about: 'an imported cluster by an agent in a pod: pulled, probed and restricted by a real kubelet; killed, updated, returned, detached',
  needs: ['base', 'content', 'insideAgents', 'nodeImage'],
  run: async ({ site, prepared, say }) => {
    const figures: Record<string, number> = {};
    const { host } = await runByHand(site, prepared, say);
    await site.route(podNetwork, host);
    const images = await startImageServer({
      layout: prepared.nodeImage,
      images: nodeImageEntries(prepared.nodeImage),
      address: gatewayAddress,
      port: imagePort,
    });
    const platform = await openPlatform(site.folder);
    const note = (name: string, seconds: number): void => {
      figures[name] = seconds;
      say(`${name}: ${seconds}`);
    };
    const place: Place = { host, platform, prepared, note, asked: images.asked };
    const kubelet = { restarts: 0 };
    return await withWords(
      platform,
      () => [host],
      async () => {
        await useMirror(host);
        await waitAlive(host, [host.name]);
        const before = await inventory(host);
        await arrive(place);
        await outlive(place, kubelet);
        await withoutHub(place);
        await update(place);
        say(`the Lease is held by ${await holder(host)}`);
        await timed(place, 'leftSeconds', async () => await leave(place, theirs, before));
        await stored(place);
        return { figures };
      },
      podWords,
    ).finally(() => images.stop());
  },
};
