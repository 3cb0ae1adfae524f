/** Where text goes. `write` rejects with an error of code EPIPE when nobody reads any more. */
export interface Sink {
  write(text: string): Promise<void>;
  isTTY: boolean;
  columns: number;
}

export interface CliClock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

/** Everything that the command line touches besides files, so that tests run it in their own process. */
export interface Io {
  stdout: Sink;
  stderr: Sink;
  stdin: {
    isTTY: boolean;
    /** All of it as bytes; at most one byte more than `bytesMax`, so that the caller sees when it is too long. */
    read(bytesMax: number): Promise<Uint8Array>;
  };
  /** Asks on the terminal; a hidden answer is not shown while it is typed. Only called when stdin is a terminal. */
  ask(question: string, options?: { hidden?: boolean }): Promise<string>;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  fetch: typeof fetch;
  clock: CliClock;
  random(bytes: number): Uint8Array;
}

/** Options that every command takes. */
export interface Globals {
  project?: string;
  output?: OutputFormat;
  hub?: string;
  token?: string;
  timeoutMs?: number;
  color: boolean;
  quiet: boolean;
  insecure: boolean;
}

export const outputFormats = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** What a command works with. */
export interface Context {
  io: Io;
  globals: Globals;
}

/** Progress and notices: on stderr, so that stdout stays data. */
export const notice = async (context: Context, text: string): Promise<void> => {
  if (!context.globals.quiet) await context.io.stderr.write(`${text}\n`);
};
