import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type MachineFacts, type MachineWant, type Progress } from '../../port/provider.ts';
import type { Clock } from '../../port/clock.ts';
import { parseSize } from '../size.ts';
import { ensureCategory } from './category.ts';
import { choose, type Scope } from './choices.ts';
import { failureOfTask } from './failures.ts';
import { nutanixLimits } from './limits.ts';
import { isRunning, quoted, uuidOf, type Ask, type Session, type Task } from './session.ts';
import { createBodyOf, factsOf, isOurs, namePrefix, vmName, vmSchema, type Vm } from './vm.ts';

const pathOf = (vm: Pick<Vm, 'extId'>): string => `/${encodeURIComponent(vm.extId)}`;
const beingMade = (name: string, what: string) => fail('retry', 'machine-being-made', `machine ${name}`, what);

/** Ours, the oldest first. */
export const ownVms = async (session: Session, scope: Pick<Scope, 'id'>): Promise<Result<Vm[]>> => {
  const found = await session.list('vms', vmSchema, `startswith(name, ${quoted(namePrefix(scope))})`);
  if (!found.ok) return found;
  return ok(
    found.value.filter((vm) => isOurs(scope, vm)).toSorted((a, b) => (a.createTime ?? '').localeCompare(b.createTime ?? '') || a.extId.localeCompare(b.extId)),
  );
};

export const listMachines = async (session: Session, scope: Scope): Promise<Result<MachineFacts[]>> => {
  const found = await ownVms(session, scope);
  return found.ok ? ok(found.value.map((vm) => factsOf(vm, scope.placement.vip))) : found;
};

/** Asks with the version of the thing that stands now, and once more when somebody changed it in between (412). */
const change = async (session: Session, vm: Pick<Vm, 'extId'>, ask: Omit<Ask, 'api' | 'etag'>): Promise<Result<string>> => {
  for (let attempt = 1; ; attempt += 1) {
    const now = await session.read({ method: 'GET', api: 'vms', path: pathOf(vm) }, vmSchema);
    if (!now.ok) return now;
    const task = await session.startTask({ ...ask, api: 'vms', etag: now.value.etag });
    if (task.ok || attempt > 1 || !task.failure.message.endsWith('(412)')) return task;
  }
};

export const removeVm = async (session: Session, vm: Vm): Promise<Result<void>> => {
  const task = await change(session, vm, { method: 'DELETE', path: pathOf(vm) });
  if (!task.ok) return task;
  const state = await session.look(task.value, `deletion of machine ${vm.name}`);
  return state.ok ? ok(undefined) : state;
};

/** As long as this hub lives. `attempts`: how often each machine was asked for without success. `missed`: machines that could be read once, by id, and how often they could not be since. */
export interface Memory {
  attempts: Map<string, number>;
  missed: Map<string, number>;
}

const isStale = (task: Task, clock: Clock): boolean => {
  const madeAtMs = Date.parse(task.createdTime ?? '');
  return !Number.isNaN(madeAtMs) && clock.wallMs() - madeAtMs > nutanixLimits.staleTaskMs;
};

/** Somebody's clock may be ahead; one that is further away than that says nothing. */
const isFresh = (task: Task, clock: Clock): boolean => Math.abs(clock.wallMs() - Date.parse(task.createdTime ?? '')) <= nutanixLimits.staleTaskMs;

/** What became of a create call: the machine, the task that still runs or failed, or the task alone when the machine is not there any more. */
const outcomeOf = async (session: Session, clock: Clock, memory: Memory, name: string, taskId: string): Promise<Result<{ vm?: Vm; task: Task }>> => {
  const task = await session.task(taskId);
  if (!task.ok) return task;
  if (task.value.status !== 'SUCCEEDED') return ok({ task: task.value });
  const affected = task.value.entitiesAffected ?? [];
  const made = affected.find((item) => item.rel?.endsWith(':vm') === true) ?? affected[0];
  if (made === undefined) return ok({ task: task.value });
  const vm = await session.read({ method: 'GET', api: 'vms', path: pathOf(made) }, vmSchema);
  if (vm.ok) {
    memory.missed.set(made.extId, 0);
    return ok({ vm: vm.value.value, task: task.value });
  }
  if (vm.failure.code !== 'cloud-conflict') return vm;
  // It is gone, or it was made just now and not everybody there knows yet: to ask for another one then would make two.
  const missed = memory.missed.get(made.extId);
  if (missed !== undefined) memory.missed.set(made.extId, missed + 1);
  if ((missed ?? 0) < nutanixLimits.missedLooks && isFresh(task.value, clock)) return beingMade(name, 'was made, and cannot be read yet');
  return ok({ task: task.value });
};

