/** Which rows of a long table are in sight: only these are drawn. */

import * as React from 'react';

/** Tables up to this length are drawn whole. */
export const WHOLE = 120;
/** Rows that are drawn beyond what is in sight, on each side. */
const MARGIN = 25;
/** Pixels of a row until one was measured. */
const ROW = 26;

export interface IRange {
  /** Index of the first row that is drawn, and of the first that is not any more. */
  first: number;
  end: number;
  /** Pixels of what is left out before and behind. */
  before: number;
  after: number;
}

interface ITable {
  rows: number;
  /** Pixels of a closed row. */
  row: number;
  /** Index of the row that is opened, and the pixels of what it opens into. */
  open: number | null;
  opened: number;
}

/** Work out what to draw of a table whose box is scrolled to `top` and `height` high. */
export function range({ rows, row, open, opened }: ITable, top: number, height: number): IRange {
  if (rows <= WHOLE) {
    return { first: 0, end: rows, before: 0, after: 0 };
  }
  const extra = open === null ? 0 : opened;
  // Where a row begins.
  const start = (index: number) => index * row + (open !== null && index > open ? extra : 0);
  const at = (pixels: number) => {
    const flat = Math.floor(pixels / row);
    return open === null || flat <= open
      ? flat
      : Math.max(open, Math.floor((pixels - extra) / row));
  };
  const first = Math.min(Math.max(0, at(top) - MARGIN), Math.max(0, rows - MARGIN));
  const end = Math.min(rows, at(top + height) + 1 + MARGIN);
  return { first, end, before: start(first), after: start(rows) - start(end) };
}

/** Follow the scrolling of a table's box. */
export function useRange(
  box: React.RefObject<HTMLElement>,
  rows: number,
  open: number | null
): IRange {
  const [scrolled, setScrolled] = React.useState({ top: 0, height: 600 });
  const sizes = React.useRef({ row: ROW, opened: 0 });
  React.useEffect(() => {
    const node = box.current;
    if (!node) {
      return;
    }
    let frame = 0;
    const look = () => {
      frame = 0;
      const { scrollTop: top, clientHeight: height } = node;
      setScrolled(before =>
        // A few rows less or more make no difference: the margin has them.
        Math.abs(before.top - top) < (MARGIN / 3) * sizes.current.row && before.height === height
          ? before
          : { top, height }
      );
    };
    const later = () => {
      frame ||= requestAnimationFrame(look);
    };
    node.addEventListener('scroll', later, { passive: true });
    const observer = new ResizeObserver(later);
    observer.observe(node);
    return () => {
      cancelAnimationFrame(frame);
      node.removeEventListener('scroll', later);
      observer.disconnect();
    };
  }, [box]);
  React.useLayoutEffect(() => {
    const height = (selector: string) =>
      box.current?.querySelector<HTMLElement>(selector)?.offsetHeight ?? 0;
    sizes.current = {
      row: height('tr[data-point]') || sizes.current.row,
      opened: open === null ? 0 : height('tr.aiinfn-Point') || sizes.current.opened
    };
  });
  return range({ rows, open, ...sizes.current }, scrolled.top, scrolled.height);
}
