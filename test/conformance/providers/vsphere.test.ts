import { describe, expect, test } from 'vitest';
import { missingForSimulator } from '../../counterparts/vsphere/simulator.ts';
import { vsphereRig } from '../../counterparts/vsphere/rig.ts';
import { isRequired } from '../../lab/prerequisite.ts';
import { machineSuite } from './machine-suite.ts';

const missing = await missingForSimulator();

if (missing.length === 0 || isRequired('go')) {
  machineSuite("vSphere, govmomi's simulator", vsphereRig, 6);
} else {
  describe("machine provider vSphere, govmomi's simulator", () => {
    test.skip(`skipped: ${missing.join(' ')}`, () => expect(missing).toEqual([]));
  });
}
