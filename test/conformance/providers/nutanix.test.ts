import { nutanixRig } from '../../counterparts/nutanix/rig.ts';
import { machineSuite } from './machine-suite.ts';

machineSuite('Nutanix, own fake', nutanixRig, 6);
