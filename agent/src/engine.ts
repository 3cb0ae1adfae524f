import { acceptDesired, type Acceptance } from '@groundplane/protocol/accept';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import { bundleBlobs, largeBlobs, type Version } from '@groundplane/protocol/bundle';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import type { HostEvent, HostStatus } from '@groundplane/protocol/observed';
import type { HostFacts, Plan } from '@groundplane/protocol/plan/facts';
import { waitingCodes } from '@groundplane/protocol/plan/distribution';
import { planHost } from '@groundplane/protocol/plan/host';
import { stepLayer, stepText, type Step } from '@groundplane/protocol/plan/steps';
import type { Verify } from '@groundplane/protocol/trust';
import { createFactFinder, type OpenCluster } from './engine-facts.ts';
import { hostStatus } from './engine-status.ts';
import { executeStep } from './execute/table.ts';
import { verifySignature } from './identity/key.ts';
import type { Outbox } from './link/outbox.ts';
import { sealKeyOf, type KubernetesDeps } from './observe/distribution.ts';
import type { Blobs } from './port/blobs.ts';
import { sleep, type Clock } from './port/clock.ts';
import type { ContentSource } from './port/content.ts';
import { forgetReboot, type OsParts } from './observe/machine.ts';
import type { Host } from './port/host.ts';
import type { Random } from './port/random.ts';
import type { AgentSlots } from './port/slots.ts';
import type { AgentStore } from './port/store.ts';
import { carriedKey, type Carried } from './media/carried.ts';
import { createStager } from './stage.ts';
import { createJournal, createState, neededBundles, neededLayers, writes, type DesiredRecord } from './store/state.ts';

export interface EngineDeps {
  store: AgentStore;
  host: Host;
  openCluster: OpenCluster;
  content: ContentSource;
  blobs: Blobs;
  /** Undefined on a machine that agents are not built for. */
  architecture: AgentArch | undefined;
  /** Absent: the agent cannot update itself. */
  slots?: AgentSlots | undefined;
  clock: Clock;
  random: Random;
  outbox: Outbox;
  /** The means to bring Kubernetes up; absent where hosts only use one. */
  kubernetes?: KubernetesDeps | undefined;
  /** What looks after the machine as a whole: boots, images, extensions. */
  os?: OsParts | undefined;
  verify?: Verify | undefined;
  /** Namespace for what this agent knows, where its own memory may go at any moment. */
  inventory?: string | undefined;
  /** Whether the hub answers right now. */
  hasContact?: (() => boolean) | undefined;
  /** Something is new in the outbox. `isUrgent`: a phase ended; otherwise it may wait for more. */
  onNews: (isUrgent: boolean) => void;
}

/** How often the OS layer is looked at when nothing else happens, and how many such looks until Kubernetes is read anew. */
const lookMs = 60_000;
const looksPerResync = 5;
const waitLookMs = 5_000;
/** Rounds in a row without rest before the pace slows down. */
const calmRounds = 5;

/** Failures of the surroundings: they say nothing about the generation, so they are waited out and never counted. */
const surroundings: readonly string[] = [
  'api-unreachable',
  'api-throttled',
  'kubernetes-unknown',
  'inventory-unsaved',
  'content-unreachable',
  'content-missing',
  'content-denied',
  'content-wrong',
  'content-coming',
  'transfer-window',
  'agent-restarting',
  'agent-not-healthy',
  'disk-full',
  'disk-read-only',
  'disk-error',
  'host-error',
  ...waitingCodes,
];
/** Not failures at all: look again at once. */
const goOn: readonly string[] = ['superseded', 'replacing', 'lease-lost'];
/** What another host has to know if this one dies right after. */
const passedOn: readonly Step['step'][] = ['beginLayer', 'runHook'];

type Outcome = 'again' | 'settled' | { failure: Failure; layer: string | undefined };

/**
 * The agent's heart: stage what is offered, observe, plan, execute, remember, report, and do it all again when something changes. It never needs the hub.
 */
