import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ImportOptions } from './commands/cloud/import.ts';
import { parseDuration } from './duration.ts';
import type { Context } from './io.ts';
import type { Outcome } from './trouble.ts';

type Act = (run: (context: Context) => Promise<Outcome>) => Promise<void>;

const many = (text: string, before: string[]): string[] => [...before, text];
const machines = (text: string): number => {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('Write a number of machines.');
  return Number(text);
};

const ttl = (text: string): number => {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Write a duration like 90s, 5m or 1h30m.');
  return ms;
};

const accounts = (cloud: Command, act: Act): void => {
  const account = cloud.command('account').description('accounts in clouds and data centres');
  const commands = () => import('./commands/cloud/accounts.ts');
  account
    .command('set')
    .description('add or change an account; it is looked at before it is kept')
    .argument('<name>')
    .requiredOption('-f, --file <file>', 'YAML or JSON with kind, settings and secret; - for standard input')
    .option('--tenant', 'for every project of the tenant')
    .option('--no-validate', 'keep it without looking whether it works')
    .action((name: string, options: { file: string; tenant?: boolean; validate: boolean }) =>
      act(async (context) => (await commands()).setAccount(context, name, options)),
    );
  account
    .command('list')
    .description('accounts that this project may use')
    .option('--tenant', 'those of the tenant only')
    .action((options: { tenant?: boolean }) => act(async (context) => (await commands()).listAccounts(context, options)));
  account
    .command('check')
    .description('whether an account works, and which permissions it lacks')
    .argument('<name>')
    .action((name: string) => act(async (context) => (await commands()).checkAccount(context, name)));
  account
    .command('delete')
    .description('forget an account that no cluster uses')
    .argument('<name>')
    .option('--tenant', 'of the tenant')
    .action((name: string, options: { tenant?: boolean }) => act(async (context) => (await commands()).deleteAccount(context, name, options)));
};

interface Where {
  environment: string;
  set: string[];
}

/** `gp cloud` and `gp pool`. */
export const clouds = (program: Command, act: Act): void => {
  const commands = () => import('./commands/cloud/clusters.ts');
  const cloud = program.command('cloud').description('cloud accounts, and what clusters are made of');
  accounts(cloud, act);
  cloud
    .command('show')
    .description('what a cluster is made of: progress, pools, machines, cost')
    .argument('<cluster>')
    .action((name: string) => act(async (context) => (await commands()).showInfrastructure(context, name)));
  cloud
    .command('import')
    .description('import an existing cluster by an agent inside of it: prints the manifest to apply there; again for a new one')
    .argument('<name>', 'of the cluster here')
    .addOption(
      new Option('--mode <mode>', 'read-only: it is only looked at; full: its layers are managed; by default as it was, at first read-only').choices([
        'full',
        'read-only',
      ]),
    )
    .option('--profile <name@version>', 'whose layers it gets; may be repeated', many, [])
    .option('--image <image>', 'image with Node that the pod starts from, such as one of a mirror')
    .option('--storage <size>', 'a volume for the memory of the agent, such as 1Gi; by default it goes with the pod')
    .option('--http-proxy <url>', 'how the pod reaches the hub')
    .option('--https-proxy <url>', 'the same for https')
    .option('--proxy-except <host>', 'reached without the proxy; may be repeated', many, [])
    .addOption(new Option('--ttl <duration>', 'how long an agent may come with it, such as 30m').argParser(ttl).default(3_600_000, '1h'))
    .action((name: string, options: ImportOptions) =>
      act(async (context) => (await import('./commands/cloud/import.ts')).importCluster(context, name, options)),
    );
  const where = (command: Command): Command =>
    command
      .argument('<account>')
      .requiredOption('--environment <name>', 'aws, eks, azure, aks, google, gke, vsphere, nutanix, openstack, maas')
      .option('--set <key=value>', 'part of a placement, such as region=eu-central-1; may be repeated', many, []);
  where(cloud.command('offers').description('what can be chosen: regions, sizes, images, networks, versions')).action((name: string, options: Where) =>
    act(async (context) => (await commands()).showOffers(context, name, options)),
  );
  where(cloud.command('orphans').description('things with our tag whose cluster this hub does not know')).action((name: string, options: Where) =>
    act(async (context) => (await commands()).showOrphans(context, name, options)),
  );
  cloud
    .command('prices')
    .description('the price list that costs are estimated with; with a file: replace it')
    .argument('[file]', 'YAML or JSON: source, and prices by environment, region and size')
    .action((file: string | undefined) => act(async (context) => (await commands()).prices(context, file)));
  cloud
    .command('catalogue')
    .description('operating system images by name, and ends of support of Kubernetes; with a file: replace it (-o yaml prints one)')
    .argument('[file]', 'YAML or JSON: source, images, kubernetes')
    .action((file: string | undefined) => act(async (context) => (await commands()).catalogue(context, file)));
  const pool = program.command('pool').description('machine pools of a cluster');
  pool
    .command('scale')
    .description('set the size of a pool within its bounds')
    .argument('<cluster>')
    .argument('<pool>')
    .argument('<count>', 'number of machines', machines)
    .action((name: string, poolName: string, count: number) => act(async (context) => (await commands()).scalePool(context, name, poolName, count)));
  pool
    .command('repave')
    .description('approve that machines of an older generation are replaced, or take a newer image')
    .argument('<cluster>')
    .argument('<pool>')
    .action((name: string, poolName: string) => act(async (context) => (await commands()).repavePool(context, name, poolName)));
};
