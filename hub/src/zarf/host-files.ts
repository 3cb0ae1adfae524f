import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ZarfComponent } from '@groundplane/protocol/zarf/package';
import type { ComponentFiles } from './component.ts';

/** A file or folder that a component wants on a host. Data only: putting it there is opt-in, as with actions. */
export interface ZarfHostFile {
  component: string;
  optIn: true;
  target: string;
  /** `temporary` is under ###ZARF_TEMP###, which actions of the package use; `relative` counts from where somebody runs zarf. */
  place: 'absolute' | 'temporary' | 'relative';
  executable: boolean;
  symlinks: string[];
  isTemplate: boolean;
  /** Paths below the target; empty for a single file. */
  content: { path: string; digest: Digest; size: number; mode: number }[];
}

const placeOf = (target: string): ZarfHostFile['place'] =>
  target.startsWith('/') ? 'absolute' : target.startsWith('###ZARF_TEMP###') ? 'temporary' : 'relative';

const isClimbing = (path: string): boolean => path.includes('\0') || path.split(/[/\\]/).includes('..');

export const hostFiles = (component: ZarfComponent, files: ComponentFiles, element: string): Result<ZarfHostFile[]> => {
  const placed: ZarfHostFile[] = [];
  for (const [index, file] of component.files.entries()) {
    const name = `${element}, component ${component.name}, file ${file.target.slice(0, 200)}`;
    const climbing = [file.target, ...file.symlinks].find((path) => path === '' || isClimbing(path));
    if (climbing !== undefined) return fail('fatal', 'zarf-file-target', name, `${JSON.stringify(climbing.slice(0, 200))} is no plain path`);
    const folder = `files/${index}/`;
    const base = `${folder}${file.target.replaceAll('\\', '/').replace(/\/+$/, '').split('/').at(-1) ?? ''}`;
    const content = [...files]
      .filter(([path]) => path.startsWith(folder))
      .map(([path, entry]) => ({ path: path === base ? '' : path.startsWith(`${base}/`) ? path.slice(base.length + 1) : path.slice(folder.length), ...entry }));
    if (content.length === 0) return fail('fatal', 'zarf-file-missing', name, `${folder} is not in the component's archive; build the package again`);
    const [first] = content;
    if (file.sha256 !== '' && (content.length !== 1 || first?.digest !== `sha256:${file.sha256}`))
      return fail('fatal', 'zarf-file-changed', name, 'it has another checksum than zarf.yaml says');
    placed.push({
      component: component.name,
      optIn: true,
      target: file.target,
      place: placeOf(file.target),
      executable: file.executable,
      symlinks: file.symlinks,
      isTemplate: file.isTemplate,
      content,
    });
  }
  return ok(placed);
};
