import type { Result } from '@groundplane/protocol/failure';
import { ok } from '@groundplane/protocol/failure';
import type { Tools } from '../port/tools.ts';

const path = '/etc/hosts';
const begin = '# groundplane begin: hosts of this cluster';
const end = '# groundplane end';

const block = new RegExp(`\\n?${begin}\\n[\\s\\S]*?${end}\\n?`, 'g');

/** The names in our block of /etc/hosts. A node name that nobody resolves costs Kubernetes 20 s at each step, and sites have no DNS. */
export const readHostNames = async (tools: Tools): Promise<Record<string, string>> => {
  const text = (await tools.read(path)) ?? '';
  const lines = (text.match(block)?.at(-1) ?? '').split('\n').filter((line) => !line.startsWith('#') && line.trim() !== '');
  return Object.fromEntries(
    lines.flatMap((line) =>
      line
        .trim()
        .split(/\s+/)
        .slice(1)
        .map((name) => [name, line.trim().split(/\s+/)[0] ?? '']),
    ),
  );
};

/** Writes the block anew and leaves everything else in the file; no names take it away. */
export const writeHostNames = async (tools: Tools, names: Readonly<Record<string, string>>): Promise<Result<void>> => {
  const text = (await tools.read(path)) ?? '127.0.0.1 localhost\n';
  const rest = text.replace(block, '\n').replace(/\n+$/, '\n');
  const lines = Object.entries(names).map(([name, address]) => `${address} ${name}`);
  await tools.write(path, lines.length === 0 ? rest : `${rest}${begin}\n${lines.join('\n')}\n${end}\n`, '0644');
  return ok(undefined);
};
