import type { PlanView } from '@groundplane/protocol/api/views';
import { printable } from '../output/printable.ts';
import type { Paint, Tone } from '../output/style.ts';

const signs: Readonly<Record<string, readonly [string, Tone | undefined]>> = {
  add: ['+', 'good'],
  change: ['~', 'warn'],
  remove: ['-', 'bad'],
  prune: ['-', 'bad'],
  keep: ['=', 'dim'],
  hook: ['>', undefined],
  same: [' ', 'dim'],
};

export const sign = (paint: Paint, change: string, text: string): string => {
  const [mark, tone] = signs[change] ?? ['?', undefined];
  return paint(tone, `${mark} ${text}`);
};

const objectsShown = 200;
const stepsShown = 100;

const packText = (layer: PlanView['layers'][number]): string => {
  const name = (pack: { name: string; version: string } | undefined): string => (pack === undefined ? '' : `${pack.name} ${pack.version}`);
  const [from, to] = [name(layer.from), name(layer.to)];
  return from === '' || to === '' || from === to ? from || to : `${from} → ${to}`;
};

/** A plan for people: layers with what happens to their objects, then the steps in order. */
export const planText = (title: string, plan: PlanView, paint: Paint, isWide: boolean): string => {
  const lines = [`${paint('bold', printable(title))}: ${plan.changes ? `changes on ${plan.hosts} host${plan.hosts === 1 ? '' : 's'}` : 'no changes'}`];
  for (const layer of plan.layers) {
    if (layer.change === 'same' && !isWide) continue;
    lines.push(`  ${sign(paint, layer.change, printable(`layer ${layer.name} (${layer.kind}) ${packText(layer)}`))}`);
    for (const object of layer.objects.slice(0, isWide ? undefined : objectsShown)) lines.push(`      ${sign(paint, object.change, printable(object.object))}`);
    if (!isWide && layer.objects.length > objectsShown) lines.push(`      … and ${layer.objects.length - objectsShown} more objects (-o wide shows all)`);
  }
  if (plan.steps.length > 0) lines.push('  steps:');
  plan.steps.slice(0, isWide ? undefined : stepsShown).forEach((step, index) => lines.push(`    ${String(index + 1).padStart(2)}. ${printable(step)}`));
  if (!isWide && plan.steps.length > stepsShown) lines.push(`    … and ${plan.steps.length - stepsShown} more steps (-o wide shows all)`);
  for (const warning of plan.warnings) lines.push(`  ${paint('warn', `warning: ${printable(warning)}`)}`);
  return `${lines.join('\n')}\n`;
};
