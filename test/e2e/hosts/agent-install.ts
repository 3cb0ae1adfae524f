import { setTimeout as delay } from 'node:timers/promises';
import { agentVersions } from '../../lab/hosts/agent-package.ts';
import type { TestHost } from '../../lab/hosts/host.ts';
import { until } from '../site.ts';
import { agentLog, agentMediumPath, agentProperty, installAgent, startPlatform, waitOnline, type Platform } from './platform.ts';
import { check, secondsSince, type Scenario } from './scenario.ts';

const unit = 'groundplane-agent';
const watchdogSeconds = 10;
/** What is compiled late and collected first belongs to the start. */
const settleMs = 60_000;
const idleMs = 300_000;

const mainPid = async (host: TestHost): Promise<number> => Number(await agentProperty(host, 'MainPID'));

const installed = async (host: TestHost): Promise<string> => (await host.run(['readlink', '/opt/groundplane/current'])).trim();

/** Nobody knows a hub that hangs better than systemd: the process is stopped, so no ping comes, and a new one has to come up by itself. */
const watchdogKills = async (host: TestHost): Promise<number> => {
  await host.run(['mkdir', '-p', `/etc/systemd/system/${unit}.service.d`]);
  await host.run(['sh', '-c', 'cat >"$1"', 'sh', `/etc/systemd/system/${unit}.service.d/test.conf`], { input: `[Service]\nWatchdogSec=${watchdogSeconds}\n` });
  await host.run(['systemctl', 'daemon-reload']);
  await host.run(['systemctl', 'restart', unit], { timeoutMs: 60_000 });
  const before = await mainPid(host);
  // It must live on with a short watchdog first: three intervals.
  await delay(watchdogSeconds * 3_000);
  check((await mainPid(host)) === before, 'the agent answers its watchdog', await agentLog(host));
  const began = performance.now();
  await host.run(['kill', '-STOP', String(before)]);
  await until(
    'a new agent after the hang',
    async () => {
      const pid = await mainPid(host);
      return pid !== 0 && pid !== before && (await agentProperty(host, 'ActiveState')) === 'active' ? true : undefined;
    },
    120_000,
  );
  const seconds = secondsSince(began);
  await host.run(['rm', '-r', `/etc/systemd/system/${unit}.service.d`]);
  await host.run(['systemctl', 'daemon-reload']);
  await host.run(['systemctl', 'restart', unit], { timeoutMs: 60_000 });
  return seconds;
};

/** Three starts, then the version before; and the hub hears of it. */
const brokenReturns = async (host: TestHost, platform: Platform): Promise<number> => {
  const good = await installed(host);
  const began = performance.now();
  const update = await installAgent(host, '', 'broken');
  check(update.code === 0 || /did not start/.test(update.output), 'the broken version was installed', update.output);
  await until(
    'the version before',
    async () => ((await installed(host)) === good && (await agentProperty(host, 'ActiveState')) === 'active' ? true : undefined),
    180_000,
  );
  const seconds = secondsSince(began);
  await waitOnline(platform, host.name);
  const event = await until('the event of the return', async () => (await platform.events()).find(({ reason }) => reason === 'AgentRolledBack'));
  check(event.message.includes(agentVersions.broken) && event.message.includes(agentVersions.good), 'the event names both versions', event.message);
  const log = await agentLog(host, 200);
  check(log.match(/this version is broken/g)?.length === 3, 'the broken version was started three times', log);
  return seconds;
};

const kibibytes = (text: string, name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);

