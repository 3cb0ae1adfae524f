import type { Desired, Version } from '@groundplane/protocol/bundle';
import { digestOf } from '@groundplane/protocol/digest';
import { desiredLeaf, merkleTree, type MerkleTree } from '@groundplane/protocol/merkle';

/** What a host should be, before it has a number. */
export interface Assignment {
  tenant: string;
  host: string;
  cluster: Desired['cluster'];
  bundle: string | undefined;
  inputs: string;
  /** It leaves a cluster that goes on without it. */
  detached?: boolean;
  /** Only for an agent inside of a cluster. */
  inside?: Desired['inside'] | undefined;
}

/** What the host was told last. */
export interface Assigned {
  version: Version;
  desired: Desired;
}

export interface NumberedAssignment {
  assignment: Assignment;
  desired: Desired;
  version: Version;
}

const isSame = (before: Assigned | undefined, next: Assignment): boolean =>
  before !== undefined &&
  before.desired.bundle === next.bundle &&
  JSON.stringify(before.desired.cluster) === JSON.stringify(next.cluster) &&
  JSON.stringify(before.desired.inside) === JSON.stringify(next.inside);

/**
 * Gives a new generation to each host whose assignment changed, and to nobody else. `above` lifts the number over what a host says it already has, when this
 * hub was restored from an older backup: generations never go down.
 */
export const planAssignments = (
  epoch: string,
  wanted: readonly Assignment[],
  before: (host: string) => Assigned | undefined,
  above: (host: string) => number = () => 0,
): NumberedAssignment[] => {
  const numbered: NumberedAssignment[] = [];
  for (const assignment of wanted) {
    const last = before(assignment.host);
    const floor = above(assignment.host);
    if (isSame(last, assignment) && last !== undefined && last.version.generation > floor && last.version.epoch === epoch) continue;
    if (last === undefined && assignment.cluster === undefined && assignment.inside === undefined && floor === 0) continue;
    const desired: Desired = {
      schema: 'groundplane.dev/desired/1',
      epoch,
      generation: Math.max(last?.version.generation ?? 0, floor) + 1,
      ...(last === undefined ? {} : { parent: last.version.digest }),
      tenant: assignment.tenant,
      host: assignment.host,
      ...(assignment.cluster === undefined ? {} : { cluster: assignment.cluster }),
      ...(assignment.detached === true && assignment.cluster === undefined ? { detached: true } : {}),
      ...(assignment.inside === undefined ? {} : { inside: assignment.inside }),
      ...(assignment.bundle === undefined ? {} : { bundle: assignment.bundle as NonNullable<Desired['bundle']> }),
    };
    numbered.push({ assignment, desired, version: { epoch, generation: desired.generation, digest: digestOf(desired) } });
  }
  return numbered;
};

/** The tree that the director signs once for the whole change. */
export const assignmentTree = (numbered: readonly NumberedAssignment[]): MerkleTree =>
  merkleTree(numbered.map(({ desired, version }) => desiredLeaf(desired.host, version.generation, version.digest)));
