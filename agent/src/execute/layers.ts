import { fail, ok } from '@groundplane/protocol/failure';
import type { AgentWrite } from '../port/store.ts';
import { writes, type LayerRow } from '../store/state.ts';
import type { ExecuteContext, Executor } from './context.ts';

export const beginLayer: Executor<'beginLayer'> = async (args, context) => {
  const before = context.state.layer(args.layer);
  const layer = args.event === 'delete' ? before?.layer : context.target.bundle?.layers.find((item) => item.name === args.layer);
  if (layer === undefined) return fail('fatal', 'layer-unknown', `layer ${args.layer}`, 'is in no bundle of this host');
  const row: LayerRow = {
    name: args.layer,
    digest: args.digest,
    layer,
    state: 'installing',
    event: args.event,
    revision: args.revision,
    healed: before?.healed ?? 0,
    ...(before?.healedLast === undefined ? {} : { healedLast: before.healedLast }),
  };
  return ok([writes.layer(row)]);
};

export const finishLayer: Executor<'finishLayer'> = async (args, context) => {
  const row = context.state.layer(args.layer);
  if (row === undefined || row.digest !== args.digest) return ok([]);
  context.event({
    type: 'normal',
    reason: 'LayerReady',
    layer: args.layer,
    message: `layer ${args.layer} runs ${row.layer.pack.name} ${row.layer.pack.version}`,
  });
  return ok([writes.layer({ ...row, state: 'installed' }), ...forgottenHooks(context, args.layer, row.revision)]);
};

/** Runs of earlier revisions are of no use any more. */
const forgottenHooks = (context: ExecuteContext, layer: string, revision: number): AgentWrite[] =>
  [...context.state.hooksDone()].filter((key) => key.startsWith(`${layer}/`) && !key.startsWith(`${layer}/${revision}/`)).map((key) => writes.noHook(key));

export const relabelLayer: Executor<'relabelLayer'> = async (args, context) => {
  const row = context.state.layer(args.layer);
  const layer = context.target.bundle?.layers.find((item) => item.name === args.layer);
  return ok(row === undefined || layer === undefined ? [] : [writes.layer({ ...row, layer })]);
};

export const forgetLayer: Executor<'forgetLayer'> = async (args, context) => {
  context.event({ type: 'normal', reason: 'LayerRemoved', layer: args.layer, message: `layer ${args.layer} is gone` });
  return ok([writes.noLayer(args.layer), ...forgottenHooks(context, args.layer, -1)]);
};

export const commit: Executor<'commit'> = async (args, context) => {
  const current = context.state.slot('current');
  if (current === undefined || current.version.digest !== args.version.digest) return ok([]);
  context.event({ type: 'normal', reason: 'GenerationHolds', message: `generation ${args.version.generation} holds` });
  return ok([...writes.slot('good', current), ...(current.desired.detached === true ? forgetCluster(context) : [])]);
};

/** The host left a cluster that goes on: what it owned in Kubernetes is looked after by others now. */
export const forgetCluster = ({ state }: ExecuteContext): AgentWrite[] => [
  ...state.layers().map((row) => writes.noLayer(row.name)),
  ...state.objects().map((record) => writes.noObject(record.ref)),
  ...[...state.hooksDone()].map((key) => writes.noHook(key)),
];
