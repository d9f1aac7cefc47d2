import { range, WHOLE } from '../features/sweep/window';

const table = { rows: 1000, row: 25, open: null, opened: 0 };

describe('range', () => {
  it('draws a short table whole', () => {
    const { first, end, before, after } = range({ ...table, rows: WHOLE }, 0, 400);
    expect([first, end, before, after]).toEqual([0, WHOLE, 0, 0]);
  });

  it.each([0, 1, 700, 12_345, 24_600, 24_599, 30_000])(
    'draws what is in sight, at %d pixels, and stands for the rest',
    top => {
      const height = 400;
      const found = range(table, top, height);
      const shown = found.end - found.first;
      expect(shown).toBeLessThan(100);
      expect(found.before + shown * table.row + found.after).toBe(25_000);
      const last = Math.min(top, 25_000 - height);
      expect(found.before).toBeLessThanOrEqual(last);
      expect(found.before + shown * table.row).toBeGreaterThanOrEqual(last + height);
    }
  );

  it.each([0, 2000, 12_000, 12_600, 12_900, 25_300])(
    'counts what a row opened into, at %d pixels',
    top => {
      const open = { ...table, open: 500, opened: 300 };
      const found = range(open, top, 400);
      const drawn = (found.end - found.first) * 25;
      const inside = found.first <= 500 && found.end > 500 ? 300 : 0;
      expect(found.before + drawn + inside + found.after).toBe(25_300);
      const last = Math.min(top, 25_300 - 400);
      expect(found.before).toBeLessThanOrEqual(last);
      expect(found.before + drawn + inside).toBeGreaterThanOrEqual(last + 400);
    }
  );
});
