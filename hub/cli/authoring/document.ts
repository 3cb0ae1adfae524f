import { limits } from '@groundplane/protocol/limits';
import { apiVersion, clusterDocumentSchema, profileDocumentSchema } from '@groundplane/protocol/profile';
import { LineCounter, parseAllDocuments, type Document } from 'yaml';
import type { z } from 'zod';
import { done, trouble, usage, type Attempt, type Trouble } from '../trouble.ts';
import type { PackedChart } from './chart.ts';
import { explain } from './explain.ts';
import { nearest } from './nearest.ts';
import { problemAt, problemText, type Problem, type Source } from './place.ts';
import type { InputFile } from './read.ts';
import type { RegistryRequest } from './registry-source.ts';
import { resolveSources } from './sources.ts';

interface Base {
  name: string;
  project: string;
  /** `file:line`, for messages. */
  from: string;
}
export type ProfileDocument = Base & {
  kind: 'Profile';
  version: string;
  value: z.output<typeof profileDocumentSchema>;
  charts: readonly PackedChart[];
  imports: readonly RegistryRequest[];
};
export type ClusterDocument = Base & { kind: 'Cluster'; value: z.output<typeof clusterDocumentSchema> };
export type AnyDocument = ProfileDocument | ClusterDocument;

const documentsMax = 1_000;
const problemsShown = 20;

/** `profile retail-store@1.0.0`, `cluster store-1`. */
export const documentName = (document: AnyDocument): string =>
  document.kind === 'Profile' ? `profile ${document.name}@${document.version}` : `cluster ${document.name}`;