/**
 * Prism Central answers a request id that it knows with the task of the first time. The ids of a machine are numbered: the first one whose outcome is not over
 * (failed, or made and deleted since) is the one that counts, so that a create call that was cut off is never a second machine.
 */
const create = async (session: Session, clock: Clock, scope: Scope, want: MachineWant, memory: Memory): Promise<Result<Vm>> => {
  const { attempts } = memory;
  const size = parseSize(want.size, `machine ${want.name}`);
  if (!size.ok) return size;
  const choice = await choose(session, scope.placement, want);
  if (!choice.ok) return choice;
  const category = await ensureCategory(session, scope);
  if (!category.ok) return category;
  const body = createBodyOf(scope, want, size.value, choice.value, category.value);
  const key = `${scope.id} ${want.name}`;
  const first = attempts.get(key) ?? 0;
  for (let attempt = first; attempt < first + nutanixLimits.attempts; attempt += 1) {
    const started = await session.startTask({ method: 'POST', api: 'vms', body, requestId: uuidOf('create', scope.id, want.name, String(attempt)) });
    if (!started.ok) return started;
    const outcome = await outcomeOf(session, clock, memory, want.name, started.value);
    if (!outcome.ok) return outcome;
    const { vm, task } = outcome.value;
    if (vm !== undefined) return ok(vm);
    if (isRunning(task)) return beingMade(want.name, 'is being made');
    attempts.set(key, attempt + 1);
    if (task.status !== 'SUCCEEDED' && !isStale(task, clock)) return failureOfTask(`machine ${want.name}`, task.errorMessages ?? [], task.status);
  }
  return fail('retry', 'cloud-failed', `machine ${want.name}`, `it was made and lost ${nutanixLimits.attempts} times`);
};

/** Create, then power: as far as it goes at once. Until it runs the answer is `machine-being-made` (retry), or why it does not go on. */
export const ensureMachine = async (session: Session, clock: Clock, scope: Scope, want: MachineWant, memory: Memory): Promise<Result<MachineFacts>> => {
  if (Buffer.byteLength(want.userData) > nutanixLimits.userDataBytes)
    return fail('fatal', 'cloud-refused', `machine ${want.name}`, `its user data has more than ${nutanixLimits.userDataBytes} bytes`);
  const name = vmName(scope, want.name);
  const found = await session.list('vms', vmSchema, `name eq ${quoted(name)}`);
  if (!found.ok) return found;
  const same = found.value.filter((vm) => vm.name === name);
  const there = same.find((vm) => isOurs(scope, vm));
  if (there === undefined && same.length > 0)
    return fail('blocked', 'not-ours', `machine ${want.name}`, `there is a machine ${name} that has no mark of ours in its description. Give it another name`);
  if (there !== undefined) memory.missed.set(there.extId, 0);
  const vm = there === undefined ? await create(session, clock, scope, want, memory) : ok(there);
  if (!vm.ok) return vm;
  if (vm.value.powerState === 'ON') return ok(factsOf(vm.value, scope.placement.vip));
  const task = await change(session, vm.value, { method: 'POST', path: `${pathOf(vm.value)}/$actions/power-on` });
  if (!task.ok) return task;
  const state = await session.look(task.value, `start of machine ${want.name}`);
  if (!state.ok) return state;
  return state.value === 'done' ? ok({ ...factsOf(vm.value, scope.placement.vip), state: 'running' }) : beingMade(want.name, 'is being started');
};

export const deleteMachine = async (session: Session, scope: Scope, name: string): Promise<Result<Progress<void>>> => {
  const own = await ownVms(session, scope);
  if (!own.ok) return own;
  const named = own.value.filter((vm) => vm.name === vmName(scope, name));
  for (const vm of named) {
    const gone = await removeVm(session, vm);
    if (!gone.ok) return gone;
  }
  return named.length === 0 ? ready(undefined) : pending(`machine ${name} is being deleted`, 2_000);
};
