import type { HostSite } from '../../lab/hosts/site.ts';

/** What is made before a scenario starts, while the network is still there: paths that it can use. */
export interface Prepared {
  /** Root file system of the hosts. */
  base: string;
  /** Folder with the programs and images of the newest Kubernetes version; see `KubernetesContent`. */
  content: string;
  /** The same of the minor version before it. */
  contentBefore: string;
  /** Folder with packages of the agent of this source; see `makeAgentPackages`. */
  agent: string;
  /** Folder with packages of the same agent for pods of imported clusters; see `makeInsidePackages`. */
  insideAgents: string;
  /** OCI layout with the image that such pods start from; see `ensureNodeImage`. */
  nodeImage: string;
  /** Root file system with QEMU and the programs that build images. */
  imageTools: string;
  /** Folder with three versions of an operating system image; see `image-builds.ts`. */
  images: string;
  /** The same for arm64. */
  imagesArm64: string;
}

export interface ScenarioContext {
  site: HostSite;
  prepared: Prepared;
  /** How many points of a power cut to try. */
  points: number;
  /** Decides where they are. */
  seed: number;
  say: (line: string) => void;
}

export interface Outcome {
  /** Points at which something was cut or broken. */
  points?: number;
  /** Points after which a person would have been needed. */
  stuck?: number;
  /** What was measured. The unit is in the name. */
  figures?: Readonly<Record<string, number | string>>;
}

export interface Scenario {
  name: string;
  /** What it proves, in one line. */
  about: string;
  needs: readonly (keyof Prepared)[];
  /** What this machine lacks for it besides what all need, one sentence each. Absent: nothing. */
  missing?: () => string[];
  run: (context: ScenarioContext) => Promise<Outcome>;
}

/** Fails a scenario with what was expected and what was seen. */
export const check = (isTrue: boolean, what: string, seen?: unknown): void => {
  if (!isTrue) throw new Error(`expected: ${what}${seen === undefined ? '' : `\nseen: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`}`);
};

export const secondsSince = (startMs: number): number => Math.round((performance.now() - startMs) / 10) / 100;
