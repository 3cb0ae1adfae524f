import type { Tools } from '@groundplane/agent/port/tools';

export interface FakeTools extends Tools {
  files: Map<string, string>;
  /** Commands that were run, as one would type them. */
  commands: string[];
}

type Answer = { code: number; stdout?: string; stderr?: string };

/** Files and commands in memory. `answer` says what a command does; by default everything goes well and says nothing. */
export const fakeTools = (answer: (command: string, files: Map<string, string>) => Answer | undefined = () => undefined): FakeTools => {
  const files = new Map<string, string>();
  const commands: string[] = [];
  const below = (path: string): string[] => [...files.keys()].filter((name) => name === path || name.startsWith(`${path}/`));
  return {
    files,
    commands,
    run: (file, args) => {
      const command = [file, ...args].join(' ');
      commands.push(command);
      const { code, stdout = '', stderr = '' } = answer(command, files) ?? { code: 0 };
      return Promise.resolve({ code, stdout, stderr });
    },
    read: (path) => Promise.resolve(files.get(path)),
    write: (path, content) => Promise.resolve(void files.set(path, content)),
    remove: (path) => {
      for (const name of below(path)) files.delete(name);
      return Promise.resolve();
    },
    move: (from, to) => {
      const content = files.get(from);
      files.delete(from);
      if (content !== undefined) files.set(to, content);
      return Promise.resolve();
    },
    list: (folder) =>
      Promise.resolve([
        ...new Set(
          below(folder)
            .map((name) => name.slice(folder.length + 1).split('/')[0] ?? '')
            .filter((name) => name !== ''),
        ),
      ]),
    link: () => Promise.resolve(undefined),
    connects: () => Promise.resolve(true),
    changedAtMs: (path) => Promise.resolve(files.has(path) ? 0 : undefined),
  };
};
