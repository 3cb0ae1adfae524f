import { fail, FailureError, type Result } from '@groundplane/protocol/failure';

/** What a disk says when it does not take or give bytes, in our words. */
export const diskFailure = (error: unknown, element: string): Result<never> => {
  if (error instanceof FailureError) return { ok: false, failure: error.failure };
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return fail('blocked', 'disk-full', element, 'the disk is full. Free some space; nothing is lost, and the agent goes on by itself');
    case 'EROFS':
      return fail('blocked', 'disk-read-only', element, 'the file system is read-only. Check the disk and mount it read-write');
    case 'EACCES':
    case 'EPERM':
      return fail('blocked', 'host-denied', element, `this user may not write there: ${message}`);
    default:
      return fail('blocked', 'disk-error', element, `the disk failed (${code ?? String(error)}). Check the disk`);
  }
};
