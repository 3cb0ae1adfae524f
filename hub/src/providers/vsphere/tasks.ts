import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { failureOfFault, faultOfTask } from './failures.ts';
import { inventoryOf, propertyText } from './inventory.ts';
import type { Session } from './session.ts';
import { refOf, type Ref, type SoapFields } from './soap.ts';

export const startTask = async (session: Session, method: string, target: Ref, fields: SoapFields): Promise<Result<Ref>> => {
  const answer = await session.call(method, target, fields);
  if (!answer.ok) return answer;
  const task = refOf(answer.value[0], 'Task');
  return task === undefined ? fail('retry', 'cloud-failed', `vSphere ${method} ${target.id}`, 'the answer names no task') : ok(task);
};

/** Tasks that this hub started, by what they are for. A hub that started anew knows none, and sees what is there. */
export const createTasks = (session: Session) => {
  const known = new Map<string, Ref>();
  const inventory = inventoryOf(session);
  return {
    of: (key: string): Ref | undefined => known.get(key),
    note: (key: string, task: Ref): void => void known.set(key, task),
    forget: (key: string): void => void known.delete(key),
    /** One look: `running`, `done`, or the failure that it ended with. A task that vCenter forgot is done. */
    look: async (task: Ref, element: string): Promise<Result<'running' | 'done'>> => {
      const read = await inventory.one(task, ['info.state', 'info.error']);
      if (!read.ok) return read.failure.code === 'cloud-conflict' ? ok('done') : read;
      const state = propertyText(read.value, 'info.state');
      if (state === 'queued' || state === 'running') return ok('running');
      const error = read.value.properties.get('info.error');
      return state === 'error' && error !== undefined ? failureOfFault(faultOfTask(error), element) : ok('done');
    },
  };
};
export type Tasks = ReturnType<typeof createTasks>;
