import type { Vitals } from '@groundplane/protocol/ask';
import type { Result } from '@groundplane/protocol/failure';

/** Reads how the machine does. Costs some milliseconds of CPU, so it is read when somebody wants to know and seldom otherwise. */
export interface VitalsSource {
  read(): Promise<Result<Vitals>>;
}
