import { azureRig } from '../../counterparts/azure/rig.ts';
import { machineSuite } from './machine-suite.ts';

machineSuite('Azure', () => azureRig('own'), 6);
machineSuite('Azure, in a resource group of somebody else', () => azureRig('shared'), 6);
machineSuite('Azure, with scale sets, in a resource group of somebody else', () => azureRig('shared', true), 6);
