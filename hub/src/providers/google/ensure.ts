import { z } from 'zod';
import type { Result } from '@groundplane/protocol/failure';
import { pending, ready, type Progress } from '../../port/provider.ts';
import { googleWaits } from './limits.ts';
import { clusterOf, notOurs } from './names.ts';
import type { Session } from './session.ts';

export const thingSchema = z.looseObject({
  name: z.string(),
  selfLink: z.string().optional(),
  description: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  fingerprint: z.string().optional(),
});
export type Thing = z.infer<typeof thingSchema>;

interface Step<T> {
  /** `network shop-0abc`. */
  what: string;
  /** Of the collection: `/projects/p/global/networks`. */
  path: string;
  body: { name: string } & Record<string, unknown>;
  schema: z.ZodType<T>;
}

/** Looks, makes what is not there, and says when to look again. Names are unique, so a second making is refused and not doubled. */
export const ensure = async <T extends Thing>(session: Session, scope: { id: string; name: string }, step: Step<T>): Promise<Result<Progress<T>>> => {
  const { what, path, body, schema } = step;
  const found = await session.find('compute', `${path}/${body.name}`, schema);
  if (!found.ok) return found;
  // What is there already may still be in the making, and refuse to be used.
  const running = await session.outcome('compute', what);
  if (!running.ok) return running;
  if (running.value === 'running') return pending(`${what} is being made`, googleWaits.network);
  if (found.value !== undefined) return clusterOf(found.value) === scope.id ? ready(found.value) : notOurs(`Google ${what}`, scope);
  if (running.value === 'done') return pending(`${what} was made and is not seen yet`, googleWaits.network);
  const started = await session.start({ service: 'compute', method: 'POST', path, body }, what);
  if (started.ok) return pending(`${what} is being made`, googleWaits.network);
  if (started.failure.code !== 'cloud-conflict') return started;
  // It may be there after all: a read just after a write is not always up to date.
  const again = await session.find('compute', `${path}/${body.name}`, schema);
  if (!again.ok) return again;
  if (again.value === undefined) return started;
  return clusterOf(again.value) === scope.id ? ready(again.value) : notOurs(`Google ${what}`, scope);
};

/** Ready when it is not there (any more); what others hold waits. */
export const remove = async (session: Session, scope: { id: string; name: string }, what: string, path: string): Promise<Result<Progress<void>>> => {
  const found = await session.find('compute', path, thingSchema);
  if (!found.ok) return found;
  if (found.value === undefined) return ready(undefined);
  if (clusterOf(found.value) !== scope.id) return notOurs(`Google ${what}`, scope);
  const key = `deletion of ${what}`;
  const running = await session.outcome('compute', key);
  if (!running.ok && running.failure.code !== 'cloud-conflict') return running;
  if (!running.ok || running.value !== 'running') {
    const sent = await session.start({ service: 'compute', method: 'DELETE', path }, key);
    if (!sent.ok && sent.failure.code !== 'cloud-conflict') return sent;
  }
  return pending(`${what} is being deleted`, googleWaits.network);
};
