import { deleteValue, setValue } from '@groundplane/protocol/pack/values';
import type { Failure } from '@groundplane/protocol/failure';
import { useId, useMemo, useState, type ReactElement } from 'react';
import { Choice, Field } from '../parts/field.tsx';
import { Problem } from '../parts/problem.tsx';
import { checkLayerValues } from './check-values.ts';
import { fieldsMax, formOf, typedValue, type FormField } from './form-model.ts';
import { useValues, type PartProps } from './values-part.tsx';

const yesNo = [
  ['true', 'true'],
  ['false', 'false'],
] as const;

const FieldRow = ({ field, commit, list }: { field: FormField; commit: (text: string) => void; list: string }): ReactElement => {
  const notes = [
    ...(field.required ? ['required'] : []),
    ...(field.readonly ? ['read-only'] : []),
    ...(field.isThere ? [] : ['not set here']),
    ...(field.hint === '' ? [] : [field.hint]),
  ];
  const hint = notes.length === 0 ? undefined : notes.join('. ');
  if (field.isNested) {
    return (
      <div className="field">
        <span>{field.label}</span>
        <span className="hint">A map or a list; edit it under Values.</span>
      </div>
    );
  }
  const isReference = field.text.includes('{{');
  const options = field.options.length > 0 ? field.options.map((option) => [option, option] as const) : field.type === 'boolean' && !isReference ? yesNo : [];
  if (options.length > 0) return <Choice label={field.label} value={field.text} options={options} commit={commit} hint={hint} isReadOnly={field.readonly} />;
  return (
    <Field
      label={field.label}
      value={field.text}
      commit={commit}
      hint={hint}
      type={field.isSecret && !isReference ? 'password' : field.type === 'number' ? 'number' : 'text'}
      isReadOnly={field.readonly}
      list={list}
    />
  );
};

/** The values as fields. Each change is one cut in the text of the values: comments and everything else stay as they are. */
export const FormPart = ({ layer, unit, guide }: PartProps): ReactElement => {
  const list = useId();
  const { text, write, isReady } = useValues(layer, unit);
  const form = useMemo(() => formOf(text, guide), [text, guide]);
  const problems = useMemo(() => checkLayerValues(text, guide), [text, guide]);
  const [failure, setFailure] = useState<Failure | undefined>(undefined);
  const [wanted, setWanted] = useState('');
  const commit = (field: FormField, typed: string): void => {
    const done =
      typed === '' && !field.required && field.type !== 'string' ? deleteValue(text, field.path) : setValue(text, field.path, typedValue(field, typed));
    setFailure(done.ok ? undefined : done.failure);
    if (done.ok) write(done.value);
  };
  if (!isReady) return <p className="quiet">The pack's own values are not here yet.</p>;
  if (form === undefined) return <p className="note">The values have a mistake in their YAML, so they make no form. Mend it under Values.</p>;
  const fields = form.fields.filter((field) => field.label.toLowerCase().includes(wanted.trim().toLowerCase()));
  return (
    <div className="part">
      <p className="quiet">
        {form.isOfRules
          ? 'Fields of the schema that the pack brings.'
          : form.fields.length === 0
            ? 'There is nothing to fill in: it has neither a schema nor values of its own. Write values as YAML.'
            : 'It brings no schema; these are the values that it sets itself.'}
      </p>
      {failure !== undefined && <Problem failure={failure} />}
      {problems.length > 0 && (
        <ul className="plain" aria-label="Problems of the values">
          {problems.slice(0, 10).map((problem, index) => (
            <li key={`${problem.from}/${index}`} className={problem.severity === 'warning' ? 'text-warn' : 'text-bad'}>
              <bdi>{problem.message}</bdi>
            </li>
          ))}
        </ul>
      )}
      {form.fields.length > 12 && (
        <label>
          Find a field
          <input type="search" value={wanted} onChange={(event) => setWanted(event.target.value)} />
        </label>
      )}
      <div className="form-grid">
        {fields.map((field) => (
          <FieldRow key={field.label} field={field} list={list} commit={(typed) => commit(field, typed)} />
        ))}
      </div>
      {form.fields.length === fieldsMax && <p className="quiet">These are the first {fieldsMax} fields; the others are under Values.</p>}
      <datalist id={list}>
        {guide.references.map((reference) => (
          <option key={reference} value={reference} />
        ))}
      </datalist>
    </div>
  );
};
