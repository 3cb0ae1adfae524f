import { limits } from './limits.ts';

/** What is wrong at one line of a list. Lines count from 1; 0 is the list as a whole. */
export interface SerialProblem {
  line: number;
  message: string;
}

export interface SerialList {
  /** Serial number → the name that the device gets, or `''` for its own wish. What the API takes. */
  devices: Record<string, string>;
  /** How many devices, and how many of them with a name. */
  count: number;
  named: number;
  /** The first ones; `problemCount` says how many there are. */
  problems: SerialProblem[];
  problemCount: number;
}

/** Nobody reads more than these at a time. */
const problemsMax = 20;

/** RFC 1123 label, as `nameSchema` says; repeated because the dashboard's first load has no schemas. A test holds the two together. */
const isName = (text: string): boolean => text.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);

/** Spreadsheets write quotes around what they export. */
const unquoted = (word: string): string => /^"([^"]*)"$/.exec(word)?.[1] ?? word;

const heading = /^"?serial([ _-]?(number|no))?"?([\s,;]+"?name"?)?$/i;

/**
 * `SERIAL`, `SERIAL,NAME` or `SERIAL NAME`, one a line; `#` begins a remark, and a first line that says `serial,name` is a heading. What is wrong is told with
 * its line; the rest is still read, so that all can be mended at once. Pure, and one pass: 10,000 lines take a few milliseconds.
 */
export const readSerials = (text: string): SerialList => {
  const lineOf = new Map<string, number>();
  const nameLine = new Map<string, number>();
  const devices: [string, string][] = [];
  const problems: SerialProblem[] = [];
  let problemCount = 0;
  let isFirst = true;
  const wrong = (line: number, message: string): void => {
    problemCount += 1;
    if (problems.length < problemsMax) problems.push({ line, message });
  };
  for (const [index, whole] of text.split('\n').entries()) {
    const plain = whole.replace(/#[^]*$/, '').trim();
    if (plain === '') continue;
    const isHeading = isFirst && heading.test(plain);
    isFirst = false;
    if (isHeading) continue;
    const line = index + 1;
    const [serial = '', name = '', ...more] = plain.split(/[\s,;]+/).map(unquoted);
    const earlier = lineOf.get(serial);
    const namesake = name === '' ? undefined : nameLine.get(name);
    if (more.some((word) => word !== '')) wrong(line, 'has more than a serial number and a name');
    else if (serial === '') wrong(line, 'has no serial number');
    else if (serial.length > limits.serialChars) wrong(line, `has a serial number of more than ${limits.serialChars} characters`);
    else if (name !== '' && !isName(name))
      wrong(line, `${name.slice(0, 80)} is not a possible name of a host: lower-case letters, digits and dashes, at most 63`);
    else if (earlier !== undefined) wrong(line, `${serial} is in the list twice, first in line ${earlier}`);
    else if (namesake !== undefined) wrong(line, `the name ${name} is given twice, first in line ${namesake}`);
    else {
      lineOf.set(serial, line);
      if (name !== '') nameLine.set(name, line);
      devices.push([serial, name]);
    }
  }
  if (devices.length > limits.ticketSerials) wrong(0, `names ${devices.length} devices; one ticket is for at most ${limits.ticketSerials}`);
  if (devices.length === 0 && problemCount === 0) wrong(0, 'names no device');
  return { devices: Object.fromEntries(devices), count: devices.length, named: nameLine.size, problems, problemCount };
};
