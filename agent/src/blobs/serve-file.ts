import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { blobLimits } from './limits.ts';

/** One range of RFC 9110, section 14. Anything else is answered with the whole, as the RFC allows. */
const rangeOf = (header: string | undefined, size: number): { start: number; end: number } | 'whole' | 'unsatisfiable' => {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole';
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return start >= size || start > end ? 'unsatisfiable' : { start, end };
};

/** Answers GET and HEAD with a file, whole or one range of it. False when the file is not there (any more); then nothing was sent. */
export const serveFile = async (request: IncomingMessage, response: ServerResponse, file: string, more: Record<string, string>): Promise<boolean> => {
  const size = await stat(file).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
  if (size === undefined) return false;
  const headers = { 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff', 'cache-control': 'no-store', ...more };
  const range = rangeOf(request.headers.range, size);
  if (range === 'unsatisfiable') {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${size}`, 'content-length': '0' }).end();
    return true;
  }
  const { start, end } = range === 'whole' ? { start: 0, end: size - 1 } : range;
  const length = end - start + 1;
  const partial = range === 'whole' ? {} : { 'content-range': `bytes ${start}-${end}/${size}` };
  response.writeHead(range === 'whole' ? 200 : 206, { ...headers, ...partial, 'content-length': String(length) });
  if (request.method === 'HEAD' || length === 0) {
    response.end();
    return true;
  }
  // Who hangs up in the middle ends both; there is nobody left to tell.
  await pipeline(createReadStream(file, { start, end, highWaterMark: blobLimits.copyBytes }), response).catch(() => response.destroy());
  return true;
};
