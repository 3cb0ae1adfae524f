import { mirrorAddress } from '@groundplane/protocol/distribution/machine';
import type { UserData } from '@groundplane/protocol/user-data/schema';
import type { FileToWrite } from '../port/host.ts';

/** What user data means on this machine: files, then accounts with their keys, then programs that take note of the files. Pure. */
export interface FirstBootSettings {
  files: FileToWrite[];
  accounts: { name: string; groups: string[]; shell: string; keys: FileToWrite | undefined; passwordHash: string | undefined }[];
  /** Run in this order; one that fails is told and does not stop the others. */
  commands: (readonly string[])[];
}

const file = (path: string, content: string, mode = '0644', owner = 'root', group = 'root'): FileToWrite => ({ path, content, mode, owner, group });

const networkFiles = (config: UserData): FileToWrite[] => {
  const { network } = config;
  const interfaces = Object.entries(network?.interfaces ?? {}).map(([name, item]) =>
    file(
      `/etc/systemd/network/10-${name}.network`,
      [
        `[Match]\nName=${name}`,
        ...(item.mtu === undefined ? [] : [`[Link]\nMTUBytes=${item.mtu}`]),
        '[Network]',
        `DHCP=${item.dhcp === true ? 'yes' : 'no'}`,
        ...item.addresses.map((address) => `Address=${address}`),
        ...(item.gateway === undefined ? [] : [`Gateway=${item.gateway}`]),
        ...item.dns.map((server) => `DNS=${server}`),
        '',
      ].join('\n'),
    ),
  );
  const dns = network?.dns ?? [];
  return [...interfaces, ...(dns.length === 0 ? [] : [file('/etc/systemd/resolved.conf.d/user-data.conf', `[Resolve]\nDNS=${dns.join(' ')}\n`)])];
};

/** For every service of the host: the container runtime and kubelet read the environment, each in both spellings. */
const proxyFile = (config: UserData): FileToWrite[] => {
  const proxy = config.network?.proxy;
  if (proxy === undefined) return [];
  const values = { HTTP_PROXY: proxy.http, HTTPS_PROXY: proxy.https, NO_PROXY: proxy.except.length === 0 ? undefined : proxy.except.join(',') };
  const words = Object.entries(values).flatMap(([name, value]) =>
    // In unit files % begins a specifier.
    value === undefined ? [] : [name, name.toLowerCase()].map((each) => `"${each}=${value.replaceAll('%', '%%')}"`),
  );
  return words.length === 0 ? [] : [file('/etc/systemd/system.conf.d/user-data-proxy.conf', `[Manager]\nDefaultEnvironment=${words.join(' ')}\n`)];
};

/** A place below /v2/ is a project or proxy of a registry; without `override_path` containerd would put another /v2/ behind it. */
const isBelowV2 = (endpoint: string): boolean => /^https?:\/\/[^/]+\/v2\/./.test(endpoint);

/** What bundles and media bring lies on this host already: its own registry is asked first, and says at once what it does not have. */
const withOwn = (endpoints: readonly string[]): string[] => [mirrorAddress, ...endpoints];

const hostsToml = ({ endpoints, skipVerify }: UserData['registryMirrors'][number]): string =>
  withOwn(endpoints)
    .map((endpoint) =>
      [
        `[host."${endpoint}"]`,
        '  capabilities = ["pull", "resolve"]',
        ...(isBelowV2(endpoint) ? ['  override_path = true'] : []),
        ...(skipVerify && endpoint !== mirrorAddress ? ['  skip_verify = true'] : []),
        '',
      ].join('\n'),
    )
    .join('');