export const createEngine = (deps: EngineDeps) => {
  const { store, clock, outbox } = deps;
  const state = createState(store);
  const journal = createJournal(store);
  let wakeUp = Promise.withResolvers<void>();
  let supersede = new AbortController();
  let looks = 0;
  let facts: HostFacts | undefined;
  let plan: Plan | undefined;
  let step: Step | undefined;
  let trouble: { failure: Failure; layer: string | undefined } | undefined;
  let attempts = { key: '', count: 0, sinceMs: 0 };
  let phase: HostStatus['phase'] | undefined;

  const wake = (): void => wakeUp.resolve();
  const parts = deps.os ?? {};
  const stop = new AbortController();
  const finder = createFactFinder({
    state,
    host: deps.host,
    clock,
    parts,
    architecture: deps.architecture,
    blobs: deps.blobs,
    openCluster: deps.openCluster,
    kubernetes: deps.kubernetes,
    onChange: wake,
    onLost: () => supersede.abort(),
    slots: deps.slots,
    inventory: deps.inventory,
  });

  const event = (item: Omit<HostEvent, 'atMs'>): void => {
    store.commit(outbox.event({ ...item, atMs: clock.wallMs() }));
  };

  const poisonOf = () => {
    const back = state.kv<Version>('failed');
    return back === undefined ? undefined : state.poison().find((item) => item.version.digest === back.digest && item.version.generation === back.generation);
  };

  const status = (): HostStatus =>
    hostStatus({
      facts,
      plan,
      step,
      rows: state.layers(),
      failure: trouble?.failure,
      failedLayer: trouble?.layer,
      poison: poisonOf(),
      staging: state.slot('candidate')?.version,
      progress: stager.progress(),
      committed: state.slot('good')?.version,
      readiness: finder.connection()?.view.readiness,
      rolledBack: state.slot('good') !== undefined,
    });

  const report = (): void => {
    const next = status();
    const list = outbox.status(next);
    if (list.length === 0) return;
    store.commit(list);
    const ended = next.phase !== phase && next.phase !== 'applying' && next.phase !== 'staging';
    phase = next.phase;
    deps.onNews(ended);
  };

  const stager = createStager({
    runningImage: deps.os?.runningImage,
    state,
    content: deps.content,
    blobs: deps.blobs,
    architecture: deps.architecture,
    clock,
    onChange: wake,
    onProgress: () => report(),
  });

  const runStep = async (item: Step, target: DesiredRecord, signal: AbortSignal): Promise<Result<void>> => {
    step = item;
    const row = { generation: target.version.generation, layer: stepLayer(item), step: item.step, text: stepText(item), atMs: clock.wallMs() };
    const begun = journal.begin(row);
    const noted = state.commit(begun.writes);
    if (!noted.ok) return noted;
    const connection = finder.connection();
    const done = await executeStep(item, {
      state,
      host: deps.host,
      blobs: deps.blobs,
      slots: deps.slots,
      cluster: connection?.cluster,
      view: connection?.view,
      openCluster: finder.openNow,
      kubernetes: deps.kubernetes,
      clock,
      target,
      signal,
      stop: stop.signal,
      machine: parts.machine,
      extensions: parts.extensions,
      images: parts.images,
      verify: deps.verify ?? verifySignature,
      hasContact: deps.hasContact ?? (() => false),
      event: (raised) => event({ ...raised, generation: target.version.generation }),
    });
    const ended = { ...row, seq: begun.seq };
    if (!done.ok) {
      state.commit([journal.end({ ...ended, state: 'failed', failure: done.failure })]);
      return done;
    }
    return state.commit([...done.value, journal.end({ ...ended, state: 'done' })]);
  };

  const execute = async (target: DesiredRecord, next: Plan, signal: AbortSignal): Promise<Outcome> => {
    for (const item of next.steps) {
      if (signal.aborted) return 'again';
      const done = await runStep(item, target, signal);
      if (item.step === 'beginLayer' || item.step === 'finishLayer' || !done.ok) report();
      if (!done.ok)
        return goOn.includes(done.failure.code)
          ? 'again'
          : { failure: done.failure, layer: stepLayer(item) ?? (item.step === 'awaitReady' ? layerNamed(item.layers, done.failure) : undefined) };
      if (item.step === 'awaitReady' && signal.aborted) return 'again';
      const saved = passedOn.includes(item.step) ? await finder.passOn(target, stepLayer(item)) : ok(undefined);
      if (!saved.ok && goOn.includes(saved.failure.code)) return 'again';
      if (!saved.ok) return { failure: { ...saved.failure, kind: 'retry', code: 'inventory-unsaved' }, layer: undefined };
    }
    return next.steps.length === 0 ? 'settled' : 'again';
  };

  /** A generation that cannot hold is remembered and left; the last good one is taken up again. */
  const giveUp = (target: DesiredRecord, failure: Failure, layer: string | undefined): void => {
    const good = state.slot('good');
    const old = state.poison().slice(0, Math.max(0, state.poison().length - limits.poisonRows + 1));
    state.commit([
      ...old.map((item) => writes.noPoison(item.version.generation)),
      writes.poison({ version: target.version, failure }),
      writes.kv('failed', target.version),
      ...(good === undefined ? [] : writes.slot('current', good)),
    ]);
    event({
      type: 'warning',
      reason: good === undefined ? 'GenerationFailed' : 'RolledBack',
      generation: target.version.generation,
      ...(layer === undefined ? {} : { layer }),
      message: `generation ${target.version.generation} failed: ${failure.element}: ${failure.message}${good === undefined ? '' : `. Going back to generation ${good.version.generation}`}`,
    });
    trouble = good === undefined ? { failure, layer } : undefined;
    attempts = { key: '', count: 0, sinceMs: 0 };
  };

  const isFinal = (target: DesiredRecord, failure: Failure, layer: string | undefined): boolean => {
    if (surroundings.includes(failure.code) || state.slot('good')?.version.digest === target.version.digest) return false;
    const key = `${target.version.generation} ${layer ?? ''}`;
    if (attempts.key !== key) attempts = { key, count: 0, sinceMs: clock.monotonicMs() };
    attempts.count += 1;
    if (failure.kind === 'fatal') return true;
    const patienceMs = target.bundle?.layers.find((item) => item.name === layer)?.readinessTimeoutMs ?? limits.backoffMaxMs;
    return attempts.count >= limits.attemptsMax && clock.monotonicMs() - attempts.sinceMs >= patienceMs;
  };

  const round = async (): Promise<Outcome> => {
    const staged = await stager.step();
    const target = state.slot('current');
    if (target === undefined) return staged.ok ? 'settled' : { failure: staged.failure, layer: undefined };
    const failed = poisonOf();
    if (failed !== undefined && failed.version.digest === target.version.digest) return 'settled';
    supersede = new AbortController();
    const gathered = await finder.gather(target, state.slot('good')?.version, failed !== undefined);
    let outcome: Outcome;
    if (gathered.ok) {
      facts = gathered.value;
      plan = planHost(facts);
      outcome = await execute(target, plan, supersede.signal);
      await finder.save(target);
      step = undefined;
      // What can never be is no waiting: the host returned from an image, say.
      const hopeless = outcome === 'settled' ? plan.blocked.find((item) => item.failure.kind === 'fatal') : undefined;
      if (hopeless !== undefined) outcome = hopeless;
    } else {
      // What cannot even be looked at (a link where a file should be) fails a new generation as surely as a step does.
      outcome = { failure: gathered.failure, layer: undefined };
    }
    if (typeof outcome === 'object' && isFinal(target, outcome.failure, outcome.layer)) {
      giveUp(target, outcome.failure, outcome.layer);
      return 'again';
    }
    if (outcome === 'settled' && !staged.ok) return { failure: staged.failure, layer: undefined };
    const blocked = plan?.blocked[0];
    return outcome === 'settled' && blocked !== undefined ? { failure: blocked.failure, layer: undefined } : outcome;
  };

  /** Blobs that no slot and no installed layer names any more. */
  const collect = (): void => {
    const needed = new Set(neededLayers(state).flatMap((layer) => [...bundleBlobs({ layers: [layer] }).keys()]));
    for (const digest of neededBundles(state)) needed.add(digest);
    const unused = state.contentKeys().filter((digest) => !needed.has(digest));
    if (unused.length > 0) state.commit(unused.map((digest) => writes.noContent(digest)));
    const carried = (state.kv<Carried>(carriedKey)?.blobs ?? []).map((item) => item.digest);
    void deps.blobs.keep(new Set([...largeBlobs({ layers: neededLayers(state) }, deps.architecture).keys(), ...carried]));
  };

  const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
    const cancel = clock.after(ms, wake);
    const stop = (): void => wake();
    signal.addEventListener('abort', stop, { once: true });
    await wakeUp.promise;
    signal.removeEventListener('abort', stop);
    cancel();
    wakeUp = Promise.withResolvers<void>();
  };

  const tellInfo = async (): Promise<void> => {
    const info = await deps.host.info();
    const address = await deps.kubernetes?.address();
    const more = deps.kubernetes === undefined ? {} : { sealKey: sealKeyOf(state).publicKey, ...(address === undefined ? {} : { address }) };
    const list = outbox.info({ ...info, ...more, ...(deps.inventory === undefined ? { canTakeOver: true } : {}) });
    if (list.length === 0) return;
    store.commit(list);
    // Else it lies there until something else is told, and whoever waits for everything to be told waits as long.
    deps.onNews(false);
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    signal.addEventListener(
      'abort',
      () => {
        supersede.abort();
        stop.abort();
      },
      { once: true },
    );
    await tellInfo();
    void finder.runLease(signal);
    let failures = 0;
    let busy = 0;
    while (!signal.aborted) {
      const outcome = await round();
      if (signal.aborted) break;
      if (outcome === 'again') {
        if (poisonOf() === undefined) trouble = undefined;
        busy += 1;
        // Somebody undoes what we do as fast as we do it: heal at a calm pace instead of joining the fight.
        if (busy > calmRounds) await sleep(clock, Math.min(30_000, 100 * 2 ** Math.min(busy - calmRounds, 9)), signal);
        continue;
      }
      busy = 0;
      const isFailing = typeof outcome === 'object';
      if (isFailing) trouble = outcome;
      else if (poisonOf() === undefined || state.slot('good') !== undefined) trouble = undefined;
      failures = isFailing ? failures + 1 : 0;
      report();
      if (!isFailing && state.slot('candidate') === undefined) collect();
      // Others act first: their move shows within seconds, and looking costs little.
      const isWaiting = isFailing && waitingCodes.includes(outcome.failure.code);
      const backoffMs = Math.min(isWaiting ? waitLookMs : lookMs, limits.backoffMinMs * 2 ** Math.min(failures, 10)) * (0.5 + deps.random.fraction() / 2);
      await pause(isFailing ? backoffMs : lookMs * (0.75 + deps.random.fraction() / 2), signal);
      looks += 1;
      if (looks % looksPerResync === 0) {
        finder.forget();
        // Addresses change; what is as it was costs nothing.
        await tellInfo();
      }
    }
    stager.stop();
    finder.close();
  };

  /** Takes a desired state whose signatures were checked. Durable when it returns `new`. */
  const offer = (record: DesiredRecord, attached: Readonly<Record<string, string>>, adopted: Version | undefined): Result<Acceptance> => {
    const newest = [state.slot('candidate'), state.slot('current'), state.slot('good')].map((item) => item?.version).concat(state.kv<Version>('failed'));
    const have = newest.filter((item) => item !== undefined).toSorted((a, b) => b.generation - a.generation)[0];
    const acceptance = acceptDesired(
      have,
      record.version,
      state.poison().map((item) => item.version),
      adopted,
    );
    if (acceptance.accept !== 'new') return ok(acceptance);
    const blobs = record.bundle === undefined ? new Map<string, number>() : bundleBlobs(record.bundle);
    const content = Object.entries(attached).filter(([digest, text]) => blobs.has(digest) && digestBytes(text) === digest);
    const kept = state.commit([...writes.slot('candidate', record), ...content.map(([digest, text]) => writes.content(digest as Digest, text))]);
    if (!kept.ok) return kept;
    supersede.abort();
    stager.stop();
    wake();
    return ok(acceptance);
  };

  /** A person lifted the poison: the failed version may be offered and tried again. */
  const retry = (version: Version): void => {
    const failed = poisonOf();
    if (failed === undefined || failed.version.digest !== version.digest) return;
    deps.slots?.forgive();
    state.commit([writes.noPoison(version.generation), { table: 'kv', key: 'failed', value: null }, forgetReboot]);
    trouble = undefined;
    wake();
  };

  return { run, offer, retry, wake, tellInfo, status, state, lastPlan: (): Plan | undefined => plan };
};
export type Engine = ReturnType<typeof createEngine>;

/** The layer that a failed wait names, so that the report points at it. */
const layerNamed = (layers: readonly string[], failure: Failure): string | undefined =>
  layers.find((name) => failure.element.startsWith(`layer ${name},`)) ?? layers[0];
