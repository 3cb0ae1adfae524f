import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '@groundplane/protocol/failure';
import { findingText } from '@groundplane/protocol/finding';
import { readUserData } from '@groundplane/protocol/user-data/read';
import type { UserData } from '@groundplane/protocol/user-data/schema';
import type { Host } from '../port/host.ts';
import { runCommand } from '../system/command.ts';
import { writeDurably } from '../system/durable.ts';
import { systemInfo } from '../system/info.ts';
import { linuxHost } from '../system/linux.ts';
import { bootNames } from './boot-names.ts';
import { doneFile, installToDisk } from './install.ts';
import { settingsOf } from './settings.ts';

/**
 * Runs once in a boot, before network and agent, on hosts that run from an image: applies `groundplane/user-data` and `groundplane/ticket` of the boot partition
 * when they are new, or installs to a disk. A mistake in them is told on the console and applies nothing.
 */
const esp = '/efi';
const folder = join(esp, 'groundplane');
const appliedFile = '/var/lib/groundplane/user-data.applied';
const definitions = '/usr/lib/groundplane/repart-install.d';

const say = (text: string): void => void process.stdout.write(`groundplane: ${text}\n`);
const told = (result: Result<unknown>): boolean => {
  if (!result.ok) say(`${result.failure.element}: ${result.failure.message}`);
  return result.ok;
};

const readFromBoot = (name: string | undefined): string | undefined => (name === undefined ? undefined : readFileSync(join(folder, name), 'utf8'));

const apply = async (host: Host, config: UserData, ticket: string | undefined): Promise<boolean> => {
  const settings = settingsOf(config, ticket);
  let isWhole = true;
  for (const account of settings.accounts) isWhole = told(await host.setAccount(account.name, { groups: account.groups, shell: account.shell })) && isWhole;
  for (const file of [...settings.files, ...settings.accounts.flatMap(({ keys }) => keys ?? [])]) isWhole = told(await host.writeFile(file)) && isWhole;
  const passwords = settings.accounts.flatMap(({ name, passwordHash }) => (passwordHash === undefined ? [] : [['usermod', '--password', passwordHash, name]]));
  const owned = settings.accounts.flatMap(({ name, keys }) =>
    keys === undefined ? [] : [['chown', `${name}:`, keys.path.slice(0, keys.path.lastIndexOf('/'))]],
  );
  for (const [program = '', ...args] of [...passwords, ...owned, ...settings.commands]) {
    const ran = await runCommand(program, args);
    if (ran.code !== 0) say(`${program} failed: ${ran.stderr.trim().slice(0, 300)}`);
    isWhole = ran.code === 0 && isWhole;
  }
  return isWhole;
};

/** Bytes that the fixed partitions take, and something for data. */
const neededBytes = (): number => {
  const text = readFileSync(join(definitions, 'needed-bytes'), 'utf8').trim();
  return Number(text);
};

const ownDisk = (): string => /^GROUNDPLANE_DISK=(\S+)$/m.exec(readFileSync('/run/groundplane/disk', 'utf8'))?.[1] ?? '';

/** False when there was nothing to install, since the system is where it shall be. */
const install = async (wish: NonNullable<UserData['install']>): Promise<boolean> => {
  const done = await installToDisk(wish, {
    run: runCommand,
    esp,
    ownDisk: ownDisk(),
    machine: await readFile('/sys/class/dmi/id/product_uuid', 'utf8').then(
      (text) => text.trim(),
      () => '',
    ),
    definitions,
    neededBytes: neededBytes(),
    staging: '/run/groundplane/install-esp',
    say,
  });
  if (!told(done) || !done.ok) return true;
  if (done.value === 'runs-from-it') return false;
  // A medium that is still in the machine would only start again.
  const end = done.value === 'was-installed' ? 'poweroff' : wish.end;
  say(`${end === 'reboot' ? 'rebooting' : 'switching off'}; remove the medium`);
  await runCommand('systemctl', [end, '--no-block']);
  return true;
};

const main = async (): Promise<void> => {
  const names = bootNames(await readdir(folder).catch(() => []));
  for (const name of names.unread) say(`groundplane/${name} is not read; user data are called user-data or user-data.yaml, and a ticket is called ticket`);
  const text = readFromBoot(names.userData);
  const ticket = readFromBoot(names.ticket);
  if (text === undefined && ticket === undefined) return say('there are no user data on the boot partition');
  const digest = createHash('sha256')
    .update(JSON.stringify([text, ticket]))
    .digest('hex');
  const read = readUserData(text ?? '');
  const { config } = read;
  for (const finding of read.findings) say(findingText(finding));
  if (config === undefined) return say('the user data have errors, so nothing of them was applied');
  if (config.install !== undefined && !existsSync(join(esp, doneFile)) && (await install(config.install))) return;
  if (existsSync(appliedFile) && readFileSync(appliedFile, 'utf8').trim() === digest) return;
  const info = await systemInfo('first-boot');
  const isWhole = await apply(linuxHost({ root: '/', sysctlRoot: '/proc/sys', systemctl: 'systemctl', info }), config, ticket);
  say(isWhole ? 'the user data are applied' : 'the user data are applied in part; they are tried again at the next start');
  if (isWhole) writeDurably(appliedFile, `${digest}\n`);
};

await main().catch((error: unknown) => say(`the user data could not be applied: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`));
