import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Packages, PackageWish } from '../port/host.ts';
import { writes, type OsRecord } from '../store/state.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { isDrift, noteHealed } from './drift.ts';
import { remember } from './os.ts';

const managerOf = (context: ExecuteContext, element: string): Result<Packages> =>
  context.host.packages === undefined
    ? fail('blocked', 'packages-unsupported', element, 'this host has none of apt, dnf and zypper')
    : ok(context.host.packages);

/** Before-images of all of them are on disk before the manager is called; it is called once, so that it solves them together. */
export const setPackages: Executor<'setPackages'> = async (args, context) => {
  const manager = managerOf(context, `layer ${args.layer}`);
  if (!manager.ok) return manager;
  const before = await manager.value.read(args.packages.map((item) => item.name));
  if (!before.ok) return before;
  for (const { name } of args.packages) {
    const remembered = await remember(context, args.layer, 'package', name, async () => ok({ package: before.value.get(name) ?? 'absent' }));
    if (!remembered.ok) return remembered;
  }
  const done = await manager.value.install(args.packages);
  if (!done.ok) return done;
  const names = args.packages.map(({ name }) => name).join(', ');
  return ok(isDrift(args.reason) ? noteHealed(context, args.layer, `packages ${names.slice(0, 200)}`) : []);
};

/** Those that were there go back to their version; those that were not are removed. */
export const restorePackages: Executor<'restorePackages'> = async (args, context) => {
  const items = args.names
    .map((key) => context.state.osItem({ layer: args.layer, kind: 'package', key }))
    .filter((item): item is OsRecord => item !== undefined);
  if (items.length === 0) return ok([]);
  const manager = managerOf(context, `layer ${args.layer}`);
  if (!manager.ok) return manager;
  const back: PackageWish[] = [];
  const gone: string[] = [];
  for (const item of items) {
    const before = 'package' in item.before ? item.before.package : 'absent';
    if (before === 'absent') gone.push(item.key);
    else back.push({ name: item.key, version: before.version, held: before.held });
  }
  const installed = back.length === 0 ? ok(undefined) : await manager.value.install(back);
  if (!installed.ok) return installed;
  const removed = gone.length === 0 ? ok(undefined) : await manager.value.remove(gone);
  return removed.ok ? ok(items.map((item) => writes.noOs(item))) : removed;
};
