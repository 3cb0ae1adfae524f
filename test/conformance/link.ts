import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Link, LinkConnection } from '@groundplane/agent/port/link';
import type { AcceptPeer, Peer } from '@groundplane/hub/port/carrier';
import { limits } from '@groundplane/protocol/limits';
import { eventually } from './cluster-objects.ts';

/** A carrier of the hub that listens, and the agent's link to it. */
export interface LinkUnderTest {
  port: number;
  /** The agent's side, to any port: the carrier's own, or a proxy in between. */
  link(port: number): Link;
  /** Opens a connection that speaks the carrier's language wrongly. */
  nonsense: readonly string[];
  close(): Promise<void>;
}
export type MakeLink = (accept: AcceptPeer) => Promise<LinkUnderTest>;

/** What the hub saw of one peer. */
interface SeenPeer {
  peer: Peer;
  frames: string[];
  closed: number;
}

/** A gateway that greets and then does what the test wants; by default it says everything back. */
export const echoGateway = () => {
  const peers: SeenPeer[] = [];
  const state = { greeting: 'welcome' as string | undefined, echo: true };
  const accept: AcceptPeer = (peer) => {
    const seen: SeenPeer = { peer, frames: [], closed: 0 };
    peers.push(seen);
    if (state.greeting !== undefined) peer.send(state.greeting);
    return {
      onFrame: (text) => {
        seen.frames.push(text);
        if (state.echo) peer.send(text);
      },
      onClose: () => void (seen.closed += 1),
    };
  };
  return { peers, state, accept };
};

interface Caller {
  connection: LinkConnection;
  frames: string[];
  log: string[];
  reasons: string[];
}

const call = (link: Link): Caller => {
  const frames: string[] = [];
  const log: string[] = [];
  const reasons: string[] = [];
  const connection = link.connect({
    onOpen: () => void log.push('open'),
    onFrame: (text) => {
      log.push('frame');
      frames.push(text);
    },
    onClose: (reason) => {
      log.push('close');
      reasons.push(reason);
    },
  });
  return { connection, frames, log, reasons };
};

/** A line in between that can be made deaf without either end noticing, and cut. */
const proxyTo = async (port: number): Promise<{ port: number; freeze: () => void; cut: () => void; close: () => Promise<void> }> => {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connectSocket(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => (sockets.delete(from), to.destroy()));
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    freeze: () => sockets.forEach((socket) => (socket.unpipe(), socket.pause())),
    cut,
    close: async () => {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      cut();
      await closed;
    },
  };
};

