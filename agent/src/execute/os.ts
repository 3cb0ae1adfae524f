import { fail, ok } from '@groundplane/protocol/failure';
import type { OwnedOsKind } from '@groundplane/protocol/plan/facts';
import type { Result } from '@groundplane/protocol/failure';
import { writes, type Before } from '../store/state.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { isDrift, noteHealed } from './drift.ts';

/** The before-image is on disk before the first change, and is never taken twice: the second one would be our own. */
export const remember = async (
  context: ExecuteContext,
  layer: string,
  kind: OwnedOsKind,
  key: string,
  read: () => Promise<Result<Before>>,
): Promise<Result<void>> => {
  if (context.state.osItem({ layer, kind, key }) !== undefined) return ok(undefined);
  const other = context.state.os().find((item) => item.kind === kind && item.key === key);
  if (other !== undefined) return context.state.commit([writes.noOs(other), writes.os({ ...other, layer })]);
  const before = await read();
  return before.ok ? context.state.commit([writes.os({ layer, kind, key, before: before.value })]) : before;
};

export const writeFile: Executor<'writeFile'> = async (args, context) => {
  const content = context.state.content(args.digest);
  if (content === undefined) return fail('retry', 'content-missing', args.path, `the content ${args.digest} is not here`);
  const remembered = await remember(context, args.layer, 'file', args.path, async () => {
    const read = await context.host.readFile(args.path);
    return read.ok ? ok({ file: read.value }) : read;
  });
  if (!remembered.ok) return remembered;
  const written = await context.host.writeFile({ path: args.path, content, mode: args.mode, owner: args.owner, group: args.group });
  if (!written.ok) return written;
  return ok(isDrift(args.reason) ? noteHealed(context, args.layer, `file ${args.path}`, args.reason === 'missing') : []);
};

export const restoreFile: Executor<'restoreFile'> = async (args, context) => {
  const item = context.state.osItem({ layer: args.layer, kind: 'file', key: args.path });
  if (item === undefined) return ok([]);
  const before = 'file' in item.before ? item.before.file : 'absent';
  const done = before === 'absent' ? await context.host.removeFile(args.path) : await context.host.writeFile({ path: args.path, ...before });
  return done.ok ? ok([writes.noOs(item)]) : done;
};

export const setSysctl: Executor<'setSysctl'> = async (args, context) => {
  const remembered = await remember(context, args.layer, 'sysctl', args.key, async () => {
    const read = await context.host.readSysctl(args.key);
    return read.ok ? ok({ sysctl: read.value }) : read;
  });
  if (!remembered.ok) return remembered;
  const written = await context.host.writeSysctl(args.key, args.value);
  if (!written.ok) return written;
  return ok(isDrift(args.reason) ? noteHealed(context, args.layer, `setting ${args.key}`) : []);
};

export const restoreSysctl: Executor<'restoreSysctl'> = async (args, context) => {
  const item = context.state.osItem({ layer: args.layer, kind: 'sysctl', key: args.key });
  if (item === undefined) return ok([]);
  const before = 'sysctl' in item.before ? item.before.sysctl : 'absent';
  const done = before === 'absent' ? ok(undefined) : await context.host.writeSysctl(args.key, before);
  return done.ok ? ok([writes.noOs(item)]) : done;
};

export const reloadUnits: Executor<'reloadUnits'> = async (_, context) => {
  const done = await context.host.reloadUnits();
  return done.ok ? ok([]) : done;
};

export const setUnit: Executor<'setUnit'> = async (args, context) => {
  // The step has no reason. What was ours in the version that holds, and needs no restart for a new file, was changed by somebody else.
  const isOurs = context.state.osItem({ layer: args.layer, kind: 'unit', key: args.unit }) !== undefined;
  const isHealing = isOurs && !args.restart && context.state.slot('good')?.version.digest === context.target.version.digest;
  const remembered = await remember(context, args.layer, 'unit', args.unit, async () => {
    const read = await context.host.readUnit(args.unit);
    if (!read.ok) return read;
    // Its unit file was written a step ago if the layer brings one; a unit that nobody had before is inactive before.
    return ok({ unit: read.value });
  });
  if (!remembered.ok) return remembered;
  const done = await context.host.setUnit(args.unit, { enabled: args.enabled, active: args.active, restart: args.restart });
  if (!done.ok) return done;
  return ok(isHealing ? noteHealed(context, args.layer, `unit ${args.unit}`) : []);
};

export const restoreUnit: Executor<'restoreUnit'> = async (args, context) => {
  const item = context.state.osItem({ layer: args.layer, kind: 'unit', key: args.unit });
  if (item === undefined) return ok([]);
  const before = 'unit' in item.before && item.before.unit !== 'absent' ? item.before.unit : { enabled: false, active: false };
  const now = await context.host.readUnit(args.unit);
  if (!now.ok) return now;
  const done = now.value === 'absent' ? ok(undefined) : await context.host.setUnit(args.unit, { ...before, restart: false });
  return done.ok ? ok([writes.noOs(item)]) : done;
};
