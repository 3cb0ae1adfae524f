import { digestBytes } from '@groundplane/protocol/digest';
import { profileSpecSchema, type ProfileSpec } from '@groundplane/protocol/profile';

const configMap = (name: string, value: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {value: "${value}"}\n`;
const deployment = (name: string, image: string): string =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ${name}}\nspec:\n  selector: {matchLabels: {app: ${name}}}\n  template:\n    metadata: {labels: {app: ${name}}}\n    spec: {containers: [{name: main, image: "${image}"}]}\n`;

/** Large content: what stands for a package of the agent. Simulated agents run without slots, so that it is staged, kept and thrown away, and never started. */
export const agentPackage = (version: number): string => `package of agent ${Math.ceil(version / 2)}`;

/** Versions that the simulated people choose from. Number 3 is broken: its workload never becomes ready. */
const specs = (version: number): unknown => ({
  type: 'full',
  layers: [
    {
      name: 'os',
      kind: 'os',
      os: {
        files: [{ path: '/etc/site', content: `version ${version}\n` }],
        sysctls: version % 2 === 0 ? { 'vm.swappiness': 10 + version } : {},
        packages: [{ name: 'chrony', version: version % 2 === 0 ? '4.6-1' : '4.5-1' }, ...(version % 3 === 0 ? [{ name: 'curl' }] : [])],
        ...(version === 5
          ? {}
          : { agent: { version: String(version), packages: { x64: { digest: digestBytes(agentPackage(version)), size: agentPackage(version).length } } } }),
        modules: version % 4 === 0 ? ['br_netfilter'] : [],
        users: version % 3 === 0 ? [{ name: 'ops', groups: ['sudo'], shell: '/bin/bash', sshKeys: ['ssh-ed25519 AAAA test'] }] : [],
      },
    },
    { name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'existing' } },
    {
      name: 'base',
      kind: 'addon',
      namespace: 'base',
      priority: 1,
      manifests: [{ name: 'base', content: configMap('base', `{{ .spectro.macro.color | default "none" }} ${version}`) }],
    },
    {
      name: 'app',
      kind: 'addon',
      namespace: 'app',
      priority: 2,
      readiness: { timeoutSeconds: 20 },
      manifests: [{ name: 'app', content: deployment('app', version === 3 ? 'app:broken' : `app:${version}`) }],
    },
    ...(version % 2 === 0
      ? [{ name: 'extra', kind: 'addon', namespace: 'extra', priority: 3, manifests: [{ name: 'extra', content: configMap(`extra-${version}`, 'x') }] }]
      : []),
    ...(version === 4
      ? [{ name: 'late', kind: 'addon', namespace: 'app', priority: -1, replaces: 'extra', manifests: [{ name: 'late', content: configMap('late', 'y') }] }]
      : []),
  ],
});

export const versionCount = 5;
export const brokenVersion = 3;
export const versionName = (version: number): string => `1.${version}.0`;
export const simSpec = (version: number): ProfileSpec => profileSpecSchema.parse(specs(version));
