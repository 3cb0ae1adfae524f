import { check, secondsSince, type Scenario } from './scenario.ts';

/** The hosts themselves: whatever the other scenarios rely on. */
export const boot: Scenario = {
  name: 'boot',
  about: 'two hosts boot with systemd, reach each other, keep their disks over a power cut, and come back from a reboot',
  needs: ['base'],
  run: async ({ site, say }) => {
    const began = performance.now();
    const [one, two] = [site.addHost('one'), site.addHost('two')];
    await Promise.all([one.boot(), two.boot()]);
    const bootSeconds = secondsSince(began);
    say(`two hosts are up after ${bootSeconds} s`);
    const failed = await one.run(['systemctl', '--failed', '--plain', '--no-legend']);
    check(failed === '', 'no failed unit', failed);
    await one.run(['ping', '-c', '1', '-W', '2', two.address]);
    check((await one.exec(['false'])).code === 1, 'the exit code of a command comes back');
    check((await one.run(['cat'], { input: 'typed' })) === 'typed', 'a command reads its input');

    const bootId = await one.run(['cat', '/proc/sys/kernel/random/boot_id']);
    check(bootId !== (await two.run(['cat', '/proc/sys/kernel/random/boot_id'])), 'each host has a boot of its own');
    // Of the machine, not of a namespace: the host changes a file of its own.
    await one.run(['sysctl', '-q', '-w', 'vm.swappiness=7']);
    check((await two.run(['sysctl', '-n', 'vm.swappiness'])).trim() !== '7', 'kernel settings stay with their host');
    check((await one.exec(['sysctl', '-w', 'kernel.sysrq=0'])).code !== 0, 'other kernel settings are read-only');
    // Setting the clock to what it says would change nothing if it were allowed after all.
    check((await one.exec(['sh', '-c', 'date --set "@$(date +%s)"'])).code !== 0, 'the clock of the machine cannot be set');

    await one.run(['sh', '-c', 'echo kept >/var/lib/kept && systemd-run --unit=busy --collect sleep 1000']);
    await one.powerCut();
    check(one.power() === 'off', 'the host is off after a power cut');
    await one.boot();
    check((await one.run(['cat', '/var/lib/kept'])) === 'kept\n', 'files survive a power cut');
    check((await one.run(['cat', '/proc/sys/kernel/random/boot_id'])) !== bootId, 'another boot');
    check((await one.exec(['systemctl', 'is-active', 'busy'])).code !== 0, 'processes do not survive a power cut');

    await one.exec(['systemctl', 'reboot']);
    await one.waitBoots(3);
    check((await one.run(['cat', '/var/lib/kept'])) === 'kept\n', 'files survive a reboot');
    await one.exec(['systemctl', 'poweroff']);
    await two.shutdown();
    check(two.power() === 'off', 'the host is off after a shutdown');
    await two.boot();
    check(two.boots() === 2, 'it boots again', two.boots());
    return { figures: { bootSeconds, hostCpuSeconds: Math.round((one.cpuSeconds() + two.cpuSeconds()) * 100) / 100 } };
  },
};
