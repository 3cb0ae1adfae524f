import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/** A bug that somebody could write: one change to the product's own source, made while it is loaded. The simulator has to find each of them. */
export interface Mutant {
  name: string;
  /** End of the path of the file. */
  file: string;
  find: string;
  replace: string;
  /** It shows where several hosts are in one cluster. */
  isShared?: true;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'an older generation is accepted',
    file: 'protocol/src/accept.ts',
    find: 'if (offered.generation > have.generation) return',
    replace: 'if (offered.generation !== have.generation) return',
  },
  {
    name: 'after a failure the host keeps steering to the failed version',
    file: 'agent/src/engine.ts',
    find: "...(good === undefined ? [] : writes.slot('current', good)),",
    replace: '',
  },
  {
    name: 'a fatal failure is never final',
    file: 'agent/src/engine.ts',
    find: "if (failure.kind === 'fatal') return true;",
    replace: "if (failure.kind === 'fatal') return false;",
  },
  { name: 'content is not fetched', file: 'agent/src/stage.ts', find: 'if (state.hasContent(digest as Digest)) continue;', replace: 'continue;' },
  {
    name: 'what left a layer is not pruned',
    file: 'protocol/src/plan/host.ts',
    find: 'steps.push(...planPrune(facts, plan.target.layer.name, wanted));',
    replace: '',
  },
  {
    name: 'a layer that left the profile stays',
    file: 'protocol/src/plan/host.ts',
    find: 'for (const record of leaving.values()) if (isFree(record)) steps.push(...removeLayer(facts, record, wanted));',
    replace: '',
  },
  {
    name: 'a generation begins before its large content is here',
    file: 'agent/src/stage.ts',
    find: 'if (whole?.ok !== true) return whole ?? ok(undefined);',
    replace: '',
  },
  {
    name: 'large content is kept for ever',
    file: 'agent/src/engine.ts',
    find: 'void deps.blobs.keep(',
    replace: 'void (',
  },
  { name: 'drift is not seen', file: 'agent/src/observe/packs.ts', find: "state: same ? 'same' : 'drifted'", replace: "state: same ? 'same' : 'same'" },
  {
    name: 'a workload is taken as ready without looking',
    file: 'agent/src/execute/readiness.ts',
    find: 'if (observed.ok && open.length === 0) return ok([]);',
    replace: 'if (observed.ok) return ok([]);',
  },
  {
    name: 'the end of a change is not reported',
    file: 'agent/src/engine.ts',
    find: 'const list = outbox.status(next);',
    replace: "const list = next.phase === 'converged' ? [] : outbox.status(next);",
  },
  {
    name: 'a report that was on its way when the connection broke is forgotten',
    file: 'agent/src/link/outbox.ts',
    find: 'for (const { key } of flight?.keys ?? []) if (rows.has(key)) fresh.add(key);',
    replace: '',
  },
  {
    name: 'a host that comes back is not told what is new',
    file: 'hub/src/gateway/gateway.ts',
    find: 'if (!isUnchanged) await deliver(session);',
    replace: '',
  },
  {
    name: 'a restored hub pushes hosts back instead of adopting them',
    file: 'hub/src/gateway/gateway.ts',
    find: 'await adopt(host, hello.resume.version);',
    replace: '',
  },
  {
    name: 'a removed OS layer leaves its files',
    file: 'agent/src/execute/os.ts',
    find: "const done = before === 'absent' ? await context.host.removeFile(args.path)",
    replace: "const done = before === 'absent' ? ok(undefined)",
  },
  {
    name: 'the hub acknowledges what it did not keep',
    file: 'hub/src/gateway/report.ts',
    find: 'const done = writes.length === 0 ? ok(undefined) : await store.commit(writes, { patient: true });',
    replace: 'const done = writes.length === 0 || nowMs % 3 === 0 ? ok(undefined) : await store.commit(writes, { patient: true });',
  },
  {
    name: 'the next holder knows nothing of the one before',
    file: 'agent/src/cluster/duty.ts',
    find: 'await loadInventory(cluster, state, place);',
    replace: 'ok(undefined);',
    isShared: true,
  },
  {
    name: 'others begin before the host that applied alone has handed over',
    file: 'protocol/src/plan/duty.ts',
    find: 'lease.from === undefined || (lease.from === self && hasHandedOver);',
    replace: 'lease.hosts.includes(self) || hasHandedOver;',
    isShared: true,
  },
  {
    name: 'what a holder began is laid down only when it is finished',
    file: 'agent/src/engine.ts',
    find: "['beginLayer', 'runHook']",
    replace: '[]',
    isShared: true,
  },
  {
    name: 'a host that was the holder once remembers what it owned then',
    file: 'agent/src/cluster/duty.ts',
    find: 'if (isOther) forget();',
    replace: '',
    isShared: true,
  },
];

/** Loaded by `node --import`: plants the bug that the environment names, and fails loudly when the place to plant it is gone. */
const wanted = process.env['GROUNDPLANE_MUTANT'];
const mutant = mutants.find((item) => item.name === wanted);
if (wanted !== undefined && mutant === undefined) throw new Error(`no mutant is called ${wanted}`);
if (mutant !== undefined) {
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (!url.startsWith('file:') || !fileURLToPath(url).endsWith(mutant.file)) return loaded;
      const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source ?? undefined);
      if (!source.includes(mutant.find)) throw new Error(`mutant "${mutant.name}": its place in ${mutant.file} is gone; write it anew`);
      return { ...loaded, source: source.replace(mutant.find, mutant.replace) };
    },
  });
}