const parseText = (input: InputFile): { sources: Source[]; problems: Problem[] } => {
  const lines = new LineCounter();
  let documents: Document[];
  try {
    const parsed = parseAllDocuments(input.text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
    documents = Array.isArray(parsed) ? (parsed as Document[]) : [];
  } catch (error) {
    // The parser recurses; text that is nested a hundred thousand deep exhausts the stack.
    const message = error instanceof RangeError ? 'is nested too deeply' : `is not YAML: ${(error as Error).message}`;
    return { sources: [], problems: [{ file: input.name, line: 1, column: 1, message }] };
  }
  const sources = documents.map((document) => ({ file: input.name, document, lines }));
  const problems = documents.flatMap((document) =>
    [...document.errors, ...document.warnings].map((error): Problem => {
      const { line, col } = lines.linePos(error.pos[0]);
      const message =
        error.code === 'DUPLICATE_KEY'
          ? 'the same key is here twice; remove one of them'
          : error.code === 'TAB_AS_INDENT'
            ? 'a tab indents this line; YAML wants spaces'
            : error.message;
      return { file: input.name, line, column: col, message };
    }),
  );
  return { sources: sources.filter((source) => source.document.contents !== null), problems };
};

const schemas = { Profile: profileDocumentSchema, Cluster: clusterDocumentSchema } as const;

const isPlain = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The kind of a document, or what is wrong with it. Checked first, since the schema would only say what it expected. */
const kindOf = (value: unknown, source: Source): keyof typeof schemas | Problem => {
  if (!isPlain(value))
    return problemAt(source, [], `is not a document of Groundplane; begin with apiVersion: ${apiVersion} and kind: Profile or kind: Cluster`);
  const { kind } = value;
  if (kind !== 'Profile' && kind !== 'Cluster') {
    const shown = typeof kind === 'string' ? `kind ${kind.slice(0, 64)}` : 'a document without kind';
    const isKubernetes = typeof value.apiVersion === 'string' && value.apiVersion !== apiVersion && typeof kind === 'string';
    const meant = typeof kind === 'string' ? nearest(kind, ['Profile', 'Cluster']) : undefined;
    const hint =
      meant !== undefined
        ? `did you mean ${meant}?`
        : isKubernetes
          ? 'objects of Kubernetes belong into a layer of a profile, under manifests: [{path: FILE}]'
          : 'write kind: Profile or kind: Cluster';
    return problemAt(source, ['kind'], `${shown} is not understood; ${hint}`);
  }
  if (value.apiVersion !== apiVersion) return problemAt(source, ['apiVersion'], `apiVersion must be ${apiVersion}`);
  return kind;
};

const plainOf = (source: Source): { ok: true; value: unknown } | { ok: false; problem: Problem } => {
  try {
    return { ok: true, value: source.document.toJS({ maxAliasCount: limits.yamlAliases }) as unknown };
  } catch (error) {
    return {
      ok: false,
      problem: problemAt(
        source,
        [],
        error instanceof RangeError ? 'is nested too deeply' : `its aliases (*name) expand to too much or lead nowhere: ${(error as Error).message}`,
      ),
    };
  }
};

type Parsed = { ok: true; document: AnyDocument } | { ok: false; problems: Problem[] };

const parseOne = async (source: Source, input: InputFile, defaultProject: string): Promise<Parsed> => {
  const plain = plainOf(source);
  if (!plain.ok) return { ok: false, problems: [plain.problem] };
  const kind = kindOf(plain.value, source);
  if (typeof kind !== 'string') return { ok: false, problems: [kind] };
  const sources = await resolveSources(plain.value, source, input.folder);
  const parsed = schemas[kind].safeParse(plain.value);
  const issues = parsed.success ? [] : explain(parsed.error.issues, source, schemas[kind], plain.value, sources.origin);
  const problems = [...sources.problems, ...issues].toSorted((one, other) => one.line - other.line || one.column - other.column);
  if (!parsed.success || problems.length > 0) return { ok: false, problems };
  const { metadata } = parsed.data;
  const base = { name: metadata.name, project: metadata.project ?? defaultProject, from: `${input.name}:${problemAt(source, ['kind'], '').line}` };
  if (parsed.data.kind === 'Profile')
    return {
      ok: true,
      document: { kind: 'Profile', ...base, version: parsed.data.metadata.version, value: parsed.data, charts: sources.charts, imports: sources.imports },
    };
  return { ok: true, document: { kind: 'Cluster', ...base, value: parsed.data } };
};

const problemTrouble = (problems: readonly Problem[]): Trouble => {
  const files = [...new Set(problems.map((problem) => problem.file))];
  const hidden = problems.length - problemsShown;
  return {
    ...trouble(
      files.length === 1 ? (files[0] ?? 'input') : `${files.length} files`,
      `${problems.length === 1 ? 'a problem was' : `${problems.length} problems were`} found; nothing was sent`,
      'correct this and run the command again',
    ),
    details: [...problems.slice(0, problemsShown).map(problemText), ...(hidden > 0 ? [`… and ${hidden} more`] : [])],
  };
};

const findTwice = (documents: readonly AnyDocument[]): Trouble | undefined => {
  const seen = new Map<string, AnyDocument>();
  for (const document of documents) {
    const key = `${document.project}/${documentName(document)}`;
    const first = seen.get(key);
    if (first !== undefined)
      return trouble(documentName(document), `is given twice, at ${first.from} and at ${document.from}`, 'remove one of them, or give the second another name');
    seen.set(key, document);
  }
  return undefined;
};

const wrongProject = (documents: readonly AnyDocument[], project: string | undefined): Trouble | undefined => {
  const other = project === undefined ? undefined : documents.find((document) => document.project !== project);
  return other === undefined
    ? undefined
    : usage(`${other.from}: ${documentName(other)}`, `says project ${other.project}, and --project says ${project ?? ''}`, 'leave one of them out');
};

/**
 * Parses and checks every document of every file before anything is sent: all problems at once, each at its line. Profiles come first, clusters after them,
 * otherwise in the order given.
 */
export const parseDocuments = async (
  inputs: readonly InputFile[],
  defaultProject: string,
  forcedProject: string | undefined,
): Promise<Attempt<AnyDocument[]>> => {
  const documents: AnyDocument[] = [];
  const problems: Problem[] = [];
  for (const input of inputs) {
    const text = parseText(input);
    problems.push(...text.problems);
    if (text.problems.length > 0) continue;
    for (const source of text.sources.slice(0, documentsMax)) {
      const parsed = await parseOne(source, input, defaultProject);
      if (parsed.ok) documents.push(parsed.document);
      else problems.push(...parsed.problems);
    }
    if (text.sources.length > documentsMax)
      problems.push({ file: input.name, line: 1, column: 1, message: `holds more than ${documentsMax} documents; split it` });
  }
  if (problems.length > 0) return { ok: false, trouble: problemTrouble(problems) };
  if (documents.length === 0)
    return {
      ok: false,
      trouble: trouble(inputs.map((input) => input.name).join(', '), 'holds no document', `begin with apiVersion: ${apiVersion} and kind: Profile`),
    };
  const bad = findTwice(documents) ?? wrongProject(documents, forcedProject);
  if (bad !== undefined) return { ok: false, trouble: bad };
  return done([...documents.filter((document) => document.kind === 'Profile'), ...documents.filter((document) => document.kind === 'Cluster')]);
};
