import { cutHttp, type Cut } from './cut-http.ts';
import { createDrive, doublesOf, kindsOf, PowerCut } from './drive.ts';
import { endMachines, growMachines } from './machine-life.ts';
import { endManaged, growManaged } from './managed-life.ts';
import type { MachineRig, ManagedRig } from './rig.ts';
import type { ClusterScope } from '@groundplane/hub/port/provider';

export type AnyRig = MachineRig | ManagedRig;

export interface KillReport {
  counterpart: string;
  /** Calls of a life without a cut. */
  calls: number;
  /** Cuts that happened. */
  killPoints: number;
  /** Cuts at a call that the life did not come to: how often it must ask is up to how fast its services answer. */
  notReached: number;
  /** Each with its point. */
  doubles: string[];
  leaks: string[];
  /** Lives that did not come to their end. */
  stuck: string[];
  seconds: number;
}

/** One life, with its end after a cut at a given call, gone on with by a new instance that remembers nothing. */
const live = async (rig: AnyRig, scope: ClusterScope, cut: Cut | undefined, atHalf: () => Promise<void>): Promise<{ calls: number; wasCut: boolean }> => {
  let calls = 0;
  const attempt = async (point: Cut | undefined, isGrown: boolean): Promise<{ cut: boolean; grown: boolean }> => {
    const door = cutHttp(rig.http, point);
    const drive = createDrive(door.isCut, rig.pollMs);
    let grown = isGrown;
    try {
      const opened =
        rig.kind === 'machines' ? { kind: rig.kind, rig, provider: await rig.open(door.http) } : { kind: rig.kind, rig, provider: await rig.open(door.http) };
      if (!grown) {
        if (opened.kind === 'machines') await growMachines(opened.rig, drive, opened.provider, scope);
        else await growManaged(opened.rig, drive, opened.provider, scope);
        grown = true;
        await atHalf();
      }
      if (opened.kind === 'machines') await endMachines(drive, opened.provider, scope);
      else await endManaged(drive, opened.provider, scope);
      return { cut: false, grown };
    } catch (error) {
      if (error instanceof PowerCut || door.isCut()) return { cut: true, grown };
      throw error;
    } finally {
      calls += door.calls();
    }
  };
  const first = await attempt(cut, false);
  if (first.cut) await attempt(undefined, first.grown);
  return { calls, wasCut: first.cut };
};

const spread = (calls: number, points: number): Cut[] => {
  const all = Array.from({ length: calls }, (_, index) => index + 1).flatMap((at): Cut[] => [
    { at, when: 'before' },
    { at, when: 'after' },
  ]);
  if (points >= all.length) return all;
  return Array.from({ length: points }, (_, index) => all[Math.floor((index * all.length) / points)]).filter((cut) => cut !== undefined);
};

/**
 * Lives through a whole cluster once, and then again with a cut at each call (or at as many of them as `points` says, spread evenly; `from`: without those before), before it was sent and after it was
 * done. Whatever is more than after a life without a cut is a double; whatever is left at the end is a leak.
 */
export const killEverywhere = async (
  rig: AnyRig,
  which: { points?: number; from?: number } = {},
  onPoint: (report: KillReport, of: number) => void = () => undefined,
): Promise<KillReport> => {
  const startedMs = performance.now();
  const idOf = (index: number): string => `clu_${String(index).padStart(20, '0')}`;
  let wanted: Record<string, number> = {};
  const { calls } = await live(rig, rig.scope(idOf(0), 'life'), undefined, async () => void (wanted = kindsOf(await rig.inventory())));
  const report: KillReport = { counterpart: rig.counterpart, calls, killPoints: 0, notReached: 0, doubles: [], leaks: [], stuck: [], seconds: 0 };
  report.leaks.push(...(await rig.inventory()).map((line) => `no cut: ${line}`));
  if (report.leaks.length > 0) return report;
  const points = spread(calls, which.points ?? Number.POSITIVE_INFINITY).slice((which.from ?? 1) - 1);
  for (const [index, cut] of points.entries()) {
    const point = `cut ${cut.when} call ${cut.at}`;
    try {
      const { wasCut } = await live(
        rig,
        rig.scope(idOf(index + 1), 'life'),
        cut,
        async () => void report.doubles.push(...doublesOf(await rig.inventory(), wanted).map((text) => `${point}: ${text}`)),
      );
      report[wasCut ? 'killPoints' : 'notReached'] += 1;
    } catch (error) {
      report.killPoints += 1;
      report.stuck.push(`${point}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const left = await rig.inventory();
    report.leaks.push(...left.map((line) => `${point}: ${line}`));
    if (left.length === 0 && index % 10 === 9) await rig.forgetPast?.();
    onPoint(report, points.length);
    // What is left would be counted again at every later point.
    if (left.length > 0 || report.stuck.length > 5) break;
  }
  report.seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  return report;
};
