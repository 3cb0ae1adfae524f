import { RE2JS } from 're2js';
import { fail, ok, type Result } from '../failure.ts';
import type { Variable } from '../profile.ts';

const octet = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const ipv4 = new RegExp(`^${octet}(\\.${octet}){3}$`);

const isIpv6 = (text: string): boolean => {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) return false;
  try {
    return new URL(`http://[${text}]/`).hostname.length > 2;
  } catch {
    return false;
  }
};

const formats: Record<Variable['format'], { is: (value: string) => boolean; like: string }> = {
  string: { is: () => true, like: 'any text' },
  number: { is: (value) => /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(value), like: '8 or 0.5' },
  boolean: { is: (value) => value === 'true' || value === 'false', like: 'true or false' },
  ipv4: { is: (value) => ipv4.test(value), like: '192.0.2.7' },
  ipv4cidr: {
    is: (value) => {
      const [address, bits, ...more] = value.split('/');
      return more.length === 0 && ipv4.test(address ?? '') && /^(3[0-2]|[12]?\d)$/.test(bits ?? '');
    },
    like: '192.0.2.0/24',
  },
  ipv6: { is: isIpv6, like: '2001:db8::7' },
  version: { is: (value) => /^v?\d+(\.\d+){0,3}([-+][0-9A-Za-z.+-]+)?$/.test(value), like: '1.4.0' },
  base64: { is: (value) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value), like: 'aGVsbG8=' },
};

const checkValue = (variable: Variable, value: string): Result<string> => {
  const element = `variable ${variable.name}`;
  const shown = variable.sensitive ? 'the value' : `"${value.slice(0, 64)}"`;
  if (value === '' && !variable.required) return ok(value);
  const format = formats[variable.format];
  if (!format.is(value)) return fail('fatal', 'variable-format', element, `${shown} is not of format ${variable.format} (like ${format.like})`);
  if (variable.inputType === 'dropdown' && !(variable.options ?? []).some((option) => option.value === value)) {
    return fail('fatal', 'variable-option', element, `${shown} is not one of ${(variable.options ?? []).map((option) => option.value).join(', ')}`);
  }
  if (variable.regex !== undefined) {
    try {
      if (!RE2JS.compile(variable.regex).matcher(value).find()) return fail('fatal', 'variable-regex', element, `${shown} does not match ${variable.regex}`);
    } catch {
      return fail('fatal', 'variable-regex', element, `the profile's regex ${variable.regex} is not RE2`);
    }
  }
  return ok(value);
};

/**
 * Values of a profile's variables for one cluster: given ones over defaults, checked against format, options and regex.
 * `given` is looked up by name; names that no profile declares are the caller's business.
 */
export const resolveVariables = (variables: readonly Variable[], given: Readonly<Record<string, string>>): Result<Map<string, string>> => {
  const values = new Map<string, string>();
  for (const variable of variables) {
    const set = Object.hasOwn(given, variable.name) ? given[variable.name] : undefined;
    if (set !== undefined && variable.immutable && set !== variable.default) {
      return fail('fatal', 'variable-immutable', `variable ${variable.name}`, 'is read-only; only a new profile version can change it');
    }
    const value = set ?? variable.default;
    if (value === undefined || (variable.required && value === '')) {
      if (variable.required)
        return fail('fatal', 'variable-missing', `variable ${variable.name}`, `needs a value. Set it under spec.variables.${variable.name} of the cluster`);
      values.set(variable.name, '');
      continue;
    }
    const checked = checkValue(variable, value);
    if (!checked.ok) return checked;
    values.set(variable.name, value);
  }
  return ok(values);
};
