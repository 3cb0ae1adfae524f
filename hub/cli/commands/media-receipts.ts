import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { receiptsFolder, signedReceiptSchema, type SignedReceipt } from '@groundplane/protocol/media';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { exits, type Outcome } from '../trouble.ts';
import { failureTrouble } from './pack-registry.ts';

const readReceipt = async (file: string): Promise<Result<SignedReceipt>> => {
  try {
    if ((await stat(file)).size > limits.receiptBytes) return fail('fatal', 'receipt-invalid', file, `has more than ${limits.receiptBytes} bytes`);
    const parsed = signedReceiptSchema.safeParse(JSON.parse(await readFile(file, 'utf8')));
    return parsed.success ? ok(parsed.data) : fail('fatal', 'receipt-invalid', file, 'is no receipt of a host');
  } catch (error) {
    return fail('fatal', 'receipt-invalid', file, `cannot be read: ${(error as Error).message}`);
  }
};

/** Receipts on a medium, or one in a file. What is none is named and passed over: a stick carries other things too. */
export const readReceipts = async (path: string): Promise<Result<{ receipts: SignedReceipt[]; passed: string[] }>> => {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return fail('fatal', 'receipt-missing', path, 'there is no such file or folder');
  const folder = join(path, receiptsFolder);
  const names = info.isDirectory()
    ? (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json')).map((name) => join(folder, name))
    : path.endsWith('.json')
      ? [path]
      : [];
  const receipts: SignedReceipt[] = [];
  const passed: string[] = [];
  for (const name of names.toSorted()) {
    const read = await readReceipt(name);
    if (read.ok) receipts.push(read.value);
    else passed.push(`${read.failure.element} ${read.failure.message}`);
  }
  return ok({ receipts: receipts.toSorted((a, b) => a.receipt.seq - b.receipt.seq), passed });
};

/** What every host of a site that left a receipt has: a medium may leave it out. The newest receipt of each host counts. */
export const heldBySite = async (path: string): Promise<Result<ReadonlySet<string>>> => {
  const read = await readReceipts(path);
  if (!read.ok) return read;
  const newest = new Map(read.value.receipts.map(({ receipt }) => [receipt.host, new Set<string>(receipt.digests)]));
  const [first, ...others] = [...newest.values()];
  if (first === undefined) return fail('fatal', 'receipt-missing', path, 'holds no receipt of a host; leave --since out to export everything');
  return ok(new Set([...first].filter((digest) => others.every((held) => held.has(digest)))));
};

/** Gives the receipts on a medium to the hub. Each counts once; answers how many were news. */
export const sendReceipts = async (context: Context, connection: Connection, path: string): Promise<Result<{ taken: number; known: number }>> => {
  const read = await readReceipts(path);
  if (!read.ok) return read;
  for (const text of read.value.passed) await notice(context, `passed over: ${text}`);
  const counts = { taken: 0, known: 0 };
  for (const body of read.value.receipts) {
    const sent = await connection.client.call('importReceipt', { params: { project: connection.project }, body });
    if (!sent.ok) return sent;
    counts[sent.value.state] += 1;
  }
  return ok(counts);
};

/** `gp media receipts DIR`: what hosts without a line say on a medium that came back. */
export const receipts = async (context: Context, path: string): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const sent = await sendReceipts(context, connection.value, resolve(context.io.cwd, path));
  if (!sent.ok) return failureTrouble(sent.failure);
  await printOne(context, sent.value, path, () => `${sent.value.taken} receipts were taken, ${sent.value.known} were known\n`);
  return exits.ok;
};
