import { fail, ok, type Result } from '@groundplane/protocol/failure';

export type LabelMatch = (labels: Record<string, string>) => boolean;

const requirement = /^\s*(?:(!)\s*([\w./-]+)|([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)|([\w./-]+)\s+(in|notin)\s+\(([^()]*)\)|([\w./-]+))\s*$/;

const parseOne = (text: string): LabelMatch | undefined => {
  const match = requirement.exec(text);
  if (match === null) return undefined;
  const [, not, absent, name, operator, value, listed, listOperator, values, present] = match;
  if (not !== undefined && absent !== undefined) return (labels) => labels[absent] === undefined;
  if (name !== undefined) return operator === '!=' ? (labels) => labels[name] !== value : (labels) => labels[name] === value;
  if (listed !== undefined) {
    const set = new Set((values ?? '').split(',').map((item) => item.trim()));
    const isIn: LabelMatch = (labels) => labels[listed] !== undefined && set.has(labels[listed]);
    return listOperator === 'in' ? isIn : (labels) => !isIn(labels);
  }
  return present === undefined ? undefined : (labels) => labels[present] !== undefined;
};

/** Kubernetes' label selector: `a=b,c!=d,e in (f,g),h notin (i),j,!k`, all of which must hold. */
export const parseLabelSelector = (text: string | undefined): Result<LabelMatch> => {
  if (text === undefined || text.trim() === '') return ok(() => true);
  const parts = text.split(/,(?![^()]*\))/).map(parseOne);
  const known = parts.filter((part) => part !== undefined);
  if (known.length !== parts.length) return fail('fatal', 'object-invalid', 'label selector', `unable to parse requirement: ${JSON.stringify(text)}`);
  return ok((labels) => known.every((matches) => matches(labels)));
};
