import { describe, expect, test } from 'vitest';
import { awsRig } from '../../counterparts/aws/rig.ts';
import { missingForMoto } from '../../counterparts/aws/start.ts';
import { isRequired } from '../../lab/prerequisite.ts';
import { machineSuite } from './machine-suite.ts';

const missing = await missingForMoto();

if (missing.length === 0 || isRequired('moto')) {
  machineSuite('AWS EC2 (moto)', awsRig, 6);
} else {
  describe('machine provider AWS EC2 (moto)', () => {
    test.skip(`skipped: ${missing.join(' ')}`, () => expect(missing).toEqual([]));
  });
}
