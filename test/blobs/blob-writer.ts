import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { seededRandom } from '../fake/random.ts';
import { diskRig } from './rig.ts';

/** Fetches some blobs into a folder, one after the other, and says which are there; it is killed while it does. */
const folder = process.argv[2] ?? '';
const rig = diskRig(folder);
const blobs = Array.from({ length: 6 }, (_, index) => Buffer.from(seededRandom(`power ${index}`).bytes(3_000_000)));
for (const bytes of blobs) rig.origin.set(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes);
const store = rig.open();
for (const [digest, bytes] of rig.origin) {
  const fetched = await store.fetch({ digest: digest as `sha256:${string}`, sizeBytes: bytes.length }, new AbortController().signal);
  if (!fetched.ok) throw new Error(fetched.failure.message);
  process.stdout.write(`${digest}\n`);
  await nextTurn();
}
process.stdout.write('all\n');
