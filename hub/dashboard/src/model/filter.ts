/** Which fields of a row a filter can name, and the texts that plain words are looked for in. */
export interface FilterSubject {
  fields: Readonly<Record<string, string | readonly string[]>>;
  texts: readonly string[];
  labels: Readonly<Record<string, string>>;
}

type Term = { test: 'text'; text: string } | { test: 'field'; field: string; value: string } | { test: 'label'; key: string; value: string };
interface Clause {
  term: Term;
  isNegated: boolean;
}

const termsMax = 20;

const parseTerm = (word: string): Term => {
  const label = /^([^:=]+)=(.*)$/.exec(word);
  if (label !== null) return { test: 'label', key: label[1] ?? '', value: label[2] ?? '' };
  const field = /^([a-z]+):(.*)$/.exec(word);
  if (field !== null) return { test: 'field', field: field[1] ?? '', value: (field[2] ?? '').toLowerCase() };
  return { test: 'text', text: word.toLowerCase() };
};

/** `web phase:failed ring=canary -is:offline`: words and terms, all of which must hold; a leading dash turns one round. */
export const parseFilter = (text: string): Clause[] =>
  text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '' && word !== '-')
    .slice(0, termsMax)
    .map((word) => ({ isNegated: word.startsWith('-'), term: parseTerm(word.startsWith('-') ? word.slice(1) : word) }));

const holds = (term: Term, subject: FilterSubject): boolean => {
  if (term.test === 'text') return subject.texts.some((text) => text.toLowerCase().includes(term.text));
  if (term.test === 'label') return Object.hasOwn(subject.labels, term.key) && (term.value === '' || subject.labels[term.key] === term.value);
  if (!Object.hasOwn(subject.fields, term.field)) return false;
  const value = subject.fields[term.field] ?? [];
  return (typeof value === 'string' ? [value] : value).some((each) => each.toLowerCase() === term.value);
};

/** Rows that pass the filter. A term for a field that the rows do not have matches nothing, which shows the mistake. */
export const filterRows = <T>(rows: readonly T[], text: string, subjectOf: (row: T) => FilterSubject): readonly T[] => {
  const clauses = parseFilter(text);
  if (clauses.length === 0) return rows;
  return rows.filter((row) => {
    const subject = subjectOf(row);
    return clauses.every(({ term, isNegated }) => holds(term, subject) !== isNegated);
  });
};
