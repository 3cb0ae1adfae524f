/** A Zarf package in one form, whichever version of the format it is written in. */
export interface ZarfPackage {
  apiVersion: 'v1alpha1' | 'v1beta1';
  name: string;
  /** Empty when the package names none. */
  version: string;
  description: string;
  /** Of the package: amd64, arm64, multi; empty when it does not say. */
  architecture: string;
  /** SHA-256 of checksums.txt in hex. */
  aggregateChecksum: string;
  /** What the package says about itself; the signature files are what counts. */
  signed: boolean | undefined;
  /** The author promises that everything is online; images are not in the package and stay where they are. */
  isOnline: boolean;
  /** False: the author forbids to put the package into another namespace. */
  allowsNamespace: boolean;
  components: ZarfComponent[];
  variables: ZarfVariable[];
  constants: ZarfConstant[];
}

export interface ZarfComponent {
  name: string;
  description: string;
  isRequired: boolean;
  isDefault: boolean;
  /** Of the components of a group exactly one is taken. */
  group: string;
  /** Empty: any. */
  os: string;
  architecture: string;
  charts: ZarfChart[];
  manifests: ZarfManifest[];
  files: ZarfFile[];
  images: string[];
  actions: ZarfAction[];
  healthChecks: ZarfHealthCheck[];
}

export interface ZarfChart {
  name: string;
  /** Empty when the definition names none (charts from a folder or from Git in v1beta1). */
  version: string;
  namespace: string;
  releaseName: string;
  waits: boolean;
  valuesFiles: number;
  /** Variable to path in the values: `{name: DOMAIN, path: ingress.host}`. */
  variables: { name: string; path: string }[];
  values: ZarfValueMapping[];
  checksSchema: boolean;
}

/** From a path of the package's values to one of the chart's: `.site.domain` → `.ingress.host`. */
export interface ZarfValueMapping {
  sourcePath: string;
  targetPath: string;
}

export interface ZarfManifest {
  name: string;
  namespace: string;
  files: number;
  kustomizations: number;
  waits: boolean;
  /** A Go template over the package's values. */
  isTemplate: boolean;
}

export interface ZarfFile {
  /** Where it goes on the host. */
  target: string;
  /** SHA-256 in hex; empty when not given. */
  sha256: string;
  executable: boolean;
  symlinks: string[];
  isTemplate: boolean;
}

export interface ZarfWait {
  cluster?: { kind: string; name: string; namespace?: string | undefined; condition?: string | undefined };
  network?: { protocol: string; address: string; code?: number | undefined };
}

/** Shell that the author wants to run. It is data here: nothing runs it unless the owner of the host has said so. */
export interface ZarfAction {
  event: 'deploy' | 'remove';
  when: 'before' | 'after' | 'onSuccess' | 'onFailure';
  description: string;
  /** Either a command or something to wait for. */
  cmd?: string;
  wait?: ZarfWait;
  /** Of Linux. */
  shell: string;
  folder: string;
  environment: string[];
  /** 0: without end. */
  maxTotalSeconds: number;
  maxRetries: number;
  isQuiet: boolean;
  setVariables: string[];
  setValues: string[];
  isTemplate: boolean;
}

export interface ZarfHealthCheck {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
}

export interface ZarfVariable {
  name: string;
  description: string;
  default: string | undefined;
  /** Zarf asks a person; here a value must be given when there is no default. */
  prompts: boolean;
  isSensitive: boolean;
  autoIndent: boolean;
  /** RE2, matches anywhere in the value. */
  pattern: string;
  /** The value is the path of a file, in Zarf. Here it is the text itself: a path of somebody's laptop means nothing to a hub. */
  isFile: boolean;
}

export interface ZarfConstant {
  name: string;
  value: string;
  autoIndent: boolean;
}
