import { googleAccount } from '../../counterparts/google/http.ts';
import { gkeRig } from '../../counterparts/google/managed-rig.ts';
import { managedSuite } from './managed-suite.ts';

managedSuite('GKE, in a zone', () => gkeRig(), 6);
managedSuite('GKE, in a region', () => gkeRig(googleAccount.region), 4);
