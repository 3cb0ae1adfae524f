import type { Bundle } from '@groundplane/protocol/bundle';
import { refKey } from '@groundplane/protocol/kubernetes';
import type { Plan } from '@groundplane/protocol/plan/facts';
import { planHost } from '@groundplane/protocol/plan/host';
import { stepText } from '@groundplane/protocol/plan/steps';
import { digestBytes } from '@groundplane/protocol/digest';
import { emptyWorld, factsOf, object, perform, performAll, type ModelWorld, type TargetOptions } from './model.ts';

/** The words a scenario is told in. Each writes its line into the transcript. */
export interface Teller {
  world: ModelWorld;
  /** A new generation comes from the hub. `undefined`: the host belongs to no cluster any more. */
  want(text: string, bundle: Bundle | undefined, options?: Omit<TargetOptions, 'generation'>): void;
  /** Somebody or something changes the world behind our back. */
  happens(text: string, change: (world: ModelWorld) => void): void;
  /** Plans, and writes every step down. Nothing is done. */
  plan(): Plan;
  /** Plans and does it, or only the first steps of it (the power goes). */
  apply(stepsMax?: number): void;
}

const describePlan = (plan: Plan): string[] => [
  ...(plan.steps.length === 0 ? ['    (nothing)'] : plan.steps.map((step) => `    ${stepText(step)}`)),
  ...plan.blocked.map((item) => `    blocked: layer ${item.layer} (${item.failure.kind} ${item.failure.code}: ${item.failure.message})`),
];

/** Runs a scenario and returns its transcript: what was wanted, what happened, and what the planner said to it. */
export const transcript = (title: string, tell: (teller: Teller) => void): string => {
  const lines: string[] = [title, '='.repeat(title.length), ''];
  const world = emptyWorld();
  let generation = 0;
  let bundle: Bundle | undefined;
  let options: Omit<TargetOptions, 'generation'> = {};
  const now = (): Plan => planHost(factsOf(world, bundle, { ...options, generation }));
  tell({
    world,
    want: (text, next, given = {}) => {
      generation += 1;
      bundle = next;
      options = given;
      lines.push(`wanted, generation ${generation}: ${text}`);
    },
    happens: (text, change) => {
      change(world);
      lines.push(`it happens: ${text}`);
    },
    plan: () => {
      const plan = now();
      lines.push('plan:', ...describePlan(plan), '');
      return plan;
    },
    apply: (stepsMax) => {
      const plan = now();
      if (stepsMax === undefined) performAll(world, plan, bundle);
      else for (const step of plan.steps.slice(0, stepsMax)) perform(world, step, bundle);
      lines.push(stepsMax === undefined ? `done, ${plan.steps.length} steps` : `the power goes after ${stepsMax} of ${plan.steps.length} steps`);
    },
  });
  return `${lines.join('\n').trimEnd()}\n`;
};

/** Somebody edits a live object by hand. */
export const editObject = (world: ModelWorld, name: string): void => {
  const key = refKey(object(name).ref);
  const live = world.live.get(key);
  if (live === undefined) throw new Error(`the scenario edits what does not exist: ${name}`);
  world.live.set(key, { ...live, digest: digestBytes('by hand') });
};

export const deleteObject = (world: ModelWorld, name: string): void => {
  if (!world.live.delete(refKey(object(name).ref))) throw new Error(`the scenario deletes what does not exist: ${name}`);
};

/** Something that was there before us. */
export const addForeign = (world: ModelWorld, name: string): void => {
  const { ref, digest } = object(name);
  world.live.set(refKey(ref), { ref, digest, ours: false, ready: true });
};
