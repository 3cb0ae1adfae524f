import type { Command } from 'commander';
import type { Context } from './io.ts';
import type { Outcome } from './trouble.ts';

const more = (text: string, before: readonly string[]): string[] => [...before, text];

/** Options of `gp render`; where Helm has the same one it has Helm's name. */
export const registerRender = (program: Command, act: (run: (context: Context) => Promise<Outcome>) => Promise<void>): void => {
  program
    .command('render')
    .description('what a chart, pack, Zarf package or profile makes, without a hub; on charts the same as helm template')
    .argument(
      '<target...>',
      'folder or archive of a chart or pack, zarf-package-*.tar.zst, or a YAML file with a profile; before it the release name, if you like, as in helm template',
    )
    .option('-f, --values <file>', 'values over those of the chart or pack; may be repeated', more, [])
    .option('--set <key=value>', 'one value; may be repeated', more, [])
    .option('--set-string <key=text>', 'one value that stays text; may be repeated', more, [])
    .option('--set-json <key=json>', 'one value as JSON, or a whole object; may be repeated', more, [])
    .option('--set-file <key=path>', 'one value from a file; may be repeated', more, [])
    .option('--set-literal <key=text>', 'one value, exactly as it is written; may be repeated', more, [])
    .option('--name <name>', 'release name; of a profile the name of the cluster')
    .option('-n, --namespace <namespace>', 'namespace of the release')
    .option('--kube-version <version>', 'version that templates see')
    .option('-a, --api-versions <list>', 'API versions that templates see besides the built-in ones; may be repeated', more, [])
    .option('--include-crds', 'also the custom resource definitions of a chart')
    .option('--no-hooks', 'leave hooks out')
    .option('--skip-tests', 'leave test hooks out')
    .option('--skip-schema-validation', "do not check values against the chart's schema")
    .option('--is-upgrade', 'as for an upgrade instead of an install')
    .option('-s, --show-only <template>', 'only what this template makes, like templates/service.yaml; may be repeated', more, [])
    .option('--notes', "the chart's notes on stderr")
    .option('--var <name=value>', 'a variable of a profile or Zarf package; may be repeated', more, [])
    .option('--macro <name=value>', 'a macro of a profile; may be repeated', more, [])
    .option('--cluster <file>', 'a YAML file with the cluster that a profile is rendered for')
    .option('--seed <text>', 'what random values of charts are made from', 'gp render')
    .action((targets: string[], options: Record<string, unknown>) =>
      act(async (context) => {
        const list = (name: string): string[] => options[name] as string[];
        const text = (name: string): string | undefined => options[name] as string | undefined;
        return (await import('./commands/render/render.ts')).render(context, targets, {
          values: list('values'),
          set: list('set'),
          setString: list('setString'),
          setJson: list('setJson'),
          setFile: list('setFile'),
          setLiteral: list('setLiteral'),
          name: text('name'),
          namespace: text('namespace'),
          kubeVersion: text('kubeVersion'),
          apiVersions: list('apiVersions'),
          includeCrds: options['includeCrds'] === true,
          noHooks: options['hooks'] === false,
          skipTests: options['skipTests'] === true,
          skipSchemaValidation: options['skipSchemaValidation'] === true,
          isUpgrade: options['isUpgrade'] === true,
          showOnly: list('showOnly'),
          notes: options['notes'] === true,
          variables: list('var'),
          macros: list('macro'),
          cluster: text('cluster'),
          seed: text('seed') ?? '',
        });
      }),
    );
};
