import { maasRig } from '../../counterparts/maas/rig.ts';
import { machineSuite } from './machine-suite.ts';

machineSuite('MAAS, own fake', maasRig, 6);
