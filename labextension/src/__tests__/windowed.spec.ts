import { WHOLE, windowed } from '../features/jobs-panel/windowed';

const NONE = new Set<number>();

describe('windowed', () => {
  it('draws a short list whole', () => {
    const { rows, after } = windowed(Array(WHOLE).fill(47), 0, 400, NONE);
    expect(rows).toHaveLength(WHOLE);
    expect(after).toBe(0);
  });

  it.each([0, 20_000, 141_000])('draws what is around %d, and all has its height', top => {
    const heights = Array.from({ length: 3025 }, (_, index) => (index % 7 ? 47 : 71));
    const all = heights.reduce((sum, each) => sum + each, 0);
    const { rows, after } = windowed(heights, top, 600, NONE);
    const drawn = rows.reduce((sum, { index, before }) => sum + before + heights[index], 0);
    expect(drawn + after).toBe(all);
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.length).toBeLessThan(80);
    const first = rows[0].before;
    expect(first).toBeLessThanOrEqual(Math.max(0, top - 900));
    expect(all - after).toBeGreaterThanOrEqual(Math.min(all, top + 1500));
  });

  it('keeps rows wherever they are, at their places', () => {
    const { rows, after } = windowed(Array(1000).fill(50), 0, 500, new Set([500, 999]));
    const kept = rows.filter(({ before }) => before > 0);
    expect(kept.map(({ index }) => index)).toEqual([500, 999]);
    const last = rows[rows.length - 3].index;
    expect(kept[0].before).toBe((500 - last - 1) * 50);
    expect(kept[1].before).toBe((999 - 500 - 1) * 50);
    expect(after).toBe(0);
  });
});
