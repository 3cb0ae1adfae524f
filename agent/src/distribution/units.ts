import { parseDocument } from 'yaml';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Tools } from '../port/tools.ts';

const property = (text: string, name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';

/** systemd units of a distribution, and the programs behind them. */
export const createUnits = (tools: Tools, units: readonly string[]) => {
  const versions = new Map<string, { changedAtMs: number | undefined; version: string | undefined }>();

  const state = async (unit: string): Promise<{ isRunning: boolean; isStale: boolean }> => {
    const shown = await tools.run('systemctl', ['show', '-p', 'ActiveState,UnitFileState,MainPID', unit]);
    const pid = property(shown.stdout, 'MainPID');
    const isActive = ['active', 'activating', 'reloading'].includes(property(shown.stdout, 'ActiveState'));
    const program = pid === '' || pid === '0' ? undefined : await tools.link(`/proc/${pid}/exe`);
    return { isRunning: isActive && property(shown.stdout, 'UnitFileState') === 'enabled', isStale: program?.endsWith(' (deleted)') === true };
  };

  const control = async (verb: string, unit: string): Promise<Result<void>> => {
    const result = await tools.run('systemctl', [verb, unit], { timeoutMs: 120_000 });
    return result.code === 0 ? ok(undefined) : fail('retry', 'kubernetes-failed', unit, `systemctl ${verb} failed: ${result.stderr.trim().slice(-500)}`);
  };

  /** Asked again only when the program changed: starting it costs more than the rest of a look. */
  const programVersion = async (program: string): Promise<string | undefined> => {
    const places = ['/usr/local/bin', '/usr/bin', '/usr/local/sbin', '/usr/sbin'];
    for (const folder of places) {
      const changedAtMs = await tools.changedAtMs(`${folder}/${program}`);
      if (changedAtMs === undefined) continue;
      const known = versions.get(program);
      if (known?.changedAtMs === changedAtMs) return known.version;
      const result = await tools.run(`${folder}/${program}`, ['--version'], { timeoutMs: 30_000 });
      const version = /v\d+\.\d+\.\d+\S*/.exec(result.stdout)?.[0];
      versions.set(program, { changedAtMs, version });
      return version;
    }
    return undefined;
  };

  const startedAtMs = async (unit: string): Promise<number | undefined> => {
    const shown = await tools.run('systemctl', ['show', '--timestamp=unix', '-p', 'ActiveEnterTimestamp', unit]);
    const seconds = Number(property(shown.stdout, 'ActiveEnterTimestamp').replace('@', ''));
    return seconds > 0 ? seconds * 1000 : undefined;
  };

  /** For a program that unpacks itself and runs from elsewhere: whether it was put there after its unit was started. */
  const isOlderThan = async (unit: string, program: string): Promise<boolean> => {
    const sinceMs = await startedAtMs(unit);
    const changedAtMs = await tools.changedAtMs(program);
    return sinceMs !== undefined && changedAtMs !== undefined && changedAtMs > sinceMs + 1000;
  };

  return {
    state,
    startedAtMs,
    isOlderThan,
    programVersion,
    /** All of them enabled and running; those named are started anew. */
    start: async (restart: readonly string[]): Promise<Result<void>> => {
      for (const unit of units) {
        // Each word to systemctl may make systemd read all its units again.
        if (!restart.includes(unit) && (await state(unit)).isRunning) continue;
        const enabled = await control('enable', unit);
        if (!enabled.ok) return enabled;
        const started = await control(restart.includes(unit) ? 'restart' : 'start', unit);
        if (!started.ok) return started;
      }
      return ok(undefined);
    },
    stop: async (names: readonly string[]): Promise<Result<void>> => {
      for (const unit of names) {
        const stopped = await tools.run('systemctl', ['disable', '--now', unit], { timeoutMs: 120_000 });
        if (stopped.code !== 0 && !/not loaded|does not exist|No such file/i.test(stopped.stderr))
          return fail('retry', 'kubernetes-failed', unit, `cannot be stopped: ${stopped.stderr.trim().slice(-500)}`);
      }
      return ok(undefined);
    },
    /** Static pods read certificates at start. Another annotation makes each of them another pod for the kubelet, which starts it anew. */
    restartStaticPods: async (paths: readonly string[], nowMs: number): Promise<Result<void>> => {
      for (const path of paths) {
        const text = await tools.read(path);
        if (text === undefined) continue;
        const document = parseDocument(text);
        document.setIn(['metadata', 'annotations', 'groundplane.dev/restarted'], String(nowMs));
        await tools.write(path, document.toString(), '0600');
      }
      return ok(undefined);
    },
  };
};
