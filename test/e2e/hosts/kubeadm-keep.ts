import { until } from '../site.ts';
import { addEdge, checkCluster, kubectl, openPlatform, release, siteName, waitReady, withWords } from './kubeadm-site.ts';
import { check, secondsSince, type Scenario } from './scenario.ts';

const snapshots = '/var/lib/groundplane/snapshots';

/**
 * What keeps a cluster alive for years, in minutes: certificates that live five of them are renewed by the agent, and the datastore is brought back to the snapshot
 * that the agent took.
 */
export const kubeadmKeep: Scenario = {
  name: 'kubeadm-keep',
  about: 'certificates renewed in time, the datastore restored from a snapshot of the agent',
  needs: ['base', 'content', 'agent'],
  run: async ({ site, prepared, say }) => {
    const platform = await openPlatform(site.folder);
    return withWords(
      platform,
      () => site.hosts,
      async () => {
        // kubeadm dates certificates back by five minutes, so these live ten; the agent renews them when a third is left.
        const content = await release(platform, prepared.content, { version: '1.0.0', cluster: 'certificateValidityPeriod: 5m0s' });
        const host = await addEdge(site, prepared, platform, 'edge-1');
        await platform.wish(siteName, { name: 'edge', version: '1.0.0' }, [host.name]);
        await waitReady(platform, '1.0.0');
        const serial = async (): Promise<string> => (await host.run(['sh', '-c', 'sha256sum </etc/kubernetes/pki/apiserver.crt'])).trim();
        const first = await serial();
        const began = performance.now();
        await until('the certificates are new', async () => (await serial()) !== first || undefined, 300_000);
        const renewedSeconds = secondsSince(began);
        say(`certificates renewed after ${renewedSeconds} s`);
        await checkCluster([host], content.version);
        await until('people are told', async () => (await platform.events()).some(({ reason }) => reason === 'CertificatesRenewed') || undefined, 60_000);

        // The same version with another configuration; from here on certificates live as long as usual.
        await release(platform, prepared.content, { version: '1.1.0' });
        const changing = performance.now();
        await platform.wish(siteName, { name: 'edge', version: '1.1.0' }, [host.name]);
        await waitReady(platform, '1.1.0');
        const reconfiguredSeconds = secondsSince(changing);
        say(`another configuration after ${reconfiguredSeconds} s`);

        await host.run(['sh', '-c', `rm -f ${snapshots}/*`]);
        const list = async (): Promise<string[]> => (await host.run(['ls', snapshots])).split('\n').filter((name) => name.endsWith('.db'));
        const saved = await until('the agent takes a snapshot', async () => ((await list()).length > 0 ? await list() : undefined), 180_000);
        check((await kubectl(host, 'create', 'configmap', 'after-the-snapshot')).code === 0, 'an object can be made after the snapshot');
        const restoring = performance.now();
        const restored = await host.exec(['groundplane-agent', 'kubernetes', 'restore', `${snapshots}/${saved.at(-1) ?? ''}`], {
          timeoutMs: 600_000,
        });
        check(restored.code === 0, 'the datastore is restored', restored.stdout + restored.stderr);
        const restoredSeconds = secondsSince(restoring);
        say(`restored after ${restoredSeconds} s`);
        check((await kubectl(host, 'get', 'configmap', 'after-the-snapshot')).code !== 0, 'what came after the snapshot is gone');
        await waitReady(platform, '1.1.0');
        await checkCluster([host], content.version);
        return { figures: { renewedSeconds, reconfiguredSeconds, restoredSeconds } };
      },
    );
  },
};
