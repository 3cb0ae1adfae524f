import { fail, ok, type Result } from '../failure.ts';
import type { Finding } from '../finding.ts';
import type { ZarfComponent, ZarfPackage } from './package.ts';

/** `logging*`, as Zarf takes it for --components. */
const matches = (pattern: string, name: string): boolean => {
  if (!pattern.includes('*')) return pattern === name;
  const parts = pattern.split('*');
  let at = 0;
  for (const [index, part] of parts.entries()) {
    const found =
      index === 0
        ? name.startsWith(part)
          ? 0
          : -1
        : index === parts.length - 1
          ? name.endsWith(part) && name.length - part.length >= at
            ? name.length - part.length
            : -1
          : name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return true;
};

type Choice = 'taken' | 'left' | 'open';

/** The last request that names a component decides, so `*,-debug` means all but one. */
const choiceOf = (name: string, requests: readonly string[]): { choice: Choice; request?: string } => {
  const request = requests.findLast((item) => matches(item.replace(/^-/, ''), name));
  return request === undefined ? { choice: 'open' } : { choice: request.startsWith('-') ? 'left' : 'taken', request };
};

const fits = (component: ZarfComponent, architecture: string): string | undefined => {
  if (component.os !== '' && component.os !== 'linux') return `is for ${component.os}`;
  if (component.architecture !== '' && component.architecture !== architecture) return `is for ${component.architecture}`;
  return undefined;
};

/** One of a group: the one asked for, else the default one. */
const fromGroup = (group: string, members: readonly ZarfComponent[], requests: readonly string[], element: string): Result<ZarfComponent[]> => {
  const wanted = members.filter((member) => member.isRequired || choiceOf(member.name, requests).choice === 'taken');
  if (wanted.length > 1)
    return fail('fatal', 'zarf-group', element, `of the group ${group} only one component can be taken, not ${wanted.map((item) => item.name).join(' and ')}`);
  const [chosen = members.find((member) => member.isDefault && choiceOf(member.name, requests).choice !== 'left')] = wanted;
  if (chosen !== undefined) return ok([chosen]);
  if (members.length === 1) return ok([]);
  return fail('fatal', 'zarf-group', element, `choose one component of the group ${group}: ${members.map((member) => member.name).join(', ')}`);
};

/**
 * The components to deploy, in the order of the package: required ones, default ones that are not left out by `-name`, and optional ones that are asked for.
 * Components for another operating system or architecture are left out with an info. A request that fits none is a failure.
 */
export const selectComponents = (
  zarf: ZarfPackage,
  requests: readonly string[],
  architecture: string,
  element: string,
): Result<{ components: ZarfComponent[]; findings: Finding[] }> => {
  const findings: Finding[] = [];
  const usable = zarf.components.filter((component) => {
    const why = fits(component, architecture);
    if (why !== undefined)
      findings.push({ severity: 'info', code: 'zarf-component-unfit', file: 'zarf.yaml', message: `component ${component.name} ${why} and is left out` });
    return why === undefined;
  });
  const idle = requests.find((request) => !zarf.components.some((component) => matches(request.replace(/^-/, ''), component.name)));
  if (idle !== undefined)
    return fail(
      'fatal',
      'zarf-component-unknown',
      element,
      `no component fits "${idle.slice(0, 128)}"; there are ${zarf.components
        .map((component) => component.name)
        .join(', ')
        .slice(0, 1_000)}`,
    );
  const refused = usable.find(
    (component) => component.isRequired && choiceOf(component.name, requests).choice === 'left' && requests.includes(`-${component.name}`),
  );
  if (refused !== undefined) return fail('fatal', 'zarf-component-required', element, `component ${refused.name} is required and cannot be left out`);
  const groups = Map.groupBy(usable, (component) => (component.group === '' ? `\0${component.name}` : component.group));
  const taken = new Set<ZarfComponent>();
  for (const [group, members] of groups) {
    const [only] = members;
    if (group.startsWith('\0') && only !== undefined) {
      const { choice } = choiceOf(only.name, requests);
      if (only.isRequired || choice === 'taken' || (choice === 'open' && only.isDefault)) taken.add(only);
      continue;
    }
    const chosen = fromGroup(group, members, requests, element);
    if (!chosen.ok) return chosen;
    for (const component of chosen.value) taken.add(component);
  }
  return ok({ components: usable.filter((component) => taken.has(component)), findings });
};
