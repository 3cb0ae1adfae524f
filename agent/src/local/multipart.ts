import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import { fail, type Result } from '@groundplane/protocol/failure';

const fieldBytesMax = 1_024;

/**
 * Reads the form of an upload: first the token that says it is of our own page, then one file, which is handed on as it comes. A file before the token, or with a
 * wrong one, is not looked at.
 */
export const readUpload = (
  request: IncomingMessage,
  isMeant: (csrf: string) => boolean,
  take: (file: Readable) => Promise<Result<void>>,
): Promise<Result<void>> => {
  const { promise, resolve } = Promise.withResolvers<Result<void>>();
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data')) return Promise.resolve(fail('fatal', 'upload-invalid', 'upload', 'is no form with a file'));
  let parser: InstanceType<typeof Busboy>;
  try {
    parser = new Busboy({
      headers: { ...request.headers, 'content-type': type },
      limits: { fields: 4, fieldNameSize: 64, fieldSize: fieldBytesMax, files: 1, parts: 6, headerPairs: 16 },
    });
  } catch {
    return Promise.resolve(fail('fatal', 'upload-invalid', 'upload', 'is a form that cannot be read'));
  }
  let csrf = '';
  let current: Readable | undefined;
  let isHandled = false;
  parser.on('field', (name, value) => {
    if (name === 'csrf') csrf = value;
  });
  parser.on('file', (name, file) => {
    if (isHandled || name !== 'medium' || !isMeant(csrf)) {
      file.resume();
      if (!isHandled) resolve(fail('fatal', 'upload-foreign', 'upload', 'this form is not of this page; go back and try again'));
      return;
    }
    isHandled = true;
    current = file;
    // Also when whoever took it has gone already.
    file.on('error', () => undefined);
    void take(file).then(resolve, (error: unknown) =>
      resolve(fail('blocked', 'upload-failed', 'upload', error instanceof Error ? error.message : String(error))),
    );
  });
  parser.on('finish', () => (isHandled ? undefined : resolve(fail('fatal', 'upload-invalid', 'upload', 'holds no file. Choose one'))));
  parser.on('error', (error) => {
    current?.destroy(error instanceof Error ? error : new Error(String(error)));
    if (!isHandled) resolve(fail('fatal', 'upload-invalid', 'upload', 'is a form that cannot be read'));
  });
  // The line broke in the middle: whoever reads the file must learn it, or he waits for ever.
  request.once('close', () => {
    if (request.complete) return;
    current?.destroy(new Error('the line broke before its end'));
    if (!isHandled) resolve(fail('retry', 'upload-cut', 'upload', 'broke off'));
  });
  request.pipe(parser);
  return promise.finally(() => {
    request.unpipe(parser);
    request.resume();
  });
};
