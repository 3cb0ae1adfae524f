import { tmpdir } from 'node:os';
import { run, type Io } from '../../hub/cli/main.ts';

export interface FakeOptions {
  fetch?: typeof fetch;
  env?: Record<string, string>;
  /** stdout and stderr are terminals. */
  isTTY?: boolean;
  stdin?: string | Uint8Array;
  /** Answers to questions in order; a question too many fails the test. With answers, stdin is a terminal. */
  answers?: string[];
  cwd?: string;
  nowMs?: number;
  /** Writes to stdout after this many fail as a closed pipe does. */
  writesMax?: number;
  onSleep?: (ms: number, nowMs: number) => void;
}

interface FakeIo {
  io: Io;
  stdout: () => string;
  stderr: () => string;
  /** How often something waited. */
  sleeps: () => number;
}

let drawn = 0;

const noFetch: typeof fetch = () => Promise.reject(new Error('this test has no hub'));

/** Terminal, clock and network of a test. Sleeping moves the clock and takes no time. */
export const fakeIo = (options: FakeOptions = {}): FakeIo => {
  const text = { out: '', error: '' };
  const answers = [...(options.answers ?? [])];
  let nowMs = options.nowMs ?? Date.UTC(2026, 0, 2, 12);
  let sleeps = 0;
  let writes = 0;
  const bytes = typeof options.stdin === 'string' ? new TextEncoder().encode(options.stdin) : (options.stdin ?? new Uint8Array());
  const io: Io = {
    stdout: {
      write: (part) => {
        writes += 1;
        if (writes > (options.writesMax ?? Infinity)) return Promise.reject(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
        text.out += part;
        return Promise.resolve();
      },
      isTTY: options.isTTY === true,
      columns: 120,
    },
    stderr: { write: (part) => Promise.resolve(void (text.error += part)), isTTY: options.isTTY === true, columns: 120 },
    stdin: { isTTY: options.answers !== undefined, read: (bytesMax) => Promise.resolve(bytes.subarray(0, bytesMax + 1)) },
    ask: (question) => {
      text.error += question;
      const answer = answers.shift();
      return answer === undefined ? Promise.reject(new Error(`nobody answers: ${question}`)) : Promise.resolve(answer);
    },
    env: { HOME: '/nonexistent', XDG_CONFIG_HOME: '/nonexistent', ...options.env },
    cwd: options.cwd ?? tmpdir(),
    fetch: options.fetch ?? noFetch,
    clock: {
      nowMs: () => nowMs,
      sleep: (ms) => {
        sleeps += 1;
        nowMs += ms;
        options.onSleep?.(ms, nowMs);
        return new Promise((resolve) => setImmediate(resolve));
      },
    },
    // Never the same twice in a test file, and the same in each run of it.
    random: (length) => {
      drawn += 1;
      return Uint8Array.from({ length }, (_, index) => (drawn >> (8 * index)) & 0xff);
    },
  };
  return { io, stdout: () => text.out, stderr: () => text.error, sleeps: () => sleeps };
};

export interface Ran {
  code: number;
  out: string;
  error: string;
}

/** Runs one command line in this process. */
export const gp = async (argv: readonly string[], options: FakeOptions = {}): Promise<Ran> => {
  const fake = fakeIo(options);
  const code = await run(argv, fake.io);
  return { code, out: fake.stdout(), error: fake.stderr() };
};
