import process from 'node:process';
import { isatty } from 'node:tty';
import { systemClock } from './clock.ts';
import type { Io, Sink } from './io.ts';

const sinkOf = (stream: NodeJS.WriteStream & { fd: number }): Sink => {
  // Without a listener a closed pipe would be an uncaught exception; the write below reports it.
  stream.on('error', () => {});
  return {
    write: (text) => new Promise((resolve, reject) => stream.write(text, (error) => (error === undefined || error === null ? resolve() : reject(error)))),
    isTTY: isatty(stream.fd),
    columns: stream.columns ?? 80,
  };
};

const readAll = async (stream: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    parts.push(part);
    size += part.length;
    if (size > bytesMax) break;
  }
  return Buffer.concat(parts).subarray(0, bytesMax + 1);
};

const ask = async (question: string, hidden: boolean): Promise<string> => {
  const [{ createInterface }, { Writable }] = await Promise.all([import('node:readline'), import('node:stream')]);
  const silent = new Writable({ write: (_chunk, _encoding, callback) => callback() });
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    const reader = createInterface({ input: process.stdin, output: hidden ? silent : process.stderr, terminal: true });
    reader.once('close', () => reject(Object.assign(new Error('the question was not answered'), { code: 'EOF' })));
    reader.once('SIGINT', () => reader.close());
    reader.question('', (answer) => {
      resolve(answer);
      reader.close();
      if (hidden) process.stderr.write('\n');
    });
  });
};

/** The real terminal, network and clock. */
export const processIo = (): Io => ({
  stdout: sinkOf(process.stdout),
  stderr: sinkOf(process.stderr),
  stdin: { isTTY: isatty(0), read: (bytesMax) => readAll(process.stdin as AsyncIterable<Uint8Array>, bytesMax) },
  ask: (question, options) => ask(question, options?.hidden === true),
  env: process.env,
  cwd: process.cwd(),
  // Naming it loads Node's whole HTTP client; most commands never do.
  fetch: (input, init) => globalThis.fetch(input, init),
  clock: systemClock,
  random: (bytes) => globalThis.crypto.getRandomValues(new Uint8Array(bytes)),
});
