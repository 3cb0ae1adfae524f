import { hostPhases, layerStates } from '@groundplane/protocol/observed';
import { stepText } from '@groundplane/protocol/plan/steps';
import type { Engine } from '../engine.ts';
import type { SessionState } from '../link/session.ts';
import { approvalCode } from './approval.ts';
import type { Control } from './control.ts';
import { escapeHtml, row } from './html.ts';

const linkText = (session: SessionState): string => {
  switch (session.state) {
    case 'online':
      return 'connected to the hub';
    case 'lobby':
      return `waiting for approval; the words of this device are: ${session.words}`;
    case 'offline':
      return `not connected${session.failure === undefined ? '' : `: ${session.failure.element} ${session.failure.message}`}. The device goes on by itself`;
    case 'connecting':
    case 'greeting':
      return 'connecting';
    default:
      return session satisfies never;
  }
};

/** What somebody who stands before the device wants to know: what should run, what does, what happens next. */
export interface LocalStatus {
  name: string;
  simulated: boolean;
  engine: Engine;
  session: () => SessionState;
  /** Where a person with a phone lets this device in; absent: there is no such address. */
  approval?: string | undefined;
  /** Absent: the page is for reading only. */
  control?: Control | undefined;
}

const overview = (local: LocalStatus, code: string): string => {
  const status = local.engine.status();
  const plan = local.engine.lastPlan();
  const journal = local.engine.state.journal().slice(-50).toReversed();
  const target = (local.engine.state.slot('candidate') ?? local.engine.state.slot('current'))?.bundle?.layers ?? [];
  const desired = new Map(target.map((layer) => [layer.name, `${layer.pack.name} ${layer.pack.version}`]));
  const layers = status.layers.map((layer) =>
    row(
      layer.name,
      layer.kind,
      `${layer.pack.name} ${layer.pack.version}`,
      desired.get(layer.name) ?? 'nothing: it is taken away',
      layer.state,
      layer.message ?? layerStates[layer.state],
      `${layer.objects.ready}/${layer.objects.total}`,
      String(layer.drift.healed),
    ),
  );
  const steps = (plan?.steps ?? []).map((step) => `<li>${escapeHtml(stepText(step))}</li>`);
  return `<h1>${escapeHtml(local.name)}</h1>${local.simulated ? '<p class="note"><strong>simulated</strong>: this host and its Kubernetes are a simulation</p>' : ''}
<p>${escapeHtml(linkText(local.session()))}</p>${code}
<p><strong>${escapeHtml(status.phase)}</strong>: ${escapeHtml(hostPhases[status.phase])}${status.failure === undefined ? '' : ` ${escapeHtml(`${status.failure.element}: ${status.failure.message}`)}`}</p>
<p>Generation ${status.version?.generation ?? 0}, last good ${status.committed?.generation ?? 0}; Kubernetes ${escapeHtml(status.kubernetes.version ?? status.kubernetes.state)}</p>
${status.poisoned === undefined ? '' : `<p class="note">Generation ${status.poisoned.version.generation} failed and is not tried again: ${escapeHtml(status.poisoned.failure.message)}</p>`}
${status.staging === undefined ? '' : `<p role="status">Fetching what the new generation needs: ${status.staging.doneBytes} of ${status.staging.totalBytes} bytes${status.staging.blob === undefined ? '' : `, now ${escapeHtml(status.staging.blob)}`}</p>`}
<h2>Layers</h2><table><thead><tr><th>Layer<th>Kind<th>Runs<th>Should run<th>State<th>What it means<th>Ready<th>Drift healed</thead><tbody>${layers.join('')}</tbody></table>
<h2>What happens next</h2>${steps.length === 0 ? '<p>Nothing: everything is as desired.</p>' : `<ol>${steps.join('')}</ol>`}
<h2>Journal</h2><table><tbody>${journal.map((item) => row(new Date(item.atMs).toISOString(), item.text, item.state, item.failure?.message ?? '')).join('')}</tbody></table>`;
};

/** While it waits: the hub's page for this device, for a phone. */
export const overviewBody = async (local: LocalStatus): Promise<string> => overview(local, await codeOf(local));

const codeOf = async (local: LocalStatus): Promise<string> => {
  if (local.session().state !== 'lobby' || local.approval === undefined) return '';
  const svg = await approvalCode(local.approval);
  return `<figure>${svg}<figcaption>Read this with a phone to approve the device: <code>${escapeHtml(local.approval)}</code></figcaption></figure>`;
};
