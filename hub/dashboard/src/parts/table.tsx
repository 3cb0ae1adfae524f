import { useEffect, useRef, useState, type ReactElement, type ReactNode } from 'react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { isTyping } from '../keys.ts';

export interface Column<T> {
  key: string;
  title: string;
  /** A CSS grid track. */
  width: string;
  cell: (row: T) => ReactNode;
  isNumber?: boolean;
}

interface TableProps<T> {
  label: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  rowKey: (row: T) => string;
  /** Enter on the row that j and k chose. */
  open?: (row: T) => void;
  rowHeight?: number;
}

/** Below this width the table scrolls sideways instead of squeezing its columns. */
const tableWidth = (columns: readonly { width: string }[]): number => columns.reduce((sum, { width }) => sum + Number(/(\d+)px/.exec(width)?.[1] ?? 120), 0);

const useChosenRow = <T,>(rows: readonly T[], scrollTo: (index: number) => void, open: ((row: T) => void) | undefined): number => {
  const [chosen, setChosen] = useState(-1);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (open === undefined || isTyping(event) || event.defaultPrevented) return;
      const step = event.key === 'j' ? 1 : event.key === 'k' ? -1 : 0;
      const row = rows[chosen];
      if (event.key === 'Enter' && row !== undefined && (document.activeElement === document.body || document.activeElement?.id === 'content')) open(row);
      if (step === 0 || rows.length === 0) return;
      const next = Math.min(Math.max(chosen + step, 0), rows.length - 1);
      setChosen(next);
      scrollTo(next);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [rows, chosen, scrollTo, open]);
  return chosen;
};

/** A table that draws only the rows on screen, so that 20,000 of them are as quick as twenty. */
export const Table = <T,>({ label, rows, columns, rowKey, open, rowHeight = 38 }: TableProps<T>): ReactElement => {
  const scroller = useRef<HTMLDivElement>(null);
  // oxlint-disable-next-line react/incompatible-library -- the page is not built with React's compiler
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    getItemKey: (index) => rowKey(rows[index] as T),
  });
  const scrollTo = useRef((index: number): void => virtual.scrollToIndex(index)).current;
  const chosen = useChosenRow(rows, scrollTo, open);
  const gridTemplateColumns = columns.map((column) => column.width).join(' ');
  const minWidth = tableWidth(columns);
  return (
    <div className="table" role="table" aria-label={label} aria-rowcount={rows.length + 1} ref={scroller} tabIndex={0}>
      <div className="table-head" role="rowgroup" style={{ minWidth }}>
        <div role="row" aria-rowindex={1} className="table-row" style={{ gridTemplateColumns }}>
          {columns.map((column) => (
            <div role="columnheader" key={column.key} className={column.isNumber === true ? 'number' : undefined}>
              {column.title}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="table-body" style={{ height: virtual.getTotalSize(), minWidth }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index] as T;
          const style = { gridTemplateColumns, height: item.size, transform: `translateY(${item.start}px)` };
          return (
            <div role="row" key={item.key} aria-rowindex={item.index + 2} className={item.index === chosen ? 'table-row chosen' : 'table-row'} style={style}>
              {columns.map((column) => (
                <div role="cell" key={column.key} className={column.isNumber === true ? 'number' : undefined}>
                  {column.cell(row)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
};
