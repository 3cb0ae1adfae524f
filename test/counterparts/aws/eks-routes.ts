import * as sdk from '@aws-sdk/client-eks';
import type { HttpRequest } from '@groundplane/hub/port/http';
import { textOf } from './words.ts';

/**
 * Which operation a request is: by the descriptors that the vendor's SDK serializes with (`[9, namespace, name, {http: [method, path, status]}, input, output]`,
 * where the input is `[3, namespace, name, traits, members, …]`).
 */
interface Operation {
  name: string;
  method: string;
  pattern: RegExp;
  labels: string[];
  members: readonly string[];
}

const operations: Operation[] = Object.values(sdk as Record<string, unknown>).flatMap((value): Operation[] => {
  if (!Array.isArray(value) || value[0] !== 9) return [];
  const [, , name, traits, input] = value as [number, string, string, { http?: [string, string, number] }, unknown];
  if (traits.http === undefined) return [];
  const resolved = (typeof input === 'function' ? (input as () => unknown)() : input) as readonly unknown[];
  const [method, path] = traits.http;
  const labels = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
  return [{ name, method, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`), labels, members: (resolved[4] ?? []) as string[] }];
});

export interface EksCall {
  name: string;
  input: Record<string, unknown>;
  /** Members that the vendor's model does not know. */
  unknown: string[];
}

export const eksCallOf = (request: HttpRequest): EksCall | undefined => {
  const { pathname } = new URL(request.url);
  for (const { name, method, pattern, labels, members } of operations) {
    const match = method === request.method ? pattern.exec(pathname) : null;
    if (match === null) continue;
    const text = textOf(request);
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    const path = Object.fromEntries(labels.map((label, index) => [label, decodeURIComponent(match[index + 1] ?? '')]));
    return { name, input: { ...body, ...path }, unknown: Object.keys(body).filter((key) => !members.includes(key)) };
  }
  return undefined;
};
