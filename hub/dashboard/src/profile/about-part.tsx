import { isRecord } from '@groundplane/protocol/record';
import type { ReactElement } from 'react';
import { setOrRemove } from '../edit/change-document.ts';
import { isName, nameRule } from '../model/names.ts';
import { Choice, Field } from '../parts/field.tsx';
import { useDraftScope } from './draft.ts';
import { textIn } from './layers.ts';

const types = [
  ['full', 'full: from the operating system to the add-ons'],
  ['infrastructure', 'infrastructure: operating system, Kubernetes, network, storage'],
  ['addon', 'add-on: what comes on top of another profile'],
] as const;

const labelsText = (labels: unknown): string =>
  isRecord(labels)
    ? Object.entries(labels)
        .map(([key, value]) => `${key}=${String(value)}`)
        .join('\n')
    : '';

const labelsOf = (text: string): Record<string, string> | undefined => {
  const pairs = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)] as const);
  return pairs.length === 0 ? undefined : Object.fromEntries(pairs);
};

/** Name, version and what kind of profile it is. */
export const AboutPart = (): ReactElement => {
  const { raw, change } = useDraftScope();
  const [metadata, spec] = isRecord(raw) ? [raw['metadata'], raw['spec']] : [undefined, undefined];
  const set =
    (...path: string[]) =>
    (value: unknown): void =>
      change((text) => setOrRemove(text, path, value));
  return (
    <section className="card layer-editor" aria-label="About the profile">
      <div className="form-grid">
        <Field
          label="Profile name"
          value={textIn(metadata, 'name') ?? ''}
          commit={set('metadata', 'name')}
          check={(text) => (isName(text) ? undefined : `The name ${nameRule}.`)}
        />
        <Field
          label="Profile version"
          value={textIn(metadata, 'version') ?? ''}
          hint="Like 1.4.0. Released versions never change."
          commit={set('metadata', 'version')}
          check={(text) => (/^\d+\.\d+\.\d+/.test(text) ? undefined : 'A version is like 1.4.0.')}
        />
        <Choice label="Type" value={textIn(spec, 'type') ?? ''} options={types} commit={set('spec', 'type')} />
        <Field label="Description" value={textIn(spec, 'description') ?? ''} rows={3} commit={set('spec', 'description')} />
        <Field
          label="Labels"
          value={labelsText(isRecord(metadata) ? metadata['labels'] : undefined)}
          rows={3}
          hint="One a line: key=value."
          check={(text) => (text.split('\n').every((line) => line.trim() === '' || line.includes('=')) ? undefined : 'Labels are written as key=value.')}
          commit={(text) => set('metadata', 'labels')(labelsOf(text))}
        />
      </div>
    </section>
  );
};
