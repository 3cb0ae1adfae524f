import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { parseZarf, type ParsedZarf } from '@groundplane/protocol/zarf/parse';
import { entryName } from '../archive/read.ts';
import { bundleFile, checkSignature, signatureFile, type ZarfSignature } from './signature.ts';

/** Files of a package by their path in it. */
export type ZarfFiles = ReadonlyMap<string, { digest: Digest; size: number }>;

export const definitionFile = 'zarf.yaml';
export const checksumsFile = 'checksums.txt';
/** What checksums.txt does not list: itself, and what covers or signs it. */
const unlisted: ReadonlySet<string> = new Set([definitionFile, checksumsFile, signatureFile, bundleFile]);

export const textFiles: readonly string[] = [...unlisted];

export interface Verified {
  parsed: ParsedZarf;
  signature: ZarfSignature;
}

const readChecksums = (text: string, element: string): Result<Map<string, string>> => {
  const listed = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const [, hash, name] = /^([0-9a-f]{64}) (.+)$/.exec(line) ?? [];
    const wrong = (why: string): Result<never> => fail('fatal', 'zarf-checksums-malformed', element, `checksums.txt, line ${index + 1}: ${why}`);
    if (hash === undefined || name === undefined) return wrong('is no SHA-256 with a path');
    const plain = entryName(name);
    if (!plain.ok || plain.name !== name) return wrong(`${JSON.stringify(name.slice(0, 200))} is no path inside a package`);
    if (unlisted.has(name)) return wrong(`lists ${name}, which cannot be in it`);
    if (listed.has(name)) return wrong(`lists ${name} twice`);
    listed.set(name, hash);
  }
  return ok(listed);
};

const checkFiles = (files: ZarfFiles, listed: ReadonlyMap<string, string>, element: string): Result<void> => {
  const some = (names: readonly string[]): string => `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
  const missing = [...listed.keys()].filter((name) => !files.has(name));
  if (missing.length > 0)
    return fail(
      'fatal',
      'zarf-file-missing',
      element,
      `checksums.txt lists ${some(missing)}, and the package does not have it. It was cut or changed; get it again`,
    );
  const extra = [...files.keys()].filter((name) => !unlisted.has(name) && !listed.has(name));
  if (extra.length > 0)
    return fail(
      'fatal',
      'zarf-file-unlisted',
      element,
      `the package holds ${some(extra)}, which checksums.txt does not list. Somebody added it; get the package again`,
    );
  const changed = [...listed].filter(([name, hash]) => files.get(name)?.digest !== `sha256:${hash}`).map(([name]) => name);
  if (changed.length > 0)
    return fail('fatal', 'zarf-file-changed', element, `${some(changed)} has another checksum than checksums.txt says. It was changed; get the package again`);
  const wrongBlob = [...files]
    .filter(([name, { digest }]) => name.startsWith('images/blobs/sha256/') && name !== `images/blobs/sha256/${digest.slice(7)}`)
    .map(([name]) => name);
  if (wrongBlob.length > 0)
    return fail('fatal', 'zarf-image-blob', element, `${some(wrongBlob)} is not what its name says; the images of the package are damaged`);
  return ok(undefined);
};

/**
 * Everything that makes a package the one its author built: signature over zarf.yaml, its checksum over checksums.txt, that one's checksums over every file,
 * and no file besides. `texts` are the small files by name.
 */
export const verifyZarf = (files: ZarfFiles, texts: ReadonlyMap<string, Buffer>, publicKey: string | undefined, element: string): Result<Verified> => {
  const definition = texts.get(definitionFile);
  if (definition === undefined) return fail('fatal', 'zarf-not-a-package', element, 'it holds no zarf.yaml, so it is no Zarf package');
  const bundle = texts.get(bundleFile);
  const legacy = texts.get(signatureFile);
  const signature = checkSignature(
    { definition, ...(legacy === undefined ? {} : { signature: legacy }), ...(bundle === undefined ? {} : { bundle }) },
    publicKey,
    element,
  );
  if (!signature.ok) return signature;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(definition);
  } catch {
    return fail('fatal', 'zarf-invalid', element, 'zarf.yaml is not UTF-8 text');
  }
  const parsed = parseZarf(text, element);
  if (!parsed.ok) return parsed;
  const { aggregateChecksum, signed } = parsed.value.package;
  const checksums = texts.get(checksumsFile);
  if (checksums === undefined || aggregateChecksum === '')
    return fail('fatal', 'zarf-not-built', element, 'it has no checksums, so it is a definition and not a built package. Build it: zarf package create');
  if (digestBytes(checksums) !== `sha256:${aggregateChecksum}`)
    return fail('fatal', 'zarf-checksums-changed', element, 'checksums.txt is not the one that zarf.yaml names. The package was changed; get it again');
  if (signed === true && signature.value === 'unsigned')
    return fail(
      'fatal',
      'zarf-unsigned',
      element,
      'zarf.yaml says that the package is signed, and the signature is not there. Somebody took it out; get the package again',
    );
  const listed = readChecksums(checksums.toString('utf8'), element);
  if (!listed.ok) return listed;
  const checked = checkFiles(files, listed.value, element);
  return checked.ok ? ok({ parsed: parsed.value, signature: signature.value }) : checked;
};
