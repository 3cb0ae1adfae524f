import { Option, type Command } from 'commander';
import type { Context } from './io.ts';
import type { Outcome } from './trouble.ts';

const more = (text: string, before: readonly string[]): string[] => [...before, text];

/** `gp profile …`: profiles as files, without a hub. */
export const registerProfile = (program: Command, act: (run: (context: Context) => Promise<Outcome>) => Promise<void>): void => {
  const profile = program.command('profile').description('profiles as files: import, export, compare');
  profile
    .command('import')
    .description("a profile in Palette's JSON as a document of ours; what cannot be kept is told on stderr")
    .argument('<file>', 'JSON file, or - for standard input')
    .option('--packs <folder>', 'where packs lie on this machine; may be repeated', more, [])
    .option('--out <file>', 'write to this file; it must not exist')
    .action((file: string, options: { packs: string[]; out?: string }) =>
      act(async (context) => (await import('./commands/profile/import.ts')).importProfile(context, file, { packs: options.packs, out: options.out })),
    );
  profile
    .command('export')
    .description("a profile in Palette's JSON, or as our own document")
    .argument('<profile>', 'a YAML file, or NAME[@VERSION] at the hub')
    .addOption(new Option('--format <format>', 'what to write').choices(['palette', 'yaml']).default('palette'))
    .action((name: string, options: { format: 'palette' | 'yaml' }) =>
      act(async (context) => (await import('./commands/profile/export.ts')).exportProfile(context, name, options.format)),
    );
  profile
    .command('diff')
    .description('two profile files; exit code 3 when they differ')
    .argument('<before>')
    .argument('<after>')
    .option('--rendered', 'also every object and image')
    .option('--cluster <file>', 'the cluster that both are rendered for')
    .option('--var <name=value>', 'a variable; may be repeated', more, [])
    .option('--macro <name=value>', 'a macro; may be repeated', more, [])
    .option('--kube-version <version>', 'version that templates see')
    .action((before: string, after: string, options: { rendered?: boolean; cluster?: string; var: string[]; macro: string[]; kubeVersion?: string }) =>
      act(async (context) =>
        (await import('./commands/profile/diff.ts')).diffProfiles(context, before, after, {
          cluster: options.cluster,
          variables: options.var,
          macros: options.macro,
          kubeVersion: options.kubeVersion,
          rendered: options.rendered === true,
        }),
      ),
    );
};
