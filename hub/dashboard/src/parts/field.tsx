import { useId, useState, type ReactElement, type ReactNode } from 'react';

interface FieldProps {
  label: string;
  value: string;
  /** Called when the field is left or Enter is pressed, and only when the text is another one. */
  commit: (value: string) => void;
  hint?: ReactNode;
  placeholder?: string;
  type?: 'text' | 'number' | 'password';
  isReadOnly?: boolean;
  rows?: number;
  /** What is wrong with a text; it is not taken then. */
  check?: (value: string) => string | undefined;
  list?: string;
}

/** A text that is taken over when it is done, so that a document is not written anew with every key. */
export const Field = ({ label, value, commit, hint, placeholder, type = 'text', isReadOnly = false, rows, check, list }: FieldProps): ReactElement => {
  const id = useId();
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const shown = typed ?? value;
  const wrong = typed === undefined ? undefined : check?.(typed);
  const done = (): void => {
    if (typed === undefined || wrong !== undefined) return;
    setTyped(undefined);
    if (typed !== value) commit(typed);
  };
  const shared = {
    'aria-label': label,
    'aria-describedby': wrong === undefined && hint === undefined ? undefined : id,
    'aria-invalid': wrong === undefined ? undefined : true,
    value: shown,
    placeholder,
    readOnly: isReadOnly,
    spellCheck: false,
    autoComplete: type === 'password' ? 'new-password' : 'off',
    onBlur: done,
  } as const;
  return (
    <label>
      {label}
      {rows === undefined ? (
        <input
          {...shared}
          type={type === 'number' ? 'text' : type}
          inputMode={type === 'number' ? 'decimal' : undefined}
          list={list}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => event.key === 'Enter' && done()}
        />
      ) : (
        <textarea {...shared} rows={rows} onChange={(event) => setTyped(event.target.value)} />
      )}
      {(wrong !== undefined || hint !== undefined) && (
        <span id={id} className={wrong === undefined ? 'hint' : 'hint text-bad'}>
          {wrong ?? hint}
        </span>
      )}
    </label>
  );
};

interface ChoiceProps {
  label: string;
  value: string;
  options: readonly (readonly [value: string, text: string])[];
  commit: (value: string) => void;
  hint?: ReactNode;
  isReadOnly?: boolean;
}

export const Choice = ({ label, value, options, commit, hint, isReadOnly = false }: ChoiceProps): ReactElement => (
  <label>
    {label}
    <select aria-label={label} value={value} disabled={isReadOnly} onChange={(event) => commit(event.target.value)}>
      {!options.some(([each]) => each === value) && <option value={value}>{value === '' ? 'choose' : value}</option>}
      {options.map(([each, text]) => (
        <option key={each} value={each}>
          {text}
        </option>
      ))}
    </select>
    {hint !== undefined && <span className="hint">{hint}</span>}
  </label>
);

export const Check = ({ label, value, commit, hint }: { label: string; value: boolean; commit: (value: boolean) => void; hint?: string }): ReactElement => (
  <label className="check">
    <input type="checkbox" checked={value} onChange={(event) => commit(event.target.checked)} />
    <span>
      {label}
      {hint !== undefined && <span className="hint"> {hint}</span>}
    </span>
  </label>
);
