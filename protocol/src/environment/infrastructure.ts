import { z } from 'zod';
import { nameSchema } from '../ids.ts';
import { limits } from '../limits.ts';
import { environmentNames, environments, isMachineEnvironment, type Environment } from './environments.ts';
import { placementSchemas, type Placement } from './placement.ts';
import { poolSchema } from './pool.ts';

const shape = z.strictObject({
  environment: z.enum(environmentNames),
  /** Name of a cloud account of the project, or of the tenant. Empty where nothing is signed in to: the agent is inside. */
  account: z.union([z.literal(''), nameSchema]).default(''),
  placement: z.record(z.string(), z.unknown()).default({}),
  pools: z.array(poolSchema).max(limits.poolsPerCluster).default([]),
  /** Deleting the cluster is refused until this is taken off. */
  protected: z.boolean().default(false),
});

/** zod names the type of what is not there, and that helps nobody. */
export const wordsOf = (issue: Pick<z.core.$ZodIssue, 'code' | 'message'>): string =>
  issue.code === 'invalid_type' && issue.message.endsWith('received undefined') ? 'is missing' : issue.message;

/**
 * Where a cluster lives and what it is made of. Only what the hub makes: clusters of edge hosts have none of this. The placement stays as it was written; whoever
 * uses it reads it through the schema of its environment (`placementOf`).
 */
export const infrastructureSchema = shape.superRefine((value, context) => {
  const issue = (message: string, path: (string | number)[] = []): void => void context.addIssue({ code: 'custom', message, path });
  const placement = placementSchemas[value.environment].safeParse(value.placement);
  if (!placement.success) for (const item of placement.error.issues) issue(wordsOf(item), ['placement', ...item.path.map(String)]);
  const names = value.pools.map((pool) => pool.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) issue(`two pools are named ${twice}`, ['pools']);
  const servers = value.pools.filter((pool) => pool.role === 'control-plane');
  if (isMachineEnvironment(value.environment)) {
    if (servers.length !== 1) issue('needs exactly one pool with the role control-plane', ['pools']);
    const [first] = servers;
    if (first !== undefined && (first.count < 1 || first.count % 2 === 0))
      issue(`pool ${first.name}: the number of control planes is odd, since the datastore needs a majority`, ['pools']);
  } else if (servers.length > 0) issue(`${environments[value.environment].title} brings its own control planes; give pools the role worker`, ['pools']);
  const hasAgent = value.environment === 'existing' && value.placement['agent'] === 'inside';
  if (value.account === '' && !hasAgent) issue('needs the name of a cloud account: gp cloud account list', ['account']);
  if (value.account !== '' && hasAgent) issue('an agent inside of the cluster needs no account; take it out', ['account']);
  if (value.environment === 'existing' && value.pools.length > 0) issue('an existing cluster has no pools of ours', ['pools']);
});
export type Infrastructure = z.infer<typeof infrastructureSchema>;

/** Whether its layers are applied by a pod inside of it. */
export const isInside = (infrastructure: Infrastructure | undefined): boolean =>
  infrastructure?.environment === 'existing' && infrastructure.placement['agent'] === 'inside';

/** The placement with its defaults. It was checked when the document came in. */
export const placementOf = <E extends Environment>(infrastructure: Infrastructure & { environment: E }): Placement<E> =>
  placementSchemas[infrastructure.environment].parse(infrastructure.placement) as Placement<E>;
