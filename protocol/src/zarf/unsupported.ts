import type { Finding } from '../finding.ts';
import type { AlphaPackage } from './schema-alpha.ts';
import type { BetaPackage } from './schema-beta.ts';

const file = 'zarf.yaml';
const error = (code: string, message: string): Finding => ({ severity: 'error', code, file, message });
const warning = (code: string, message: string): Finding => ({ severity: 'warning', code, file, message });

const gitRepositories = (component: string): Finding =>
  error(
    'zarf-git-repositories',
    `component ${component} brings Git repositories; there is no Git server to push them to. Build the package with the charts or manifests themselves (localPath, files)`,
  );
const imported = (component: string): Finding =>
  error(
    'zarf-import-unresolved',
    `component ${component} still imports another one; zarf package create resolves that, so this is a skeleton and not a package`,
  );

const ofBuild = (build: AlphaPackage['build'] | BetaPackage['build'], architecture: string | undefined): Finding[] => [
  ...(build?.differential === true
    ? [
        error(
          'zarf-differential',
          `it is a differential package over version ${build.differentialPackageVersion ?? '(unknown)'} and lacks what that one has; build it without --differential`,
        ),
      ]
    : []),
  ...((build?.architecture ?? architecture) === 'skeleton'
    ? [error('zarf-skeleton', 'it is a skeleton package, made to be imported by others; build a package from it')]
    : []),
];

const ofKnown = (component: { name: string; serverSide: boolean; distros: string[]; hasCreateActions: boolean }): Finding[] => [
  ...(component.serverSide
    ? [warning('zarf-server-side-apply', `component ${component.name} asks for client-side apply; everything is applied server-side here`)]
    : []),
  ...(component.distros.length > 0
    ? [
        warning(
          'zarf-distros',
          `component ${component.name} names distributions (${component.distros.join(', ').slice(0, 200)}), which Zarf does not look at either`,
        ),
      ]
    : []),
  ...(component.hasCreateActions
    ? [
        {
          severity: 'info' as const,
          code: 'zarf-create-actions',
          file,
          message: `component ${component.name} has onCreate actions; they ran when the package was built`,
        },
      ]
    : []),
];

const isSet = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length > 0;
const wantsClientSide = (items: readonly { serverSideApply?: string | undefined }[]): boolean => items.some((item) => item.serverSideApply === 'false');

/** What a v1alpha1 package asks for and does not get here, each by its name and with what to do instead. */
export const alphaFindings = (definition: AlphaPackage): Finding[] => [
  ...(definition.kind === 'ZarfInitConfig'
    ? [
        error(
          'zarf-init',
          "it is an init package: it installs Zarf's own registry and agent, which are not needed here. Use packages of kind ZarfPackageConfig",
        ),
      ]
    : []),
  ...ofBuild(definition.build, definition.metadata.architecture),
  ...(definition.metadata.yolo === true ? [warning('zarf-yolo', 'the package says yolo: its images are not inside and are pulled from where they are')] : []),
  ...definition.components.flatMap((component) => [
    ...(component.repos.length > 0 ? [gitRepositories(component.name)] : []),
    ...(component.dataInjections.length > 0
      ? [
          error(
            'zarf-data-injections',
            `component ${component.name} copies data into running pods; that does not survive a restart. Put the data into an image, or mount it as an image volume`,
          ),
        ]
      : []),
    ...(isSet(component.import) ? [imported(component.name)] : []),
    ...(component.group === undefined || component.group === ''
      ? []
      : [warning('zarf-group', `component ${component.name} is in the group ${component.group}; groups are deprecated in Zarf`)]),
    ...(isSet(component.scripts)
      ? [warning('zarf-scripts', `component ${component.name} has scripts, which Zarf has replaced by actions; they are taken as actions`)]
      : []),
    ...ofKnown({
      name: component.name,
      serverSide: wantsClientSide([...component.charts, ...component.manifests]),
      distros: component.only?.cluster?.distros ?? [],
      hasCreateActions: isSet(component.actions?.onCreate),
    }),
  ]),
];

export const betaFindings = (definition: BetaPackage): Finding[] => [
  ...(definition.kind === 'ZarfComponentConfig'
    ? [error('zarf-component', 'it is a component to be imported, not a package; build a package that imports it')]
    : []),
  ...ofBuild(definition.build, definition.metadata.architecture),
  ...definition.components.flatMap((component) => [
    ...(component.service === undefined || component.service === ''
      ? []
      : [
          error(
            'zarf-init',
            `component ${component.name} provides the service ${component.service.slice(0, 64)} of Zarf itself, which is not needed here. Use a package without it`,
          ),
        ]),
    ...(component.repositories.length > 0 ? [gitRepositories(component.name)] : []),
    ...(component.import !== undefined && component.import !== null && component.import.local.length + component.import.remote.length > 0
      ? [imported(component.name)]
      : []),
    ...ofKnown({
      name: component.name,
      serverSide: wantsClientSide([...component.charts, ...component.manifests]),
      distros: [],
      hasCreateActions: isSet(component.actions?.onCreate),
    }),
  ]),
];