/** What an agent without anything to do costs: memory of its process and CPU time of all its threads and children. */
const footprint = async (host: TestHost): Promise<Record<string, number>> => {
  const pid = await mainPid(host);
  const cpu = async (): Promise<number> => {
    const threads = (await host.run(['sh', '-c', 'cat "/proc/$1"/task/*/schedstat', 'sh', String(pid)])).trim().split('\n');
    const own = threads.reduce((sum, line) => sum + Number(line.split(' ')[0]) / 1e9, 0);
    // Fields 16 and 17 of proc(5)'s stat: its children's time, in hundredths of a second.
    const fields = (await host.run(['cat', `/proc/${pid}/stat`])).split(') ')[1]?.split(' ') ?? [];
    return own + (Number(fields[13]) + Number(fields[14])) / 100;
  };
  await delay(settleMs);
  const before = await cpu();
  const began = performance.now();
  await delay(idleMs);
  const used = (await cpu()) - before;
  const seconds = (performance.now() - began) / 1000;
  const memory = await host.run(['cat', `/proc/${pid}/smaps_rollup`]);
  const privateKib = kibibytes(memory, 'Private_Dirty') + kibibytes(memory, 'Private_Clean');
  const mebibytes = (kib: number): number => Math.round((kib / 1024) * 10) / 10;
  return {
    idleResidentMib: mebibytes(kibibytes(memory, 'Rss')),
    idlePrivateMib: mebibytes(privateKib),
    idlePrivateDirtyMib: mebibytes(kibibytes(memory, 'Private_Dirty')),
    idleCpuSecondsPerDay: Math.round((used / seconds) * 86_400 * 10) / 10,
  };
};

/** Files of the system that differ from before; logs and caches are nobody's leftovers. */
const listFiles = async (host: TestHost): Promise<Set<string>> => {
  const skipped = ['/proc', '/sys', '/dev', '/run', '/tmp', '/media', '/var/log', '/var/tmp', '/var/cache', '/var/lib/systemd', '/var/lib/kubelet'];
  const prune = skipped.flatMap((path, index) => [...(index === 0 ? [] : ['-o']), '-path', path]);
  return new Set((await host.run(['find', '/', '(', ...prune, ')', '-prune', '-o', '-print'])).trim().split('\n'));
};

const uninstallLeavesNothing = async (host: TestHost, before: ReadonlySet<string>): Promise<void> => {
  await host.run(['sh', `${agentMediumPath}/good/install.sh`, '--uninstall', '--purge'], { timeoutMs: 120_000 });
  const left = [...(await listFiles(host))].filter((path) => !before.has(path));
  check(left.length === 0, 'no file of the agent is left', left);
  check((await host.exec(['systemctl', 'cat', unit])).code !== 0, 'systemd does not know the unit any more');
  check((await host.exec(['pgrep', '-f', 'groundplane'])).code === 1, 'no process of the agent is left');
};

/** The package that ships, on a machine with systemd: install, hang, bad update, idle, uninstall. */
export const agentInstall: Scenario = {
  name: 'agent-install',
  about: 'the package of the agent on a real systemd: start, watchdog, return from a crashing version, power cut, idle cost, uninstall',
  needs: ['base', 'agent'],
  run: async ({ site, prepared, say }) => {
    const platform = await startPlatform(site.folder);
    const host = site.addHost('edge-1', [{ path: agentMediumPath, folder: prepared.agent }]);
    try {
      await host.boot();
      const before = await listFiles(host);
      const began = performance.now();
      const install = await installAgent(host, await platform.ticket('edge'));
      check(install.code === 0, 'install.sh ends with 0', install.output);
      await waitOnline(platform, host.name);
      const installSeconds = secondsSince(began);
      say(`online ${installSeconds} s after the start of install.sh`);
      check((await host.exec(['systemctl', 'is-enabled', unit])).code === 0, 'the agent starts at boot');

      const returnSeconds = await brokenReturns(host, platform);
      say(`back from the broken version after ${returnSeconds} s`);
      const watchdogSecondsSeen = await watchdogKills(host);
      say(`a hanging agent was replaced after ${watchdogSecondsSeen} s`);

      await host.powerCut();
      const cut = performance.now();
      await host.boot();
      await until('offline, then online', async () => ((await agentProperty(host, 'ActiveState')) === 'active' ? true : undefined));
      await waitOnline(platform, host.name);
      const onlineAfterPowerOnSeconds = secondsSince(cut);
      say(`online ${onlineAfterPowerOnSeconds} s after power-on`);

      await until('healthy', async () => ((await host.exec(['cat', '/var/lib/groundplane/slots/healthy'])).code === 0 ? true : undefined), 120_000);
      const idle = await footprint(host);
      say(`idle: ${JSON.stringify(idle)}`);
      await uninstallLeavesNothing(host, before);
      return { figures: { installSeconds, returnSeconds, watchdogSeconds: watchdogSecondsSeen, onlineAfterPowerOnSeconds, ...idle } };
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
