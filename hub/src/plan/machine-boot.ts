import { agentArchs, type AgentArch } from '@groundplane/protocol/agent-package';
import type { osAgentSchema } from '@groundplane/protocol/os-spec';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { stringify } from 'yaml';
import type { z } from 'zod';

export interface BootPackage {
  arch: AgentArch;
  url: string;
  /** Lower-case hexadecimal. */
  sha256: string;
}

export interface BootInput {
  hostname: string;
  /** `gpt1.…` */
  ticket: string;
  sshKeys: readonly string[];
  /** Empty: the image has an agent, which waits for its ticket. */
  packages: readonly BootPackage[];
  /** PEM of the hub's own authority, where it has one. */
  ca?: string | undefined;
}

/** EC2 takes 16 KiB, the others more. */
const userDataBytesMax = 16_384;

const unameOf: Record<AgentArch, string> = { x64: 'x86_64', arm64: 'aarch64' };

/** Waits for the network by trying, for an hour; checks the digest that came with the user data, so that the way the package took does not matter. */
const installScript = (packages: readonly BootPackage[]): string =>
  [
    '#!/bin/sh',
    'set -eu',
    'case $(uname -m) in',
    ...packages.map(({ arch, url, sha256 }) => `  ${unameOf[arch]}) url='${url}' sum=${sha256} ;;`),
    '  *) echo "groundplane: no agent for $(uname -m)" >&2; exit 1 ;;',
    'esac',
    'dir=$(mktemp -d)',
    'for try in $(seq 1 360); do',
    '  if curl -fsSL --connect-timeout 10 --max-time 900 -o "$dir/agent.tar.zst" "$url"; then break; fi',
    '  sleep 10',
    'done',
    'echo "$sum  $dir/agent.tar.zst" | sha256sum -c -',
    'tar --zstd -xf "$dir/agent.tar.zst" -C "$dir" install.sh',
    'sh "$dir/install.sh" --package "$dir/agent.tar.zst" --sha256 "$sum" --ticket /run/groundplane-ticket --name "$(hostname)"',
    'rm -rf "$dir" /run/groundplane-ticket',
    '',
  ].join('\n');

/** cloud-init's document for a machine: its name, a ticket that only it can use, and the agent. Failures: `user-data-too-large` (fatal). */
export const machineUserData = ({ hostname, ticket, sshKeys, packages, ca }: BootInput): Result<string> => {
  const isStock = packages.length > 0;
  const ticketFile = isStock ? '/run/groundplane-ticket' : '/var/lib/groundplane/ticket';
  const document = {
    hostname,
    preserve_hostname: false,
    manage_etc_hosts: true,
    ssh_pwauth: false,
    ...(sshKeys.length === 0 ? {} : { ssh_authorized_keys: sshKeys }),
    ...(ca === undefined ? {} : { ca_certs: { trusted: [ca] } }),
    ...(isStock ? { packages: ['curl', 'zstd'] } : {}),
    write_files: [
      { path: ticketFile, permissions: '0600', content: ticket },
      ...(isStock ? [{ path: '/run/groundplane-install.sh', permissions: '0700', content: installScript(packages) }] : []),
    ],
    runcmd: isStock ? [['/run/groundplane-install.sh']] : [['systemctl', 'enable', '--now', 'groundplane-agent.service']],
  };
  const text = `#cloud-config\n${stringify(document, { lineWidth: 0 })}`;
  const bytes = Buffer.byteLength(text);
  return bytes > userDataBytesMax
    ? fail(
        'fatal',
        'user-data-too-large',
        `machine ${hostname}`,
        `its user data would have ${bytes} bytes, and environments take ${userDataBytesMax}. Give fewer or shorter SSH keys${ca === undefined ? '' : ', or fewer certificates in --public-ca of the hub'}`,
      )
    : ok(text);
};

/** The packages of an OS layer, as places to get them from. */
export const bootPackages = (agent: z.infer<typeof osAgentSchema> | undefined, urlOf: (digest: string) => string): BootPackage[] =>
  agentArchs.flatMap((arch) => {
    const found = agent?.packages[arch];
    return found === undefined ? [] : [{ arch, url: urlOf(found.digest), sha256: found.digest.replace(/^sha256:/, '') }];
  });
