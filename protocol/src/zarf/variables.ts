import { RE2JS } from 're2js';
import { fail, ok, type Result } from '../failure.ts';
import { zarfLimits } from './limits.ts';
import type { ZarfPackage } from './package.ts';

interface Replacement {
  value: string;
  autoIndent: boolean;
}

/** What stands for `###ZARF_…###`, by the whole marker. */
export type ZarfTexts = ReadonlyMap<string, Replacement>;

const marker = /###ZARF_[A-Z0-9_]+###/g;
const plain = (value: string): Replacement => ({ value, autoIndent: false });

const fitsPattern = (pattern: string, value: string): boolean | undefined => {
  try {
    return RE2JS.compile(pattern).matcher(value).find();
  } catch {
    return undefined;
  }
};

/** Names that an action sets while Zarf runs. Nothing runs them here, so whoever uses the package gives them. */
const setByActions = (zarf: ZarfPackage): Set<string> =>
  new Set(zarf.components.flatMap((component) => component.actions.flatMap((action) => action.setVariables)));

/** Built-in ones that have a meaning without Zarf's own services. */
const builtIn = (registry: string | undefined, given: Readonly<Record<string, string>>): [string, Replacement][] => {
  const port = registry === undefined ? undefined : /:(\d+)(?:\/|$)/.exec(registry)?.[1];
  return [
    ...(registry === undefined ? [] : [['###ZARF_REGISTRY###', plain(registry)] satisfies [string, Replacement]]),
    ...(port === undefined ? [] : ['###ZARF_NODEPORT###', '###ZARF_REGISTRY_PORT###'].map((name) => [name, plain(port)] satisfies [string, Replacement])),
    ...(given['STORAGE_CLASS'] === undefined ? [] : [['###ZARF_STORAGE_CLASS###', plain(given['STORAGE_CLASS'])] satisfies [string, Replacement]]),
  ];
};

/**
 * Values of variables and constants. Given ones win over defaults; a variable that prompts and has neither is a failure, as is one that the package does not
 * know, or a value that its pattern (RE2, anywhere in the text) does not take.
 */
export const resolveTexts = (zarf: ZarfPackage, given: Readonly<Record<string, string>>, registry: string | undefined, element: string): Result<ZarfTexts> => {
  const byAction = setByActions(zarf);
  const known = new Set([...zarf.variables.map((variable) => variable.name), ...byAction, 'STORAGE_CLASS']);
  const unknown = Object.keys(given).find((name) => !known.has(name));
  if (unknown !== undefined)
    return fail(
      'fatal',
      'zarf-variable-unknown',
      element,
      `the package has no variable ${unknown}; it has ${
        zarf.variables
          .map((item) => item.name)
          .join(', ')
          .slice(0, 1_000) || 'none'
      }`,
    );
  const texts = new Map<string, Replacement>(builtIn(registry, given));
  for (const name of byAction) if (given[name] !== undefined) texts.set(`###ZARF_VAR_${name}###`, plain(given[name]));
  for (const variable of zarf.variables) {
    const value = Object.hasOwn(given, variable.name) ? given[variable.name] : undefined;
    if (value === undefined && variable.prompts && variable.default === undefined)
      return fail(
        'fatal',
        'zarf-variable-missing',
        element,
        `the variable ${variable.name} needs a value${variable.description === '' ? '' : ` (${variable.description.slice(0, 200)})`}; set zarf.variables.${variable.name}`,
      );
    if (value === undefined && variable.isFile && variable.default !== undefined && variable.default !== '')
      return fail(
        'fatal',
        'zarf-variable-file',
        element,
        `the variable ${variable.name} is read from the file ${variable.default.slice(0, 200)}, which is not here; give its text as zarf.variables.${variable.name}`,
      );
    const text = value ?? variable.default ?? '';
    const fit = fitsPattern(variable.pattern, text);
    if (fit !== true) {
      const shown = variable.isSensitive ? 'the value given' : JSON.stringify(text.slice(0, 64));
      return fail(
        'fatal',
        'zarf-variable-pattern',
        element,
        fit === undefined
          ? `the pattern of ${variable.name} is no RE2 expression`
          : `${shown} for ${variable.name} does not fit its pattern ${variable.pattern.slice(0, 200)}`,
      );
    }
    texts.set(`###ZARF_VAR_${variable.name}###`, { value: text, autoIndent: variable.autoIndent });
  }
  for (const constant of zarf.constants) texts.set(`###ZARF_CONST_${constant.name}###`, { value: constant.value, autoIndent: constant.autoIndent });
  return ok(texts);
};

export const hasMarkers = (text: string): boolean => text.includes('###ZARF_');

const missing = (name: string, where: string, byAction: boolean): Result<never> => {
  const variable = /^###ZARF_VAR_(.+)###$/.exec(name)?.[1];
  const why =
    variable !== undefined
      ? byAction
        ? `an action of the package sets it when Zarf runs; give it as zarf.variables.${variable}`
        : 'the package does not declare it'
      : name.startsWith('###ZARF_CONST_')
        ? 'the package does not declare it'
        : name === '###ZARF_REGISTRY###' || name === '###ZARF_NODEPORT###' || name === '###ZARF_REGISTRY_PORT###'
          ? 'the site has no registry with an address (and port) of its own; set the registry of the cluster'
          : name === '###ZARF_STORAGE_CLASS###'
            ? 'give it as zarf.variables.STORAGE_CLASS'
            : "it belongs to Zarf's own services, which are not here";
  return fail('fatal', 'zarf-marker-unresolved', where, `uses ${name.slice(0, 200)}: ${why}`);
};

/**
 * Replaces markers line by line as Zarf does: with autoIndent, further lines of a value are indented to the column of the marker. A marker without a value is a
 * failure; Zarf would leave it in the object.
 */
export const replaceMarkers = (text: string, texts: ZarfTexts, where: string, zarf: ZarfPackage): Result<string> => {
  if (!hasMarkers(text)) return ok(text);
  if (text.length > zarfLimits.templateBytes)
    return fail('fatal', 'zarf-text-too-large', where, `has variables and more than ${zarfLimits.templateBytes} bytes`);
  const byAction = setByActions(zarf);
  let size = 0;
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const parts: string[] = [];
    let at = 0;
    for (const found of line.matchAll(marker)) {
      const [name] = found;
      const replacement = texts.get(name);
      if (replacement === undefined) return missing(name, where, byAction.has(/^###ZARF_VAR_(.+)###$/.exec(name)?.[1] ?? ''));
      const before = line.slice(at, found.index);
      // Zarf counts from the end of the marker before, in bytes of the line as it was.
      const indent = `\n${' '.repeat(new TextEncoder().encode(before).length)}`;
      parts.push(before, replacement.autoIndent ? replacement.value.replaceAll('\n', indent) : replacement.value);
      size += replacement.value.length;
      at = found.index + name.length;
    }
    parts.push(line.slice(at));
    size += line.length;
    if (size > zarfLimits.expandedBytes)
      return fail('fatal', 'zarf-text-too-large', where, `has more than ${zarfLimits.expandedBytes} bytes after replacing its variables`);
    lines.push(parts.join(''));
  }
  return ok(lines.join('\n'));
};