/** What every carrier has to do, seen from both ends. */
export const linkConformance = (name: string, make: MakeLink): void => {
  describe(`Link: ${name}`, () => {
    let hub: ReturnType<typeof echoGateway>;
    let under: LinkUnderTest;
    const callers: Caller[] = [];
    beforeEach(async () => {
      hub = echoGateway();
      under = await make(hub.accept);
    });
    afterEach(async () => {
      for (const caller of callers.splice(0)) caller.connection.close();
      await under.close();
    });
    const dial = (port = under.port): Caller => {
      const caller = call(under.link(port));
      callers.push(caller);
      return caller;
    };
    const greeted = async (port = under.port): Promise<Caller> => {
      const caller = dial(port);
      await eventually(() => expect(caller.frames).toHaveLength(1));
      return caller;
    };

    test('the hub speaks first, right after the connection opened', async () => {
      const caller = await greeted();
      expect(caller.frames).toEqual(['welcome']);
      expect(caller.log.filter((item) => item !== 'frame')).toEqual(['open']);
    });

    test('everything arrives once and in order, both ways', async () => {
      const caller = await greeted();
      const sent = Array.from({ length: 500 }, (_, index) => `message ${index}`);
      for (const text of sent) caller.connection.send(text);
      await eventually(() => expect(caller.frames).toHaveLength(501));
      expect(hub.peers[0]?.frames).toEqual(sent);
      expect(caller.frames.slice(1)).toEqual(sent);
    });

    test.each([
      ['empty', ''],
      ['every script', 'Grüße 日本 \u{1F600} \u0000 "\\'],
      ['one byte', 'x'],
      ['64 KiB and one', 'y'.repeat(65_537)],
    ])('a frame comes whole: %s', async (_, text) => {
      const caller = await greeted();
      caller.connection.send(text);
      await eventually(() => expect(caller.frames).toHaveLength(2));
      expect(caller.frames[1] === text).toBe(true);
    });

    test('exactly 1 MiB passes, both ways', async () => {
      const caller = await greeted();
      const text = `${'x'.repeat(limits.frameBytes - 3)}€`;
      expect(Buffer.byteLength(text)).toBe(limits.frameBytes);
      caller.connection.send(text);
      await eventually(() => expect(caller.frames).toHaveLength(2));
      expect(hub.peers[0]?.frames[0] === text).toBe(true);
      expect(caller.frames[1] === text).toBe(true);
    });

    test('more than that from an agent cuts the connection, and nothing of it arrives', async () => {
      const caller = await greeted();
      caller.connection.send('x'.repeat(limits.frameBytes + 2_000));
      await eventually(() => expect(caller.log.at(-1)).toBe('close'));
      await eventually(() => expect(hub.peers[0]?.closed).toBe(1));
      expect(hub.peers[0]?.frames).toEqual([]);
      expect((await greeted()).frames).toEqual(['welcome']);
    });

    test('more than that from the hub is not taken either', async () => {
      const caller = await greeted();
      hub.peers[0]?.peer.send('x'.repeat(limits.frameBytes + 2_000));
      hub.peers[0]?.peer.send('after');
      await eventually(() => expect(caller.log.at(-1)).toBe('close'));
      expect(caller.frames).toEqual(['welcome']);
    });

    test('when the agent hangs up, the hub hears it once and the agent nothing more', async () => {
      const caller = await greeted();
      caller.connection.close();
      await eventually(() => expect(hub.peers[0]?.closed).toBe(1));
      hub.peers[0]?.peer.send('late');
      caller.connection.send('late');
      caller.connection.close();
      await delay(50);
      expect(caller.log).toEqual(['open', 'frame']);
      expect(hub.peers[0]?.frames).toEqual([]);
      expect(hub.peers[0]?.closed).toBe(1);
    });

    test('when the hub hangs up, the agent hears it once, and what was said before arrives', async () => {
      const caller = await greeted();
      hub.peers[0]?.peer.send('last words');
      hub.peers[0]?.peer.close();
      await eventually(() => expect(caller.log.at(-1)).toBe('close'));
      expect(caller.frames).toEqual(['welcome', 'last words']);
      await eventually(() => expect(hub.peers[0]?.closed).toBe(1));
      hub.peers[0]?.peer.send('late');
      hub.peers[0]?.peer.close();
      await delay(50);
      expect(caller.log.filter((item) => item === 'close')).toHaveLength(1);
    });

    test('the hub hangs up right after its first words: they arrive', async () => {
      hub.state.greeting = 'go away';
      const quick = hub.accept;
      await under.close();
      under = await make((peer) => {
        const events = quick(peer);
        peer.close();
        return events;
      });
      const caller = dial();
      await eventually(() => expect(caller.log.at(-1)).toBe('close'));
      expect(caller.frames).toEqual(['go away']);
    });

    test('nobody there: one close with a reason, and nothing else', async () => {
      const caller = dial(1);
      await eventually(() => expect(caller.log).toEqual(['close']));
      expect(caller.reasons[0]).not.toBe('');
    });

    test('hanging up before it opened leaves nothing behind', async () => {
      const caller = dial();
      caller.connection.close();
      await delay(100);
      expect(caller.log.filter((item) => item !== 'open')).toEqual([]);
      expect(hub.peers.filter((seen) => seen.closed === 0)).toEqual([]);
    });

    test('again and again: every connection is a new one', async () => {
      for (let turn = 0; turn < 5; turn += 1) {
        const caller = await greeted();
        caller.connection.send(`turn ${turn}`);
        await eventually(() => expect(caller.frames).toEqual(['welcome', `turn ${turn}`]));
        if (turn % 2 === 0) caller.connection.close();
        else hub.peers[turn]?.peer.close();
        await eventually(() => expect(hub.peers[turn]?.closed).toBe(1));
      }
      expect(hub.peers.map((seen) => seen.frames)).toEqual([0, 1, 2, 3, 4].map((turn) => [`turn ${turn}`]));
    });

    test('half open: a dead line is not an answer; both ends hear of it when it breaks', async () => {
      const proxy = await proxyTo(under.port);
      const caller = await greeted(proxy.port);
      proxy.freeze();
      caller.connection.send('into the void');
      hub.peers[0]?.peer.send('into the void');
      await delay(100);
      expect(caller.frames).toEqual(['welcome']);
      expect(hub.peers[0]?.frames).toEqual([]);
      expect(caller.log).not.toContain('close');
      proxy.cut();
      await eventually(() => expect(caller.log.at(-1)).toBe('close'));
      await eventually(() => expect(hub.peers[0]?.closed).toBe(1));
      await proxy.close();
    });

    test('a peer that takes nothing shows in the backlog', async () => {
      const proxy = await proxyTo(under.port);
      const caller = await greeted(proxy.port);
      expect(hub.peers[0]?.peer.backlogBytes()).toBe(0);
      proxy.freeze();
      for (let turn = 0; turn < 24; turn += 1) hub.peers[0]?.peer.send('x'.repeat(1_000_000));
      await eventually(() => expect(hub.peers[0]?.peer.backlogBytes()).toBeGreaterThan(4 * 1024 * 1024));
      proxy.cut();
      await eventually(() => expect(caller.log.at(-1)).toBe('close'));
      await proxy.close();
    });

    test('a hundred at once do not mix', async () => {
      const many = await Promise.all(Array.from({ length: 100 }, () => greeted()));
      many.forEach((caller, index) => {
        for (let turn = 0; turn < 5; turn += 1) caller.connection.send(`${index}/${turn}`);
      });
      await eventually(() => expect(many.every((caller) => caller.frames.length === 6)).toBe(true));
      many.forEach((caller, index) => expect(caller.frames).toEqual(['welcome', ...[0, 1, 2, 3, 4].map((turn) => `${index}/${turn}`)]));
    });

    test('strangers that send nonsense get nowhere, and disturb nobody', async () => {
      const caller = await greeted();
      const strangers = Array.from({ length: 200 }, (_, index) => {
        const socket = connectSocket(under.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.on('connect', () => socket.write(Buffer.from(under.nonsense[index % under.nonsense.length] ?? '', 'latin1')));
        return socket;
      });
      caller.connection.send('still here');
      await eventually(() => expect(caller.frames.at(-1)).toBe('still here'));
      await delay(200);
      expect(hub.peers).toHaveLength(1);
      expect((await greeted()).frames).toEqual(['welcome']);
      for (const socket of strangers) socket.destroy();
    });
  });
};
