import { join } from 'node:path';
import type { BlobFacts } from '../agent.ts';
import type { ProxyEnv } from '../link/hub-agents.ts';
import type { EnrolmentTicket } from '../identity/ticket.ts';
import type { Clock } from '../port/clock.ts';
import { diskBlobs, type DiskBlobs, type DiskBlobsDeps } from './disk.ts';
import { hubBlobSource } from './http-source.ts';
import { createNeighbourSources } from './neighbours.ts';
import { createPace } from './pace.ts';

/** The place of large content of a real host: under its data folder, filled from where it is nearest. */
export const openBlobs = (
  data: string,
  deps: { ticket: EnrolmentTicket; clock: Clock; facts: BlobFacts; otherBase?: DiskBlobsDeps['otherBase']; proxy?: () => ProxyEnv },
): DiskBlobs => {
  const { ticket, clock, facts } = deps;
  const hub = hubBlobSource(ticket.content, { token: facts.token, caPem: ticket.caPem, proxy: deps.proxy });
  const neighbours = createNeighbourSources({ clock, known: facts.neighbours, self: facts.self });
  return diskBlobs({
    folder: join(data, 'blobs'),
    sources: (digest) => [...neighbours(digest), hub],
    pace: createPace({ clock, transfer: facts.transfer, hubTime: facts.hubTime }),
    clock,
    otherBase: deps.otherBase,
  });
};
