import type { HostSummaryView } from '@groundplane/protocol/api/views';
import { phaseTone, type Tone } from './tone.ts';

export interface HeatCell {
  host: HostSummaryView;
  tone: Tone;
  x: number;
  y: number;
}
export interface HeatLabel {
  text: string;
  x: number;
  y: number;
  width: number;
}
export interface HeatLayout {
  cells: HeatCell[];
  labels: HeatLabel[];
  /** Side of a cell without its gap, in CSS pixels. */
  size: number;
  height: number;
}

/** An offline host is grey whatever it said last; before its first report a host is like an idle one. */
export const hostTone = (host: HostSummaryView): Tone => (!host.online ? 'off' : host.phase === undefined ? 'idle' : phaseTone[host.phase]);

/** Grouping by a field of the host or, with anything else, by the label of that name. */
export const groupOf = (host: HostSummaryView, by: string): string => {
  if (by === 'none') return '';
  if (by === 'cluster') return host.cluster ?? 'no cluster';
  if (by === 'phase') return host.online ? (host.phase ?? 'no report') : 'offline';
  return Object.hasOwn(host.labels, by) ? (host.labels[by] ?? '') : `without ${by}`;
};

/** Groups in the order of their names; when there are too many to read, the rest are one. */
const groupsMax = 150;
export const groupHosts = (hosts: readonly HostSummaryView[], by: string): (readonly [string, HostSummaryView[]])[] => {
  const groups = Map.groupBy(hosts, (host) => groupOf(host, by));
  const sorted = [...groups.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (sorted.length <= groupsMax) return sorted;
  return [...sorted.slice(0, groupsMax - 1), ['others', sorted.slice(groupsMax - 1).flatMap(([, members]) => members)]];
};

const gap = 2;
const groupGap = 14;
const labelHeight = 18;
const labelWidthMin = 84;

const sizeFor = (count: number, width: number): number => {
  const area = Math.max(width, 200) * 420;
  return [24, 18, 14, 11, 8, 6].find((size) => count * (size + gap) ** 2 * 1.6 < area) ?? 5;
};

/** Places a cell for each host, group beside group, rows as needed. Pure, so that the drawing and the pointer agree. */
export const layoutHeat = (groups: readonly (readonly [string, readonly HostSummaryView[]])[], width: number): HeatLayout => {
  const count = groups.reduce((sum, [, members]) => sum + members.length, 0);
  const size = sizeFor(count, width);
  const pitch = size + gap;
  const across = Math.max(1, Math.floor((width + gap) / pitch));
  const layout: HeatLayout = { cells: [], labels: [], size, height: 0 };
  const isSingle = groups.length === 1 && groups[0]?.[0] === '';
  let left = 0;
  let top = 0;
  let rowHeight = 0;
  for (const [text, members] of groups) {
    const columns = isSingle ? across : Math.min(across, Math.max(Math.ceil(labelWidthMin / pitch), Math.ceil(Math.sqrt(members.length * 2.5))));
    const blockWidth = columns * pitch;
    if (left > 0 && left + blockWidth > width + gap) {
      top += rowHeight + groupGap;
      left = 0;
      rowHeight = 0;
    }
    const cellsTop = top + (isSingle ? 0 : labelHeight);
    if (!isSingle) layout.labels.push({ text, x: left, y: top + 12, width: blockWidth - gap });
    members.forEach((host, index) =>
      layout.cells.push({ host, tone: hostTone(host), x: left + (index % columns) * pitch, y: cellsTop + Math.floor(index / columns) * pitch }),
    );
    rowHeight = Math.max(rowHeight, cellsTop - top + Math.ceil(members.length / columns) * pitch);
    left += blockWidth + groupGap;
  }
  layout.height = top + rowHeight;
  return layout;
};

export const cellAt = (layout: HeatLayout, x: number, y: number): HeatCell | undefined =>
  layout.cells.find((cell) => x >= cell.x && x < cell.x + layout.size + gap && y >= cell.y && y < cell.y + layout.size + gap);

/** The cell that an arrow key leads to: along the list sideways, to the nearest one in the next row up or down. */
export const neighbour = (layout: HeatLayout, index: number, key: string): number => {
  const last = layout.cells.length - 1;
  const cell = layout.cells[index];
  if (key === 'Home' || cell === undefined) return 0;
  if (key === 'End') return last;
  if (key === 'ArrowRight') return Math.min(index + 1, last);
  if (key === 'ArrowLeft') return Math.max(index - 1, 0);
  const direction = key === 'ArrowDown' ? 1 : key === 'ArrowUp' ? -1 : 0;
  if (direction === 0) return index;
  let best = index;
  let bestDistance = Infinity;
  layout.cells.forEach((other, at) => {
    const down = (other.y - cell.y) * direction;
    const distance = down * 4 + Math.abs(other.x - cell.x);
    if (down > 0 && distance < bestDistance) [best, bestDistance] = [at, distance];
  });
  return best;
};
