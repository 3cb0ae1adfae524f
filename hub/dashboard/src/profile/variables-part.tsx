import { isRecord } from '@groundplane/protocol/record';
import { useState, type ReactElement } from 'react';
import { addToList, removeValue, setOrRemove, setValue } from '../edit/change-document.ts';
import { Button } from '../parts/button.tsx';
import { Check, Choice, Field } from '../parts/field.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty } from '../parts/page.tsx';
import { Name, Tag } from '../parts/text.tsx';
import { useUrlState } from '../url-state.ts';
import { CopyButton } from '../parts/copy.tsx';
import { useDraftScope } from './draft.ts';
import { textIn, type Loose } from './layers.ts';

const formats = ['string', 'number', 'boolean', 'ipv4', 'ipv4cidr', 'ipv6', 'version', 'base64'] as const;
const inputs = [
  ['text', 'one line'],
  ['multiline', 'several lines'],
  ['dropdown', 'a choice'],
] as const;
const flags = [
  ['required', 'Required', 'A cluster without a value is not resolved.'],
  ['immutable', 'Immutable', 'Clusters cannot change it; it needs a default.'],
  ['hidden', 'Hidden', 'It is not offered to people who make clusters.'],
  ['sensitive', 'Sensitive', 'Kept sealed and shown nowhere.'],
] as const;

interface Listed {
  index: number;
  name: string;
  raw: Loose;
}

export const variablesOf = (raw: unknown): Listed[] => {
  const spec = isRecord(raw) ? raw['spec'] : undefined;
  const list: unknown[] = isRecord(spec) && Array.isArray(spec['variables']) ? spec['variables'] : [];
  return list.flatMap((item, index) => (isRecord(item) ? [{ index, name: textIn(item, 'name') ?? '', raw: item }] : []));
};

/** `value | label | description`, one a line. */
const optionsText = (value: unknown): string =>
  (Array.isArray(value) ? value : [])
    .map((option) => [textIn(option, 'value') ?? '', textIn(option, 'label') ?? '', textIn(option, 'description') ?? ''].join(' | ').replace(/( \| )+$/, ''))
    .join('\n');

const optionsOf = (text: string): object[] | undefined => {
  const options = text
    .split('\n')
    .map((line) => line.split('|').map((part) => part.trim()))
    .filter(([value = '']) => value !== '')
    .map(([value, label = '', description = '']) => ({ value, ...(label === '' ? {} : { label }), ...(description === '' ? {} : { description }) }));
  return options.length === 0 ? undefined : options;
};

const Fields = ({ variable, taken, follow }: { variable: Listed; taken: readonly string[]; follow: (name: string) => void }): ReactElement => {
  const { change } = useDraftScope();
  const { raw } = variable;
  const at = (key: string) => ['spec', 'variables', variable.index, key];
  const set = (key: string) => (value: unknown) => change((text) => setOrRemove(text, at(key), value));
  const isSensitive = raw['sensitive'] === true;
  return (
    <>
      <div className="form-grid">
        <Field
          label="Name"
          value={variable.name}
          commit={(name) => {
            set('name')(name);
            follow(name);
          }}
          check={(text) =>
            !/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(text)
              ? 'Letters, digits and underscores.'
              : taken.includes(text)
                ? `There is a variable ${text} already.`
                : undefined
          }
        />
        <Field label="Display name" value={textIn(raw, 'displayName') ?? ''} commit={set('displayName')} />
        <Choice label="Format" value={textIn(raw, 'format') ?? 'string'} options={formats.map((format) => [format, format] as const)} commit={set('format')} />
        <Choice label="Written as" value={textIn(raw, 'inputType') ?? 'text'} options={inputs} commit={set('inputType')} />
        <Field
          label="Default"
          value={textIn(raw, 'default') ?? (typeof raw['default'] === 'boolean' ? String(raw['default']) : '')}
          type={isSensitive ? 'password' : 'text'}
          {...(raw['inputType'] === 'multiline' && !isSensitive ? { rows: 4 } : {})}
          commit={set('default')}
          hint={isSensitive ? 'A default of a sensitive variable stands in the profile for all who may read it.' : undefined}
        />
        <Field label="Regex" value={textIn(raw, 'regex') ?? ''} commit={set('regex')} hint="RE2: no look-around, no back-references." />
        <Field label="Description" value={textIn(raw, 'description') ?? ''} rows={2} commit={set('description')} />
        {raw['inputType'] === 'dropdown' && (
          <Field
            label="Options"
            value={optionsText(raw['options'])}
            rows={4}
            hint="One a line: value | label | description."
            commit={(text) => set('options')(optionsOf(text))}
          />
        )}
      </div>
      <div className="check-grid">
        {flags.map(([key, label, hint]) => (
          <Check key={key} label={label} hint={hint} value={raw[key] === true} commit={(isSet) => set(key)(isSet ? true : undefined)} />
        ))}
      </div>
      <p className="row">
        <span className="quiet">Write it into values and manifests as</span> <code>{`{{.spectro.var.${variable.name}}}`}</code>
        <CopyButton text={`{{.spectro.var.${variable.name}}}`} label="Copy" />
      </p>
    </>
  );
};

/** Variables of the profile: what clusters fill in. */
export const VariablesPart = (): ReactElement => {
  const { raw, change } = useDraftScope();
  const [wanted, setWanted] = useUrlState('variable');
  const [made, setMade] = useState(1);
  const variables = variablesOf(raw);
  const chosen = variables.find((variable) => variable.name === wanted) ?? variables[0];
  const add = (): void => {
    let name = `variable_${variables.length + made}`;
    while (variables.some((variable) => variable.name === name)) name += '_2';
    change((text) => addToList(text, ['spec', 'variables'], { name }));
    setMade(made + 1);
    setWanted(name);
  };
  const button = (
    <Button onClick={add}>
      <Icon name="plus" />
      Add variable
    </Button>
  );
  if (chosen === undefined) {
    return (
      <Empty title="No variable yet">
        <p>A variable is what one cluster has another value for: a size, an address, a password. Layers refer to it by its name.</p>
        <div className="row">{button}</div>
      </Empty>
    );
  }
  return (
    <div className="stack-columns">
      <section className="card stack-card" aria-label="Variables">
        <header>
          <h2>Variables</h2>
          {button}
        </header>
        <ol className="stack-preview" aria-label="Variables of the profile">
          {variables.map((variable) => (
            <li key={variable.index}>
              <button type="button" className="layer-choice" aria-pressed={variable === chosen} onClick={() => setWanted(variable.name)}>
                <Name text={variable.name} />
                <span className="quiet clip">
                  {variable.raw['required'] === true && <Tag>required</Tag>} {variable.raw['sensitive'] === true && <Tag>sensitive</Tag>}{' '}
                  <bdi>{textIn(variable.raw, 'displayName') ?? textIn(variable.raw, 'format') ?? 'string'}</bdi>
                </span>
              </button>
            </li>
          ))}
        </ol>
      </section>
      <section className="card layer-editor" aria-label={`Variable ${chosen.name.slice(0, 80)}`}>
        <header>
          <h2>
            <Name text={chosen.name} />
          </h2>
          <Button
            kind="danger"
            onClick={() =>
              change((text) => (variables.length === 1 ? setValue(text, ['spec', 'variables'], []) : removeValue(text, ['spec', 'variables', chosen.index])))
            }
          >
            Remove variable
          </Button>
        </header>
        <Fields key={chosen.index} variable={chosen} follow={setWanted} taken={variables.filter((each) => each !== chosen).map((each) => each.name)} />
      </section>
    </div>
  );
};
