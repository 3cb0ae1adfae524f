import { expect, test } from 'vitest';
import { catalogueSchema } from '@groundplane/protocol/environment/catalogue';
import { builtInCatalogue } from '@groundplane/hub/cloud/catalogue';
import { parse } from 'yaml';
import { canned, type Views } from './canned.ts';
import { gp } from './fake-io.ts';

const show = (argv: readonly string[], views: Views) => gp(argv, canned(views));

test('a pool that is being replaced shows both, an image what it is, and a version how long it has support', async () => {
  const pool = { name: 'workers', role: 'worker' as const, size: 'm5.large', wanted: 2, total: 4, ready: 2, outdated: 2, needsApproval: false, waits: [] };
  const ran = await show(['cloud', 'show', 'shop'], {
    getInfrastructure: {
      environment: 'eks',
      account: 'main',
      steps: [{ name: 'pools', state: 'doing', message: 'workers-2 is being made', sinceMs: 0 }],
      pools: [
        {
          ...pool,
          image: { name: 'debian-13', exact: 'ami-1', newer: 'ami-2' },
          parts: [
            { name: 'workers', count: 2, state: 'ready', differs: ['size', 'spot'] },
            { name: 'workers-2', count: 2, state: 'making', differs: [], message: 'no room yet' },
          ],
        },
      ],
      machines: [],
      protected: false,
      notices: ['Kubernetes 1.34 has standard support until 2026-12-02, 3 more days.'],
    },
  });
  expect(ran.out).toContain('  workers: workers, 2 nodes, ready, is replaced: other size, spot\n');
  expect(ran.out).toContain('  workers: workers-2, 2 nodes, making: no room yet\n');
  expect(ran.out).toContain('  workers: debian-13 is ami-1; a newer one is there, ami-2: gp pool repave shop workers\n');
  expect(ran.out).toContain('  Kubernetes 1.34 has standard support until 2026-12-02, 3 more days.\n');
});

test('the catalogue is shown for people, and as a document that can be given back', async () => {
  const views = { getCatalogue: { ...builtInCatalogue, isBuiltIn: true } };
  const ran = await show(['cloud', 'catalogue'], views);
  expect(ran.out).toContain('debian-13: Debian 13 (trixie); aws, azure, google, openstack, vsphere, nutanix\n');
  expect(ran.out).toMatch(/Kubernetes, eks: .*1\.34 until 2026-12-02/);
  const document: unknown = parse((await show(['cloud', 'catalogue', '-o', 'yaml'], views)).out);
  expect(catalogueSchema.parse(document)).toEqual(builtInCatalogue);
});
