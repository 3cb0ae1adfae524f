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

/** `hosts.toml` of containerd, which the runtime reads at each pull. */
const mirrorFiles = (config: UserData): FileToWrite[] =>
  config.registryMirrors.map(({ registry, endpoints, skipVerify }) =>
    file(
      `/etc/containerd/certs.d/${registry === '*' ? '_default' : registry}/hosts.toml`,
      endpoints.map((endpoint) => `[host."${endpoint}"]\n  capabilities = ["pull", "resolve"]\n${skipVerify ? '  skip_verify = true\n' : ''}`).join(''),
    ),
  );

const agentFiles = (config: UserData, ticket: string | undefined): FileToWrite[] => {
  const given = config.ticket ?? ticket;
  const options = [...(config.name === undefined ? [] : ['--name', config.name]), ...(config.carrier === undefined ? [] : ['--carrier', config.carrier])];
  return [
    ...(given === undefined ? [] : [file('/var/lib/groundplane/ticket', `${given.trim()}\n`, '0600')]),
    ...(options.length === 0 ? [] : [file('/etc/groundplane/agent.env', `GROUNDPLANE_AGENT_OPTIONS=${options.join(' ')}\n`)]),
  ];
};

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
      ...caCertificates.map((pem, index) => file(`${caFolder}/user-data-${index + 1}.crt`, `${pem.trim()}\n`)),
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
