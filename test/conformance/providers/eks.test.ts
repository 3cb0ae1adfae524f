import { describe, expect, test } from 'vitest';
import { eksRig } from '../../counterparts/aws/eks-rig.ts';
import { missingForMoto } from '../../counterparts/aws/start.ts';
import { isRequired } from '../../lab/prerequisite.ts';
import { managedSuite } from './managed-suite.ts';

const missing = await missingForMoto();

if (missing.length === 0 || isRequired('moto')) {
  managedSuite('EKS (moto)', eksRig, 6);
} else {
  describe('managed cluster provider EKS (moto)', () => {
    test.skip(`skipped: ${missing.join(' ')}`, () => expect(missing).toEqual([]));
  });
}
