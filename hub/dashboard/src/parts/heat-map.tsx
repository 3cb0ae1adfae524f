import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactElement } from 'react';
import type { HostSummaryView } from '@groundplane/protocol/api/views';
import { cellAt, groupHosts, layoutHeat, neighbour, type HeatCell, type HeatLayout } from '../model/heat.ts';
import { tones, type Tone } from '../model/tone.ts';
import { paths } from '../paths.ts';
import { useIsDark } from '../theme.ts';
import { ago, useNow } from '../time.ts';
import { navigate } from '../url-state.ts';

type Colours = Record<Tone | 'text' | 'focus', string>;

/** A canvas knows no custom properties, so the colours of the moment are asked from its own style. */
const readColours = (canvas: HTMLCanvasElement, isDark: boolean): Colours => {
  canvas.style.colorScheme = isDark ? 'dark' : 'light';
  const read = (name: string): string => {
    canvas.style.color = `var(--${name})`;
    return getComputedStyle(canvas).color;
  };
  const colours = { text: read('text-quiet'), focus: read('focus') } as Colours;
  for (const tone of tones) colours[tone] = read(`fill-${tone}`);
  canvas.style.color = '';
  return colours;
};

const cut = (pen: CanvasRenderingContext2D, text: string, width: number): string => {
  if (pen.measureText(text).width <= width) return text;
  let length = Math.min(text.length, 40);
  while (length > 1 && pen.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
  return `${text.slice(0, length)}…`;
};

const draw = (canvas: HTMLCanvasElement, layout: HeatLayout, width: number, chosen: number, colours: Colours): void => {
  const pen = canvas.getContext('2d');
  if (pen === null) return;
  const ratio = Math.min(devicePixelRatio, 3);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.max(1, Math.round(layout.height * ratio));
  canvas.style.height = `${layout.height}px`;
  pen.scale(ratio, ratio);
  pen.font = `12px ${getComputedStyle(canvas).fontFamily}`;
  pen.fillStyle = colours.text;
  for (const label of layout.labels) pen.fillText(cut(pen, label.text, label.width), label.x, label.y);
  const { size } = layout;
  const radius = size > 10 ? 2 : 1;
  for (const { x, y, tone } of layout.cells) {
    pen.beginPath();
    // Offline hosts are hollow: the difference holds without colours too.
    const inset = tone === 'off' ? 0.75 : 0;
    pen.roundRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset, radius);
    if (tone === 'off') {
      pen.strokeStyle = colours.off;
      pen.lineWidth = 1.5;
      pen.stroke();
    } else {
      pen.fillStyle = colours[tone];
      pen.fill();
    }
  }
  const cell = layout.cells[chosen];
  if (cell === undefined) return;
  pen.strokeStyle = colours.focus;
  pen.lineWidth = 2;
  pen.strokeRect(cell.x - 1, cell.y - 1, size + 2, size + 2);
};

const useWidth = (): [React.RefObject<HTMLDivElement | null>, number] => {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [box, width];
};

const sentence = (host: HostSummaryView, now: number): string => {
  const presence = host.online
    ? (host.phase ?? 'no report yet')
    : `offline, ${host.lastSeenMs === undefined ? 'never seen' : `as of ${ago(host.lastSeenMs, now)}`}`;
  return [
    host.name,
    presence,
    host.cluster === undefined ? 'no cluster' : `cluster ${host.cluster}`,
    ...(host.drifted > 0 ? [`${host.drifted} drifted`] : []),
    ...(host.simulated ? ['simulated'] : []),
  ].join(' · ');
};

/** One cell for each host, coloured by phase, thousands at a time; arrows walk over it and Enter opens the host. */
export const HeatMap = ({ project, hosts, by }: { project: string; hosts: readonly HostSummaryView[]; by: string }): ReactElement => {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [box, width] = useWidth();
  const [chosen, setChosen] = useState(-1);
  const isDark = useIsDark();
  const now = useNow();
  const groups = useMemo(() => groupHosts(hosts, by), [hosts, by]);
  const layout = useMemo(() => layoutHeat(groups, width), [groups, width]);
  useEffect(() => {
    if (canvas.current !== null && width > 0) draw(canvas.current, layout, width, chosen, readColours(canvas.current, isDark));
  }, [layout, width, chosen, isDark]);
  const under = (event: PointerEvent<HTMLCanvasElement>): HeatCell | undefined => cellAt(layout, event.nativeEvent.offsetX, event.nativeEvent.offsetY);
  const open = (cell: HeatCell | undefined): void => {
    if (cell !== undefined) navigate(paths.host(project, cell.host.name));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') return open(layout.cells[chosen]);
    if (!/^(Arrow|Home|End)/.test(event.key)) return;
    event.preventDefault();
    setChosen(neighbour(layout, chosen, event.key));
  };
  const told = layout.cells[chosen];
  return (
    <div className="heat" ref={box}>
      <canvas
        ref={canvas}
        role="application"
        aria-roledescription="heat map"
        aria-label={`${hosts.length} hosts, a cell each. Arrow keys walk over them, Enter opens one. The list of hosts has the same.`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onPointerMove={(event) => {
          const cell = under(event);
          setChosen(cell === undefined ? -1 : layout.cells.indexOf(cell));
          event.currentTarget.style.cursor = cell === undefined ? '' : 'pointer';
        }}
        onPointerLeave={() => setChosen(-1)}
        onClick={(event) => open(under(event as unknown as PointerEvent<HTMLCanvasElement>))}
      />
      <p className="heat-told" role="status">
        <bdi>{told === undefined ? ' ' : sentence(told.host, now)}</bdi>
      </p>
    </div>
  );
};
