import { alphaActions, betaActions, scriptActions } from './actions.ts';
import type { ZarfChart, ZarfComponent, ZarfPackage } from './package.ts';
import type { AlphaComponent, AlphaPackage } from './schema-alpha.ts';
import type { BetaComponent, BetaPackage } from './schema-beta.ts';

const orDefault = (value: string | undefined, fallback: string): string => (value === undefined || value === '' ? fallback : value);
const plainHash = (checksum: string): string => checksum.replace(/^sha256:/, '').toLowerCase();

const alphaComponent = (component: AlphaComponent): ZarfComponent => ({
  name: component.name,
  description: component.description ?? '',
  isRequired: component.required === true,
  isDefault: component.default === true,
  group: component.group ?? '',
  os: component.only?.localOS ?? '',
  architecture: component.only?.cluster?.architecture ?? '',
  charts: component.charts.map((chart) => ({
    name: chart.name,
    version: chart.version ?? '',
    namespace: orDefault(chart.namespace, 'default'),
    releaseName: orDefault(chart.releaseName, chart.name),
    waits: chart.noWait !== true,
    valuesFiles: chart.valuesFiles.length,
    variables: chart.variables.map(({ name, path }) => ({ name, path })),
    values: chart.values,
    checksSchema: chart.schemaValidation !== false,
  })),
  manifests: component.manifests.map((manifest) => ({
    name: manifest.name,
    namespace: orDefault(manifest.namespace, 'default'),
    files: manifest.files.length,
    kustomizations: manifest.kustomizations.length,
    waits: manifest.noWait !== true,
    isTemplate: manifest.template === true,
  })),
  files: component.files.map((file) => ({
    target: file.target,
    sha256: plainHash(file.shasum ?? ''),
    executable: file.executable === true,
    symlinks: file.symlinks,
    isTemplate: file.template === true,
  })),
  images: [...component.images, ...component.imageArchives.flatMap((archive) => archive.images), ...component.imageTars.flatMap((archive) => archive.images)],
  actions: [
    ...scriptActions(component.scripts),
    ...alphaActions('deploy', component.actions?.onDeploy),
    ...alphaActions('remove', component.actions?.onRemove),
  ],
  healthChecks: component.healthChecks.map((check) => ({ ...check, namespace: check.namespace ?? '' })),
});

export const fromAlpha = (definition: AlphaPackage): ZarfPackage => ({
  apiVersion: 'v1alpha1',
  name: definition.metadata.name,
  version: definition.metadata.version ?? '',
  description: definition.metadata.description ?? '',
  architecture: definition.build?.architecture ?? definition.metadata.architecture ?? '',
  aggregateChecksum: (definition.metadata.aggregateChecksum ?? '').toLowerCase(),
  signed: definition.build?.signed ?? undefined,
  isOnline: definition.metadata.yolo === true,
  allowsNamespace: definition.metadata.allowNamespaceOverride !== false,
  components: definition.components.map(alphaComponent),
  variables: definition.variables.map((variable) => ({
    name: variable.name,
    description: variable.description ?? '',
    default: variable.default,
    prompts: variable.prompt === true,
    isSensitive: variable.sensitive === true,
    autoIndent: variable.autoIndent === true,
    pattern: variable.pattern ?? '',
    isFile: variable.type === 'file',
  })),
  constants: definition.constants.map(({ name, value, autoIndent }) => ({ name, value, autoIndent: autoIndent === true })),
});

const betaChart = (chart: BetaComponent['charts'][number]): ZarfChart => ({
  name: chart.name,
  version: chart.helmRepository?.version ?? chart.oci?.version ?? '',
  namespace: orDefault(chart.namespace, 'default'),
  releaseName: orDefault(chart.releaseName, chart.name),
  waits: chart.skipWait !== true,
  valuesFiles: chart.valuesFiles.length,
  variables: [],
  values: chart.values,
  checksSchema: chart.skipSchemaValidation !== true,
});

const betaComponent = (component: BetaComponent): ZarfComponent => ({
  name: component.name,
  description: component.description ?? '',
  isRequired: component.optional !== true,
  isDefault: false,
  group: '',
  os: component.target?.os ?? '',
  architecture: component.target?.architecture ?? '',
  charts: component.charts.map(betaChart),
  manifests: component.manifests.map((manifest) => ({
    name: manifest.name,
    namespace: orDefault(manifest.namespace, 'default'),
    files: manifest.files.length,
    kustomizations: manifest.kustomize?.files.length ?? 0,
    waits: manifest.skipWait !== true,
    isTemplate: manifest.enableValues === true,
  })),
  files: component.files.map((file) => ({
    target: file.destination,
    sha256: plainHash(file.checksum ?? ''),
    executable: file.executable === true,
    symlinks: file.symlinks,
    isTemplate: file.enableValues === true,
  })),
  images: [...component.images.map((image) => image.name), ...component.imageArchives.flatMap((archive) => archive.images)],
  actions: [...betaActions('deploy', component.actions?.onDeploy), ...betaActions('remove', component.actions?.onRemove)],
  healthChecks: [],
});

export const fromBeta = (definition: BetaPackage): ZarfPackage => ({
  apiVersion: 'v1beta1',
  name: definition.metadata.name,
  version: definition.metadata.version ?? '',
  description: definition.metadata.description ?? '',
  architecture: definition.build?.architecture ?? definition.metadata.architecture ?? '',
  aggregateChecksum: (definition.build?.aggregateChecksum ?? '').toLowerCase(),
  signed: definition.build?.signed ?? undefined,
  isOnline: false,
  allowsNamespace: definition.metadata.preventNamespaceOverride !== true && definition.metadata.allowNamespaceOverride !== false,
  components: definition.components.map(betaComponent),
  variables: [],
  constants: [],
});
