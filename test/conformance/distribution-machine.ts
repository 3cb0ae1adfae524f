import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tools } from '@groundplane/agent/port/tools';
import { certificatesIn } from '@groundplane/agent/distribution/certificates';
import { virtualClock, type VirtualClock } from '../fake/clock.ts';
import { fakeTools } from '../fake/tools.ts';

/** A machine for models of other people's programs: files, systemd units, a clock, and a power supply that can be cut at any step. */

const certificate = (days: number): string => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-cert-'));
  const [key, cert] = [join(folder, 'k'), join(folder, 'c')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
  execFileSync('openssl', [...request, '-days', String(days), '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const text = readFileSync(cert, 'utf8') + readFileSync(key, 'utf8');
  rmSync(folder, { recursive: true });
  return text;
};
/** The first one lives a year, the one after it ten. */
export const certificates = { first: certificate(365), renewed: certificate(3_650) };
const bornMs = certificatesIn(certificates.first)[0]?.validFromDate.getTime() ?? 0;

export interface Said {
  code: number;
  stdout?: string;
  stderr?: string;
}

export interface ModelMachine {
  files: Map<string, string>;
  clock: VirtualClock;
  tools: Tools;
  /** Of units, by name; absent: systemd does not know it. */
  units: Map<string, { isEnabled: boolean; isActive: boolean; sinceMs: number }>;
  /** A program of the model writes, or removes: a step at which the power can go. */
  write(path: string, content: string): void;
  erase(prefix: string): void;
  cutAt(step: number, when: 'before' | 'after'): void;
  powerOn(): number;
}

const words = (command: string): string[] => command.split(' ').filter((word) => !word.startsWith('-'));

/** `systemctl` as far as drivers use it. `onStart` is what the unit's program does then; `unitExists` whether there is a file of it. */
const systemctl = (
  machine: Pick<ModelMachine, 'units' | 'clock'>,
  command: string,
  hooks: { onStart: (unit: string) => void; unitExists: (unit: string) => boolean },
): Said => {
  const [, verb = ''] = words(command);
  if (verb === 'daemon-reload') return { code: 0 };
  const unit = command.split(' ').at(-1) ?? '';
  const known = machine.units.get(unit) ?? { isEnabled: false, isActive: false, sinceMs: 0 };
  if (verb === 'show') {
    const stamp = `ActiveEnterTimestamp=@${Math.floor(known.sinceMs / 1000)}\n`;
    return {
      code: 0,
      stdout: `ActiveState=${known.isActive ? 'active' : 'inactive'}\nUnitFileState=${known.isEnabled ? 'enabled' : 'disabled'}\nMainPID=${known.isActive ? 7 : 0}\n${known.isActive ? stamp : ''}`,
    };
  }
  if (verb === 'is-active') return { code: known.isActive ? 0 : 3, stdout: known.isActive ? 'active\n' : 'activating\n' };
  if (!hooks.unitExists(unit)) return { code: 5, stderr: `Failed to ${verb} unit: Unit file ${unit} does not exist.` };
  machine.units.set(unit, known);
  if (verb === 'enable') known.isEnabled = true;
  if (verb === 'disable') known.isEnabled = false;
  if (verb === 'stop' || verb === 'disable') known.isActive = false;
  if (verb === 'start' || verb === 'restart') {
    known.isActive = true;
    known.sinceMs = machine.clock.wallMs();
    hooks.onStart(unit);
  }
  return { code: 0 };
};

export interface Programs {
  unitExists(unit: string): boolean;
  /** What its program does when it starts; it may set its unit back to inactive. */
  onStart(unit: string): void;
  /** Everything that is not systemctl; undefined: it goes well and says nothing. */
  run(command: string): Said | undefined;
}

/** `programs` is made with the machine, since they write to it. */
export const modelMachine = (makePrograms: (machine: ModelMachine) => Programs): ModelMachine => {
  const clock = virtualClock({ wallStartMs: bornMs + 60_000 });
  const changed = new Map<string, number>();
  let steps = 0;
  let cut: { step: number; when: 'before' | 'after' } | undefined;
  let isDark = false;
  const dark = (): never => {
    isDark = true;
    throw new Error('power cut');
  };
  /** One thing that happens whole or not at all. */
  const step = <T>(effect: () => T): T => {
    if (isDark) dark();
    steps += 1;
    const isHere = steps === cut?.step;
    if (isHere && cut?.when === 'before') dark();
    const value = effect();
    if (isHere) dark();
    return value;
  };
  const erase = (prefix: string): void => {
    for (const path of machine.files.keys()) if (path === prefix || path.startsWith(`${prefix}/`)) machine.files.delete(path);
  };
  const plain = fakeTools((command) =>
    command.startsWith('systemctl ') ? step(() => systemctl(machine, command, programs)) : (programs.run(command) ?? step(() => ({ code: 0 }))),
  );
  const set = (path: string, content: string): void => {
    changed.set(path, clock.wallMs());
    plain.files.set(path, content);
  };
  const later = <T>(work: () => T): Promise<T> => new Promise((resolve) => resolve(work()));
  const machine: ModelMachine = {
    files: plain.files,
    clock,
    units: new Map(),
    write: (path, content) => step(() => set(path, content)),
    erase: (prefix) => step(() => erase(prefix)),
    tools: {
      ...plain,
      run: (file, args, options) => later(() => plain.run(file, args, options)).then((said) => said),
      write: (path, content) => later(() => step(() => set(path, content))),
      remove: (path) => later(() => step(() => erase(path))),
      move: (from, to) =>
        later(() =>
          step(() => {
            set(to, plain.files.get(from) ?? '');
            plain.files.delete(from);
          }),
        ),
      changedAtMs: (path) => Promise.resolve(plain.files.has(path) ? (changed.get(path) ?? 0) : undefined),
    },
    cutAt: (at, when) => {
      steps = 0;
      cut = { step: at, when };
    },
    powerOn: () => {
      const done = steps;
      cut = undefined;
      if (isDark) {
        isDark = false;
        for (const [unit, state] of machine.units) {
          state.isActive = state.isEnabled;
          state.sinceMs = clock.wallMs();
          if (state.isEnabled) programs.onStart(unit);
        }
      }
      return done;
    },
  };
  const programs = makePrograms(machine);
  return machine;
};
