import { ok } from '@groundplane/protocol/failure';
import { writes } from '../store/state.ts';
import type { Executor } from './context.ts';
import { isDrift, noteHealed } from './drift.ts';
import { remember } from './os.ts';

export const loadModule: Executor<'loadModule'> = async (args, context) => {
  const remembered = await remember(context, args.layer, 'module', args.module, async () => {
    const read = await context.host.readModule(args.module);
    return read.ok ? ok({ module: read.value }) : read;
  });
  if (!remembered.ok) return remembered;
  const now = await context.host.readModule(args.module);
  if (!now.ok) return now;
  const done = now.value === 'absent' ? await context.host.loadModule(args.module) : ok(undefined);
  return done.ok ? ok([]) : done;
};

export const restoreModule: Executor<'restoreModule'> = async (args, context) => {
  const item = context.state.osItem({ layer: args.layer, kind: 'module', key: args.module });
  if (item === undefined) return ok([]);
  const done = 'module' in item.before && item.before.module === 'absent' ? await context.host.unloadModule(args.module) : ok(undefined);
  return done.ok ? ok([writes.noOs(item)]) : done;
};

export const setUser: Executor<'setUser'> = async (args, context) => {
  const remembered = await remember(context, args.layer, 'user', args.user, async () => {
    const read = await context.host.readAccount(args.user);
    return read.ok ? ok({ user: read.value }) : read;
  });
  if (!remembered.ok) return remembered;
  const done = await context.host.setAccount(args.user, { groups: [...args.groups], shell: args.shell });
  if (!done.ok) return done;
  return ok(isDrift(args.reason) ? noteHealed(context, args.layer, `account ${args.user}`) : []);
};

export const restoreUser: Executor<'restoreUser'> = async (args, context) => {
  const item = context.state.osItem({ layer: args.layer, kind: 'user', key: args.user });
  if (item === undefined) return ok([]);
  const before = 'user' in item.before ? item.before.user : 'absent';
  // Groups that it got from us stay with an account that was there before: taking one away could lock its owner out.
  const done =
    before === 'absent' ? await context.host.removeAccount(args.user) : await context.host.setAccount(args.user, { groups: [], shell: before.shell });
  return done.ok ? ok([writes.noOs(item)]) : done;
};
