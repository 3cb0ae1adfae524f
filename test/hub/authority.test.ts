import { rootCertificates } from 'node:tls';
import { parseTicket } from '@groundplane/agent/identity/ticket';
import { parseAuthority } from '@groundplane/hub/gateway/authority';
import { ticketLine } from '@groundplane/hub/gateway/ticket-line';
import { limits } from '@groundplane/protocol/limits';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { wantOf } from '@groundplane/hub/cloud/machine-rows';
import type { Turn } from '@groundplane/hub/cloud/turn';
import { poolSchema } from '@groundplane/protocol/environment/pool';
import { makeHubKeys } from '@groundplane/hub/trust/keys';
import { codeOf, value } from './world.ts';

const pemOf = (index: number): string => rootCertificates[index] ?? '';

test('of the file of an authority only its certificates go into tickets', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n';
  const file = `# Example Root\n${pemOf(0).replaceAll('\n', '\r\n')}\r\n${key}${pemOf(1)}`;
  expect(value(parseAuthority(file, 'ca.pem'))).toBe(`${pemOf(0).trim()}\n${pemOf(1).trim()}\n`);
});

test('a file that is none says so at the start of the hub, and one that a ticket cannot carry too', () => {
  expect(codeOf(parseAuthority('', 'ca.pem'))).toBe('authority-invalid');
  const damaged = pemOf(0).split('\n').toSpliced(2, 1).join('\n');
  const answer = parseAuthority(`${pemOf(1)}\n${damaged}`, 'ca.pem');
  expect(answer).toMatchObject({ failure: { element: '--public-ca ca.pem', message: expect.stringContaining('certificate 2 of 2 cannot be read') } });
  const bundle = rootCertificates.slice(0, 20).join('\n');
  expect(bundle.length).toBeGreaterThan(limits.ticketCaChars);
  expect(codeOf(parseAuthority(bundle, 'ca.pem'))).toBe('authority-invalid');
});

test('the largest authority that is taken makes a ticket that is taken', () => {
  const addresses = { links: ['wss://hub.test/link'], content: 'https://hub.test' };
  const keys = makeHubKeys('hub-test');
  const all: string[] = [];
  for (const pem of rootCertificates) if (`${[...all, pem.trim()].join('\n')}\n`.length <= limits.ticketCaChars) all.push(pem.trim());
  const ca = value(parseAuthority(all.join('\n'), 'ca.pem'));
  expect(ca.length).toBeGreaterThan(limits.ticketCaChars - 1_000);
  expect(value(parseTicket(ticketLine({ ...addresses, ca }, keys, { id: 'tic_1', secret: 's' }))).caPem).toBe(ca);
  expect(value(parseTicket(ticketLine(addresses, keys, { id: 'tic_1', secret: 's' }))).caPem).toBeUndefined();
});

test('a machine that the hub makes trusts its authority before it fetches anything, and its agent does too', async () => {
  const addresses = () => ({ links: ['wss://hub.test/link'], content: 'https://hub.test', ca: pemOf(0) });
  const turn = {
    deps: { secret: 's', keys: makeHubKeys('hub-test'), addresses },
    spec: { environment: 'vsphere' },
    scope: { placement: { boot: 'groundplane' } },
    infra: {},
  };
  const machine = { name: 'm-1', value: { ticket: 'tic_1', generation: 'g' } };
  const pool = poolSchema.parse({ name: 'workers', role: 'worker', count: 1, size: 's' });
  const { userData } = value(await wantOf(turn as unknown as Turn, pool, machine as never));
  const document = parse(userData) as { ca_certs: { trusted: string[] }; write_files: { content: string }[] };
  expect(document.ca_certs.trusted).toEqual([pemOf(0)]);
  expect(value(parseTicket(document.write_files[0]?.content ?? '')).caPem).toBe(pemOf(0));
});
