import type { Environment } from '@groundplane/protocol/environment/environments';
import { eksRig } from '../../counterparts/aws/eks-rig.ts';
import { awsRig } from '../../counterparts/aws/rig.ts';
import type { AnyRig } from './kill.ts';

/** The counterpart of each environment, started on demand; throws with the reason where it cannot be had. */
export const rigs: Partial<Record<Environment, () => Promise<AnyRig>>> = { aws: () => awsRig(), eks: () => eksRig() };
