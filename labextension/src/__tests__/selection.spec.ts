import { outcome } from '../features/jobs-panel/bulk';
import { able, NOTHING, readLabels, still, toggled } from '../features/jobs-panel/selection';
import { makeJob, trans } from './server';

const SHOWN = ['a', 'b', 'c', 'd', 'e'];

describe('toggled', () => {
  it('chooses one, and lets it go', () => {
    const one = toggled(NOTHING, 'b', SHOWN, false);
    expect([...one.ids]).toEqual(['b']);
    expect([...toggled(one, 'b', SHOWN, false).ids]).toEqual([]);
  });

  it('takes all between with shift, in both directions', () => {
    const one = toggled(NOTHING, 'b', SHOWN, false);
    expect([...toggled(one, 'd', SHOWN, true).ids]).toEqual(['b', 'c', 'd']);
    expect([...toggled(one, 'a', SHOWN, true).ids].sort()).toEqual(['a', 'b']);
    const all = { ids: new Set(SHOWN), anchor: 'b' };
    expect([...toggled(all, 'd', SHOWN, true).ids]).toEqual(['a', 'e']);
  });

  it('takes one where the last one is not shown any more', () => {
    expect([...toggled({ ids: new Set(), anchor: 'z' }, 'c', SHOWN, true).ids]).toEqual(['c']);
  });
});

it('drops what is not shown any more, and else stays the same', () => {
  const before = { ids: new Set(['a', 'z']), anchor: 'a' };
  expect([...still(before, SHOWN).ids]).toEqual(['a']);
  const whole = { ids: new Set(['a']), anchor: 'a' };
  expect(still(whole, SHOWN)).toBe(whole);
});

it('knows with which something can be done', () => {
  const jobs = [
    makeJob('a', { actions: ['cancel', 'edit'] }),
    makeJob('b', { actions: ['delete'] })
  ];
  expect(able(jobs, 'label').map(job => job.id)).toEqual(['a']);
  expect(able(jobs, 'delete').map(job => job.id)).toEqual(['b']);
});

it('reads labels to give and to take away', () => {
  expect(readLabels('paper-2026, -trial  x-1 -')).toEqual({
    add_labels: ['paper-2026', 'x-1'],
    remove_labels: ['trial']
  });
});

it('tells what became of many, and each reason once', () => {
  const problem = { reason: 'conflict', message: 'It runs.', hint: 'Cancel it.', field: null };
  const told = outcome(
    'delete',
    [
      { id: 'a', job: null, problem: null },
      { id: 'b', job: null, problem },
      { id: 'c', job: null, problem }
    ],
    [makeJob('b', { name: 'fit' }), makeJob('c', { name: 'scan' })],
    trans
  );
  expect(told.sentence).toBe('1 of 3 jobs deleted.');
  expect(told.refused).toEqual([{ sentence: 'It runs. Cancel it.', names: ['fit', 'scan'] }]);
});
