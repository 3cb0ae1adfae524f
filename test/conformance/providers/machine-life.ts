import type { ClusterScope, MachineFacts, MachineProvider } from '@groundplane/hub/port/provider';
import type { Drive } from './drive.ts';
import type { MachineRig } from './rig.ts';

const running = (facts: readonly MachineFacts[]): MachineFacts[] => facts.filter((machine) => machine.state === 'starting' || machine.state === 'running');

const present = async (drive: Drive, provider: MachineProvider, scope: ClusterScope, count: number): Promise<MachineFacts[]> => {
  // Eventually consistent environments list late.
  for (let round = 0; ; round += 1) {
    const found = running(await drive.once('list', () => provider.listMachines(scope as never)));
    if (found.length === count || round > 40) return found;
  }
};

/** Three machines behind an address, one of them replaced by a newer one. Any part of it may be there already. */
export const growMachines = async (rig: MachineRig, drive: Drive, provider: MachineProvider, scope: ClusterScope): Promise<MachineFacts[]> => {
  const at = scope as never;
  const wants = [rig.want('life-srv-1', 'servers', 'g1'), rig.want('life-wrk-1', 'workers', 'g1')] as const;
  const newer = rig.want('life-wrk-2', 'workers', 'g2');
  await drive.until('network', () => provider.ensureNetwork(at));
  await drive.until('endpoint', () => provider.ensureEndpoint(at, []));
  const before = await drive.once('list', () => provider.listMachines(at));
  const isReplaced = before.some((machine) => machine.name === newer.name);
  for (const want of isReplaced ? [wants[0]] : wants) await drive.once(`machine ${want.name}`, () => provider.ensureMachine(at, want));
  const servers = (await present(drive, provider, scope, 2)).filter((machine) => machine.pool === 'servers');
  await drive.until('endpoint with servers', () => provider.ensureEndpoint(at, servers));
  await drive.once(`machine ${newer.name}`, () => provider.ensureMachine(at, newer));
  await drive.until('replaced machine gone', () => provider.deleteMachine(at, wants[1].name));
  return present(drive, provider, scope, 2);
};

export const endMachines = async (drive: Drive, provider: MachineProvider, scope: ClusterScope): Promise<void> => {
  await drive.until('nothing left', () => provider.ensureNothingLeft(scope as never));
};
