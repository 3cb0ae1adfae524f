import { describe, expect, test } from 'vitest';
import { missingForOpenStack } from '../../counterparts/openstack/install.ts';
import { openStackRig } from '../../counterparts/openstack/rig.ts';
import { isRequired } from '../../lab/prerequisite.ts';
import { machineSuite } from './machine-suite.ts';

const missing = await missingForOpenStack();

// The services come from PyPI and take 600 MB: for whoever asks for them (GROUNDPLANE_TEST_REQUIRE=openstack), or has them here already.
if (missing.length === 0 || isRequired('openstack')) {
  machineSuite("OpenStack's own services", openStackRig, 2);
} else {
  describe("machine provider OpenStack's own services", () => {
    test.skip(`skipped: ${missing.join(' ')}`, () => expect(missing).toEqual([]));
  });
}
