import { afterEach, describe, expect, test } from 'vitest';
import type { SessionState } from '@groundplane/agent/link/session';
import { approvalAddress, approvalCode } from '@groundplane/agent/local/approval';
import { startLocalPage } from '@groundplane/agent/local/page';
import { startRig, type Rig } from './rig.ts';

const key = 'ed25519:AbC-_d+e/f=';

describe('the address for a phone', () => {
  test('is the hub’s page for the key, whatever path the hub’s address has', () => {
    expect(approvalAddress('https://hub.example:8443/content', key)).toBe('https://hub.example:8443/approve?key=ed25519%3AAbC-_d%2Be%2Ff%3D');
    expect(new URL(approvalAddress('http://10.0.0.5:8080', key) ?? '').searchParams.get('key')).toBe(key);
  });
  test.each(['http://127.0.0.1:8080', 'http://localhost:8080', 'http://hub.localhost', 'http://[::1]:8080', 'ftp://hub.example', 'not an address', ''])(
    'there is none for %j',
    (hub) => expect(approvalAddress(hub, key)).toBeUndefined(),
  );
});

describe('the local page', () => {
  let session: SessionState = { state: 'connecting' };
  let rig: Rig;
  let page: Awaited<ReturnType<typeof startLocalPage>>;
  const approval = approvalAddress('https://hub.example', key);
  const start = async (address: string | undefined): Promise<string> => {
    rig = startRig();
    page = await startLocalPage({ name: 'till-1', simulated: false, engine: rig.engine, session: () => session, approval: address }, 0);
    return (await fetch(`http://127.0.0.1:${page.port}/`)).text();
  };
  const stop = async (): Promise<void> => {
    await page.close();
    await rig.close();
  };
  afterEach(stop);

  test('shows the words and the code while the device waits, and draws nothing that its policy forbids', async () => {
    session = { state: 'lobby', words: 'tiger maple anchor quiet', retryAtMs: 0 };
    const html = await start(approval);
    expect(html).toContain('tiger maple anchor quiet');
    expect(html).toContain(await approvalCode(approval ?? ''));
    expect(html).toContain('https://hub.example/approve?key=ed25519');
    expect(html).not.toMatch(/<svg[^]*(style=|<script|href=)[^]*<\/svg>/);
  });

  test('shows none when the hub has no address for others, or the device is in', async () => {
    session = { state: 'lobby', words: 'tiger maple anchor quiet', retryAtMs: 0 };
    expect(await start(undefined)).not.toContain('<svg');
    await stop();
    session = { state: 'online', host: 'hos_x', heartbeatMs: 60_000 };
    expect(await start(approval)).not.toContain('<svg');
  });
});
