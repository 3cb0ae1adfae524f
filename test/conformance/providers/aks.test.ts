import { aksRig } from '../../counterparts/azure/managed-rig.ts';
import { managedSuite } from './managed-suite.ts';

managedSuite('AKS', () => aksRig('own'), 6);
managedSuite('AKS, in a resource group of somebody else', () => aksRig('shared'), 6);
