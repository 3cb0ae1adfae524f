import { readFile } from 'node:fs/promises';
import { memoryContent } from '../../../src/content/memory.ts';
import type { ContentStore } from '../../../src/port/content.ts';
import { defaultArtefactUrl } from '../../../src/render/helm/engine.ts';
import { createHelmPool, type HelmPool } from '../../../src/render/helm/index.ts';
import { systemClock } from '../../../src/system/clock.ts';

export interface Workbench {
  content: ContentStore;
  helm: HelmPool;
  close(): Promise<void>;
}

/** A content store in memory and one worker: what rendering needs without a hub. */
export const createWorkbench = (): Workbench => {
  const helm = createHelmPool({ workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 1024 * 1024 * 1024, clock: systemClock });
  return { content: memoryContent(), helm, close: () => helm.close() };
};

/** The Kubernetes version that Helm itself assumes: that of the client library it was built with. */
export const defaultKubeVersion = async (): Promise<string> => {
  const provenance = JSON.parse(await readFile(new URL(defaultArtefactUrl.href.replace(/\.wasm\.zst$/, '.json')), 'utf8')) as { clientGoLeftOut?: string };
  const minor = /^v0\.(\d+)\./.exec(provenance.clientGoLeftOut ?? '')?.[1] ?? '34';
  return `v1.${minor}.0`;
};
