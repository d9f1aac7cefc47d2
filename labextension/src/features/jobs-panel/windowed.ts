/** Which rows of a long list are drawn: those in sight and around it, and those that must stay. */

import * as React from 'react';

/** Lists up to this length are drawn whole. */
export const WHOLE = 120;
/** Pixels above and below what is in sight whose rows are drawn as well. */
const MARGIN = 1000;
/** Pixels of a row until some were measured. */
const ROW = 47;

/** A row that is drawn, and the pixels of those that are left out before it. */
export interface IDrawn {
  index: number;
  before: number;
}

export interface IWindow {
  rows: IDrawn[];
  /** Pixels of what is left out behind the last one. */
  after: number;
}

/**
 * Work out what to draw.
 *
 * @param heights - Of all rows, in pixels.
 * @param top - How far the list is scrolled.
 * @param height - What is seen of it.
 * @param kept - Rows that are drawn wherever they are.
 */
export function windowed(
  heights: readonly number[],
  top: number,
  height: number,
  kept: ReadonlySet<number>
): IWindow {
  const rows: IDrawn[] = [];
  let start = 0;
  let before = 0;
  for (let index = 0; index < heights.length; index++) {
    const end = start + heights[index];
    const seen = end >= top - MARGIN && start <= top + height + MARGIN;
    if (heights.length <= WHOLE || seen || kept.has(index)) {
      rows.push({ index, before });
      before = 0;
    } else {
      before += heights[index];
    }
    start = end;
  }
  return { rows, after: before };
}

/**
 * Follow the scrolling of a list whose rows are `li` elements with their id in `data-job`.
 *
 * The gaps are margins of rows, not elements: the list stays a list for screen readers, and the browser's scroll
 * anchoring keeps in place what is read when a row turns out to be higher than was assumed.
 *
 * @param box - What scrolls.
 * @param ids - Of all rows.
 * @param open - The row that is open: its log goes on being followed.
 */
export function useWindow(
  box: React.RefObject<HTMLElement>,
  ids: readonly string[],
  open: string | null
): IWindow {
  const [view, setView] = React.useState({ top: 0, height: 800 });
  // Who moves through the list by keyboard must not lose the place.
  const [focused, setFocused] = React.useState<string | null>(null);
  const measured = React.useRef(new Map<string, number>());
  const usual = React.useRef(0);
  React.useEffect(() => {
    const node = box.current;
    if (!node) {
      return;
    }
    let width = node.clientWidth;
    const look = () => {
      const { scrollTop: top, clientHeight: height } = node;
      setView(before =>
        // A few rows less or more make no difference: the margin has them.
        Math.abs(before.top - top) < MARGIN / 2 && before.height === height
          ? before
          : { top, height }
      );
    };
    const focus = ({ target }: FocusEvent) =>
      setFocused((target as Element).closest<HTMLElement>('[data-job]')?.dataset.job ?? null);
    node.addEventListener('scroll', look, { passive: true });
    node.addEventListener('focusin', focus);
    const observer = new ResizeObserver(() => {
      if (width !== node.clientWidth) {
        width = node.clientWidth;
        measured.current.clear();
      }
      look();
    });
    observer.observe(node);
    return () => {
      node.removeEventListener('scroll', look);
      node.removeEventListener('focusin', focus);
      observer.disconnect();
    };
  }, [box]);
  const long = ids.length > WHOLE;
  const heights = ids.map(id => measured.current.get(id) ?? (usual.current || ROW));
  const kept = new Set<number>();
  for (const id of [open, focused]) {
    if (id !== null && long) {
      kept.add(ids.indexOf(id));
    }
  }
  React.useLayoutEffect(() => {
    const rows = long ? (box.current?.querySelectorAll<HTMLElement>('[data-job]') ?? []) : [];
    let sum = 0;
    rows.forEach(row => {
      if (row.offsetHeight) {
        measured.current.set(row.dataset.job ?? '', row.offsetHeight);
        sum += row.offsetHeight;
      }
    });
    // Once: what is not drawn would move each time that another value was assumed.
    usual.current ||= sum / (rows.length || 1);
  });
  return windowed(heights, view.top, view.height, kept);
}
