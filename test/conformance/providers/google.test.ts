import { googleRig } from '../../counterparts/google/rig.ts';
import { machineSuite } from './machine-suite.ts';

machineSuite('Google Compute Engine', () => googleRig('public'), 6);
machineSuite('Google Compute Engine, with a private API server', () => googleRig('private'), 4);
