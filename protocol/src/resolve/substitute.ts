import { ok, type Result } from '../failure.ts';
import { limits } from '../limits.ts';
import { runAction, scanActions, tooLarge, type Lookup } from './template.ts';

/**
 * Replaces the template actions whose pipeline starts with `.spectro` and leaves every other `{{ }}` exactly as it is: values are full of other
 * people's templates. Failures name the reference and what to do. A replaced text is not looked at again, so values cannot inject references.
 * For YAML there is `substituteYaml`, which also minds the quotes around an action.
 */
export const substitute = (text: string, lookup: Lookup, element: string): Result<string> => {
  const actions = scanActions(text, element);
  if (!actions.ok) return actions;
  const parts: string[] = [];
  let done = 0;
  let length = 0;
  for (const action of actions.value) {
    const place = `${element}, line ${action.line}`;
    const value = runAction(action, lookup, place);
    if (!value.ok) return value;
    const before = text.slice(done, action.start);
    parts.push(before, value.value);
    length += before.length + value.value.length;
    if (length > limits.objectBytes) return tooLarge(place);
    done = action.end;
  }
  const rest = text.slice(done);
  if (parts.length > 0 && length + rest.length > limits.objectBytes) return tooLarge(element);
  return ok(parts.join('') + rest);
};

/** Every `.spectro` reference of a text, for "used by" and for checks before anything is set. A text that cannot be read has none. */
export const references = (text: string): string[] => {
  const actions = scanActions(text, '');
  return actions.ok ? [...new Set(actions.value.map((action) => action.path).filter((path) => path !== ''))] : [];
};
