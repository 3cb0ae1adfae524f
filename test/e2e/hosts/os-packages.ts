import type { TestHost } from '../../lab/hosts/host.ts';
import { until } from '../site.ts';
import { differences, expectedLooks, looksOf, makeRepository, siteProfile, removedLooks, versions, waitLooks, type SiteVersion } from './os-packages-site.ts';
import { agentLog, agentMediumPath, installAgent, startPlatform, waitOnline, type Platform } from './platform.ts';
import { randomOf, tryPowerPoints } from './power-points.ts';
import { check, secondsSince, type Scenario } from './scenario.ts';

const cluster = 'site';
/** The agent waits at most a minute between two tries, and looks at the OS once a minute. */
const settleMs = 180_000;

const wish = async (platform: Platform, host: TestHost, version: SiteVersion): Promise<void> =>
  await platform.wish(cluster, { name: 'site-os', version }, [host.name]);

/** Waits until the hub says that the version is ready and the host agrees. */
const arrived = async (platform: Platform, host: TestHost, version: '1.0.0' | '2.0.0', timeoutMs = settleMs): Promise<void> => {
  let last = '';
  await until(
    `version ${version}`,
    async () => {
      const view = await platform.cluster(cluster);
      last = `${view.state}: ${view.message}`;
      return view.state === 'ready' && view.layers.every((layer) => layer.isCurrent) ? true : undefined;
    },
    timeoutMs,
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}: ${last}; ${differences(await looksOf(host), expectedLooks(version)) ?? 'the host is as wished'}`);
  });
  const wrong = differences(await looksOf(host), expectedLooks(version));
  check(wrong === undefined, `the host is at ${version}`, wrong);
};

/** Everything that somebody could change behind the agent's back, at once. */
const drift = `
apt-mark unhold site-tool >/dev/null
echo 'by hand' >>/etc/site/site.conf
chmod 666 /etc/site/only-1.conf
rm /etc/systemd/system/site-tool.service.d/10-site.conf
systemctl daemon-reload
systemctl disable --now site-job 2>/dev/null
sysctl -q -w vm.swappiness=99
echo 'ssh-ed25519 thief' >>/home/operator/.ssh/authorized_keys
gpasswd --delete operator adm >/dev/null
`;

const driftHeals = async (platform: Platform, host: TestHost): Promise<number> => {
  await host.run(['sh', '-c', drift]);
  check(differences(await looksOf(host), expectedLooks('1.0.0')) !== undefined, 'the drift is there');
  const began = performance.now();
  await waitLooks('drift healed', host, expectedLooks('1.0.0'), 120_000);
  const seconds = secondsSince(began);
  await until('reported', async () => ((await platform.events()).some(({ reason }) => reason === 'DriftHealed') ? true : undefined));
  await arrived(platform, host, '1.0.0');
  return seconds;
};

/** Version 3 cannot become healthy: the host goes back to version 1 with everything, and says why. */
const badVersionIsUndone = async (platform: Platform, host: TestHost): Promise<number> => {
  const began = performance.now();
  await wish(platform, host, '3.0.0');
  const event = await until('the roll-back is reported', async () => (await platform.events()).find(({ reason }) => reason === 'RolledBack'), settleMs);
  check(event.message.includes('site-job'), 'the event names the unit that failed', event.message);
  await waitLooks('version 1 again', host, expectedLooks('1.0.0'), settleMs);
  return secondsSince(began);
};

/** Package mode on a real Debian with systemd and apt. */
export const osPackages: Scenario = {
  name: 'os-packages',
  about: 'the OS layer on a real Debian: packages, units, users, settings; drift, a version that fails, and power cuts while it changes',
  needs: ['base', 'agent'],
  run: async ({ site, prepared, points, seed, say }) => {
    const platform = await startPlatform(site.folder);
    const host = site.addHost('edge-1', [{ path: agentMediumPath, folder: prepared.agent }]);
    try {
      await host.boot();
      await makeRepository(host);
      const before = await looksOf(host);
      const install = await installAgent(host, await platform.ticket('edge'));
      check(install.code === 0, 'install.sh ends with 0', install.output);
      await waitOnline(platform, host.name);
      for (const version of versions) await platform.apply(`site-os-${version}`, siteProfile(version));
      const began = performance.now();
      await wish(platform, host, '1.0.0');
      await arrived(platform, host, '1.0.0');
      const applySeconds = secondsSince(began);
      say(`version 1 after ${applySeconds} s`);
      const healSeconds = await driftHeals(platform, host);
      say(`drift healed after ${healSeconds} s`);
      const undoSeconds = await badVersionIsUndone(platform, host);
      say(`the broken version was undone after ${undoSeconds} s`);

      const upgrade = performance.now();
      await wish(platform, host, '2.0.0');
      await arrived(platform, host, '2.0.0');
      const upgradeMs = performance.now() - upgrade;
      say(`version 2 after ${secondsSince(upgrade)} s`);
      const versionOf = (index: number): '1.0.0' | '2.0.0' => (index % 2 === 0 ? '1.0.0' : '2.0.0');
      const power = await tryPowerPoints({
        host,
        points,
        random: randomOf(seed),
        spanMs: upgradeMs,
        begin: async (index) => await wish(platform, host, versionOf(index)),
        settle: async (index) => await arrived(platform, host, versionOf(index)),
        say,
      });
      if (power.stuck > 0) say(await agentLog(host));
      await platform.removeCluster(cluster);
      await waitLooks('everything is put back', host, removedLooks(before, power.points === 0 ? '2.0.0' : versionOf(power.points - 1)), settleMs);
      const { failures, ...figures } = power;
      if (failures.length > 0) throw new Error(failures.join('\n'));
      return { points: power.points, stuck: power.stuck, figures: { applySeconds, healSeconds, undoSeconds, ...figures } };
    } catch (error) {
      throw new Error(
        `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nagent: ${await agentLog(host).catch(String)}\nhub: ${platform.log.join('').slice(-2000)}`,
        { cause: error },
      );
    } finally {
      await platform.stop();
    }
  },
};
