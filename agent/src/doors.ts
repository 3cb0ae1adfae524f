import type { AgentArch } from '@groundplane/protocol/agent-package';
import { parsePort } from '@groundplane/protocol/option-words';
import type { Agent } from './agent.ts';
import type { DiskBlobs } from './blobs/disk.ts';
import { startNeighbourDoor } from './blobs/neighbours.ts';
import type { Clock } from './port/clock.ts';
import { carriedBundle } from './media/carried.ts';
import { startMirror } from './registry/serve.ts';
import type { Door } from './system/door.ts';

export interface DoorsDeps {
  agent: Pick<Agent, 'engine' | 'neighbours'>;
  blobs: DiskBlobs;
  architecture: AgentArch | undefined;
  clock: Clock;
  log: (text: string) => void;
}

export interface Doors {
  mirrorPort: number | undefined;
  blobPort: number | undefined;
  close: () => Promise<void>;
}

/** A port that somebody else has must not end the agent, which would be started again and again: this door stays shut, and the log says so. */
export const openOrSay = async (name: string, port: number, start: () => Promise<Door>, log: (text: string) => void): Promise<Door | undefined> => {
  try {
    return await start();
  } catch (error) {
    log(`${name} cannot listen on port ${port}: ${error instanceof Error ? error.message : String(error)}. The agent goes on without it`);
    return undefined;
  }
};

/** A machine without IPv6 has no `::`; there the door is for IPv4 alone. */
export const onEveryAddress = async (start: (address: string) => Promise<Door>): Promise<Door> => {
  try {
    return await start('::');
  } catch (error) {
    if (['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes((error as NodeJS.ErrnoException).code ?? '')) return await start('0.0.0.0');
    throw error;
  }
};

/** The mirror for the container runtime and the door for neighbours. A port that is taken costs that door and not the agent. */
export const openDoors = async (deps: DoorsDeps, ports: { mirror: string; neighbours: string }): Promise<Doors> => {
  const { state } = deps.agent.engine;
  const bundles = () => [
    ...(['current', 'good', 'candidate'] as const).flatMap((slot) => {
      const bundle = state.slot(slot)?.bundle;
      return bundle === undefined ? [] : [bundle];
    }),
    ...carriedBundle(state),
  ];
  const open = async (name: string, text: string, start: (port: number) => Promise<Door>): Promise<Door | undefined> => {
    const port = parsePort(text);
    return port === undefined ? undefined : openOrSay(name, port, () => start(port), deps.log);
  };
  const mirror = await open('the image mirror', ports.mirror, (port) => startMirror({ blobs: deps.blobs, architecture: deps.architecture, bundles }, port));
  const door = await open('the door for neighbours', ports.neighbours, (port) =>
    onEveryAddress((address) => startNeighbourDoor({ clock: deps.clock, blobs: deps.blobs, known: deps.agent.neighbours }, { port, address })),
  );
  return {
    mirrorPort: mirror?.port,
    blobPort: door?.port,
    close: async () => {
      await mirror?.close();
      await door?.close();
    },
  };
};
