/** Commands and small files of this machine, for what speaks with other people's programs. */
export interface Tools {
  /** Never throws; 127 when the command is not there. */
  run(
    file: string,
    args: readonly string[],
    options?: { timeoutMs?: number; env?: Readonly<Record<string, string>> },
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Undefined: not there, or not a plain file. */
  read(path: string): Promise<string | undefined>;
  /** Whole or not at all, and durable; owned by root. */
  write(path: string, content: string, mode: string): Promise<void>;
  /** With everything below it. Succeeds also when it is not there. */
  remove(path: string): Promise<void>;
  move(from: string, to: string): Promise<void>;
  list(folder: string): Promise<string[]>;
  /** Target of a link; undefined where there is none. */
  link(path: string): Promise<string | undefined>;
  /** Whether something takes a TCP connection there, within this time. */
  connects(address: string, port: number, timeoutMs: number): Promise<boolean>;
  /** Last change, milliseconds since 1970. */
  changedAtMs(path: string): Promise<number | undefined>;
}
