/** A curve over time as the paths of an SVG image. */

export interface ICurve {
  /** The curve. */
  line: string;
  /** What is below it. */
  area: string;
}

interface IFrame {
  /** The last time, in seconds; the first is 0. */
  end: number;
  /** The value at the upper edge. */
  top: number;
  width: number;
  height: number;
}

/** The value at the upper edge of a chart: a little above the limit, and above the curve where that exceeds it. */
export function scale(limit: number, peak: number): number {
  return 1.05 * Math.max(limit, peak, Number.MIN_VALUE);
}

/** Draw steps: each value holds for the whole stretch before its time. A value that is not told leaves a gap. */
export function curve(
  points: readonly { time: number; value: number | null }[],
  { end, top, width, height }: IFrame
): ICurve {
  const x = (time: number) => round(end > 0 ? (time / end) * width : 0);
  const y = (value: number) => round(height - (value / top) * height);
  let line = '';
  let area = '';
  let began = 0;
  let drawing = false;
  for (const { time, value } of points) {
    if (value === null) {
      drawing = false;
    } else {
      line += `${drawing ? 'L' : 'M'}${x(began)} ${y(value)}H${x(time)}`;
      area += `M${x(began)} ${height}V${y(value)}H${x(time)}V${height}Z`;
      drawing = true;
    }
    began = time;
  }
  return { line, area };
}

const round = (value: number) => Math.round(value * 100) / 100;