/** JSON is YAML; k3s and RKE2 read it at their start and make `hosts.toml` of their own containerd from it. */
const registriesYaml = (mirrors: UserData['registryMirrors']): string => {
  const hosts = mirrors.filter(({ skipVerify }) => skipVerify).flatMap(({ endpoints }) => endpoints.map((endpoint) => new URL(endpoint).host));
  const value = {
    mirrors: Object.fromEntries(mirrors.map(({ registry, endpoints }) => [registry, { endpoint: withOwn(endpoints) }])),
    ...(hosts.length === 0 ? {} : { configs: Object.fromEntries(hosts.map((host) => [host, { tls: { insecure_skip_verify: true } }])) }),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
};

/** For every runtime that a profile may bring: containerd reads `hosts.toml` at each pull. A profile's own files of these names win. */
const mirrorFiles = ({ registryMirrors }: UserData): FileToWrite[] =>
  registryMirrors.length === 0
    ? []
    : [
        ...registryMirrors.map((mirror) =>
          file(`/etc/containerd/certs.d/${mirror.registry === '*' ? '_default' : mirror.registry}/hosts.toml`, hostsToml(mirror)),
        ),
        ...['k3s', 'rke2'].map((name) => file(`/etc/rancher/${name}/registries.yaml`, registriesYaml(registryMirrors))),
      ];

/** One certificate a file: update-ca-certificates passes over files with several. */
const certificatesOf = (config: UserData): string[] => config.caCertificates.flatMap((pem) => pem.match(/-----BEGIN [\s\S]+?-----END CERTIFICATE-----/g) ?? []);

const agentFiles = (config: UserData, ticket: string | undefined): FileToWrite[] => {
  const given = config.ticket ?? ticket;
  const options = [...(config.name === undefined ? [] : ['--name', config.name]), ...(config.carrier === undefined ? [] : ['--carrier', config.carrier])];
  return [
    ...(given === undefined ? [] : [file('/var/lib/groundplane/ticket', `${given.trim()}\n`, '0600')]),
    ...(options.length === 0 ? [] : [file('/etc/groundplane/agent.env', `GROUNDPLANE_AGENT_OPTIONS=${options.join(' ')}\n`)]),
  ];
};

const adminGroups = new Set(['admin', 'sudo', 'wheel']);

/** An account that comes in by key has no password that sudo could ask for, so its group alone would let it do nothing. */
const sudoFiles = ({ users }: UserData): FileToWrite[] =>
  users
    .filter(({ passwordHash, groups }) => passwordHash === undefined && groups.some((group) => adminGroups.has(group)))
    .map(({ name }) => file(`/etc/sudoers.d/user-data-${name}`, `${name} ALL=(ALL:ALL) NOPASSWD: ALL\n`, '0440'));

export const caFolder = '/usr/local/share/ca-certificates';

/** `ticket`: the file that lies beside the user data. */
export const settingsOf = (config: UserData, ticket: string | undefined): FirstBootSettings => {
  const { hostname, timezone, ntp = [], modules, sysctls, caCertificates } = config;
  const settings = Object.entries(sysctls).map(([key, value]) => `${key.replaceAll('/', '.')} = ${value}\n`);
  return {
    files: [
      ...agentFiles(config, ticket),
      ...(hostname === undefined ? [] : [file('/etc/hostname', `${hostname}\n`)]),
      ...networkFiles(config),
      ...proxyFile(config),
      ...mirrorFiles(config),
      ...(ntp.length === 0 ? [] : [file('/etc/systemd/timesyncd.conf.d/user-data.conf', `[Time]\nNTP=${ntp.join(' ')}\n`)]),
      ...(modules.length === 0 ? [] : [file('/etc/modules-load.d/user-data.conf', `${modules.join('\n')}\n`)]),
      ...(settings.length === 0 ? [] : [file('/etc/sysctl.d/90-user-data.conf', settings.join(''))]),
      ...certificatesOf(config).map((pem, index) => file(`${caFolder}/user-data-${index + 1}.crt`, `${pem}\n`)),
      ...sudoFiles(config),
      ...config.files,
    ],
    accounts: config.users.map(({ name, groups, shell, sshKeys, passwordHash }) => ({
      name,
      groups,
      shell,
      passwordHash,
      keys:
        sshKeys.length === 0
          ? undefined
          : file(`${name === 'root' ? '/root' : `/home/${name}`}/.ssh/authorized_keys`, `${sshKeys.join('\n')}\n`, '0600', name, name),
    })),
    commands: [
      ...(hostname === undefined ? [] : [['hostname', hostname]]),
      ...(timezone === undefined ? [] : [['ln', '-sfn', `/usr/share/zoneinfo/${timezone}`, '/etc/localtime']]),
      ...(caCertificates.length === 0 ? [] : [['update-ca-certificates']]),
      ...modules.map((module) => ['modprobe', module]),
      ...(settings.length === 0 ? [] : [['sysctl', '--quiet', '--load', '/etc/sysctl.d/90-user-data.conf']]),
      ...(config.network?.proxy === undefined ? [] : [['systemctl', 'daemon-reload']]),
    ],
  };
};
