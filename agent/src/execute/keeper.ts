import { fail, ok } from '@groundplane/protocol/failure';
import { forgetTraits, setTraits } from '../distribution/node-traits.ts';
import { cordonNode, endNodeTurn, giveNodeTurn } from '../distribution/nodes.ts';
import { sealFor } from '../distribution/seal.ts';
import type { GivenInvitation } from '../observe/distribution.ts';
import { writes } from '../store/state.ts';
import type { Executor } from './context.ts';
import { readyFor } from './kubernetes.ts';

export const inviteHost: Executor<'inviteHost'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const { distribution } = ready.value;
  const cluster = context.target.desired.cluster?.id ?? '';
  if (args.role === 'control-plane') {
    // It is no member yet, so one of its name in the datastore is of an earlier machine.
    const forgotten = await distribution.forgetServer(args.name);
    if (!forgotten.ok) return forgotten;
  }
  const secrets = await distribution.invite(args.role);
  if (!secrets.ok) return secrets;
  const sealed = sealFor(args.sealKey, JSON.stringify(secrets.value), `join ${cluster} ${args.host}`);
  if (sealed === undefined) return fail('blocked', 'seal-key-invalid', `host ${args.name}`, 'the key that it wants its invitation sealed with is none');
  const given: GivenInvitation = { cluster, host: args.host, sealed, sealKey: args.sealKey, atMs: context.clock.wallMs() };
  context.event({ type: 'normal', reason: 'HostInvited', layer: args.layer, message: `${args.name} may join as ${args.role}` });
  const before = context.state.kv<Record<string, GivenInvitation>>('invitations') ?? {};
  const members = new Set(context.target.desired.cluster?.site?.members.map((member) => member.host));
  const current = Object.entries(before).filter(([host]) => members.has(host));
  return ok([writes.kv('invitations', { ...Object.fromEntries(current), [args.host]: given })]);
};

export const removeNode: Executor<'removeNode'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  if (context.cluster === undefined) return fail('retry', 'api-unreachable', `node ${args.node}`, 'the API server does not answer');
  if (args.role === 'control-plane') {
    const forgotten = await ready.value.distribution.forgetServer(args.node);
    if (!forgotten.ok) return forgotten;
  }
  const gone = await context.cluster.delete({ apiVersion: 'v1', kind: 'Node', name: args.node }, { propagation: 'Background' });
  if (!gone.ok) return gone;
  const forgotten = await forgetTraits(context.cluster, args.node);
  if (!forgotten.ok) return forgotten;
  context.event({ type: 'normal', reason: 'NodeRemoved', layer: args.layer, message: `node ${args.node} left the cluster` });
  return ok([]);
};

export const giveTurn: Executor<'giveTurn'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  if (context.cluster === undefined) return fail('retry', 'api-unreachable', `node ${args.node}`, 'the API server does not answer');
  if (args.drain) {
    // First by a field of ours, so that the end of the turn takes exactly that back.
    const cordoned = await cordonNode(context.cluster, args.node);
    if (!cordoned.ok) return cordoned;
    const drained = await ready.value.distribution.drain(args.node, args.timeoutMs);
    if (!drained.ok) return drained;
  }
  const given = await giveNodeTurn(context.cluster, args.node, args.digest, args.drain);
  return given.ok ? ok([]) : given;
};

export const endTurn: Executor<'endTurn'> = async (args, context) => {
  if (context.cluster === undefined) return fail('retry', 'api-unreachable', `node ${args.node}`, 'the API server does not answer');
  const ended = await endNodeTurn(context.cluster, args.node);
  return ended.ok ? ok([]) : ended;
};

export const setNodeTraits: Executor<'setNodeTraits'> = async (args, context) => {
  if (context.cluster === undefined) return fail('retry', 'api-unreachable', `node ${args.node}`, 'the API server does not answer');
  const set = await setTraits(context.cluster, args.node, args);
  if (!set.ok) return set;
  const traits = [...Object.keys(args.labels), ...args.taints.map((taint) => `${taint.key}:${taint.effect}`)];
  context.event({
    type: 'normal',
    reason: 'NodeTraitsSet',
    layer: args.layer,
    message: `node ${args.node} has ${traits.length === 0 ? 'no labels and taints of ours' : traits.join(', ')}`.slice(0, 500),
  });
  return ok([]);
};
