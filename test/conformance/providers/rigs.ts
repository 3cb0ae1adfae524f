import type { Environment } from '@groundplane/protocol/environment/environments';
import { eksRig } from '../../counterparts/aws/eks-rig.ts';
import { awsRig } from '../../counterparts/aws/rig.ts';
import { aksRig } from '../../counterparts/azure/managed-rig.ts';
import { azureRig } from '../../counterparts/azure/rig.ts';
import { gkeRig } from '../../counterparts/google/managed-rig.ts';
import { googleRig } from '../../counterparts/google/rig.ts';
import { maasRig } from '../../counterparts/maas/rig.ts';
import { nutanixRig } from '../../counterparts/nutanix/rig.ts';
import { openStackRig } from '../../counterparts/openstack/rig.ts';
import { vsphereRig } from '../../counterparts/vsphere/rig.ts';
import type { AnyRig } from './kill.ts';

/** The counterpart of each environment, started on demand; throws with the reason where it cannot be had. */
export const rigs: Partial<Record<Environment, () => Promise<AnyRig>>> = {
  aws: () => awsRig(),
  eks: () => eksRig(),
  // With everything that this provider can make.
  azure: () => azureRig('shared', true),
  aks: () => aksRig(),
  google: () => googleRig(),
  gke: () => gkeRig(),
  vsphere: () => vsphereRig(),
  nutanix: () => nutanixRig(),
  openstack: () => openStackRig(),
  maas: () => maasRig(),
};
