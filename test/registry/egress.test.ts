import { describe, expect, test } from 'vitest';
import { createEgress, isAllowedAddress } from '@groundplane/hub/registry/egress';
import { answer, faultyProxy } from './faulty-proxy.ts';
import { codeOf } from '../hub/world.ts';

const closed = { private: [] };

describe('addresses', () => {
  test.each(['1.1.1.1', '8.8.8.8', '2606:4700::1111'])('%s is public', (address) => expect(isAllowedAddress(address, closed)).toBe(true));
  test.each([
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a9fe:a9fe',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd00:ec2::254',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '[::1]',
    'example.org',
    '',
  ])('%s is refused', (address) => expect(isAllowedAddress(address, closed)).toBe(false));

  test('a range that is allowed is allowed, and its neighbours are not', () => {
    const policy = { private: ['10.1.0.0/16'] };
    expect(isAllowedAddress('10.1.255.255', policy)).toBe(true);
    expect(isAllowedAddress('10.2.0.0', policy)).toBe(false);
    expect(isAllowedAddress('::ffff:10.1.2.3', policy)).toBe(true);
  });

  test('the metadata service stays shut when all link-local addresses are allowed', () => {
    expect(isAllowedAddress('169.254.169.254', { private: ['169.254.0.0/16'] })).toBe(false);
    expect(isAllowedAddress('169.254.1.1', { private: ['169.254.0.0/16'] })).toBe(true);
  });
});

describe('sending', () => {
  test('a name that leads to a private address is refused before a connection is made', async () => {
    const server = await faultyProxy();
    const egress = createEgress(closed, { resolve: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]) });
    const port = server.host.split(':')[1] ?? '';
    const sent = await egress.send({ method: 'GET', url: new URL(`http://registry.example:${port}/v2/`), headers: {} });
    expect(codeOf(sent)).toBe('egress-refused');
    expect(codeOf(await egress.send({ method: 'GET', url: new URL(`http://127.0.0.1:${port}/`), headers: {} }))).toBe('egress-refused');
    expect(server.seen).toEqual([]);
    egress.close();
    await server.close();
  });

  test('a name is resolved once: what was checked is what is called (DNS rebinding)', async () => {
    const server = await faultyProxy();
    server.fault = (_, response) => answer(response, 200, '{}');
    let asked = 0;
    const egress = createEgress(
      { private: ['127.0.0.1/32'] },
      {
        resolve: () => {
          asked += 1;
          return Promise.resolve([{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
        },
      },
    );
    const port = server.host.split(':')[1] ?? '';
    const sent = await egress.send({ method: 'GET', url: new URL(`http://registry.example:${port}/v2/`), headers: {} });
    expect(sent.ok && sent.value.status).toBe(200);
    expect(asked).toBe(1);
    expect(codeOf(await egress.send({ method: 'GET', url: new URL(`http://registry.example:${port}/v2/`), headers: {} }))).toBe('egress-refused');
    egress.close();
    await server.close();
  });

  test('other schemes are not called', async () => {
    const egress = createEgress({ private: 'all' });
    expect(codeOf(await egress.send({ method: 'GET', url: new URL('file:///etc/passwd'), headers: {} }))).toBe('egress-refused');
    expect(codeOf(await egress.send({ method: 'GET', url: new URL('ftp://127.0.0.1/'), headers: {} }))).toBe('egress-refused');
    egress.close();
  });
});
