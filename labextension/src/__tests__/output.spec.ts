import { findCell } from '../services/documents/open-output';

const cell = (
  id: string,
  more: { type?: string; source?: string; count?: number | null; tags?: string[] } = {}
) => ({
  id,
  type: more.type ?? 'code',
  sharedModel: { source: more.source ?? 'x = 1' },
  executionCount: more.count ?? null,
  getMetadata: (key: string) => (key === 'tags' ? more.tags : undefined)
});

describe('findCell', () => {
  const cells = [
    cell('title', { type: 'markdown', source: '# 1' }),
    cell('first', { count: 1 }),
    cell('empty', { source: ' \n' }),
    cell('skipped', { tags: ['skip-execution'] }),
    cell('second', { count: 2 }),
    cell('died'),
    cell('never')
  ];

  it('finds the executed cell by its number', () => {
    expect(findCell(cells, 2)).toBe(4);
  });

  it('counts as the runner does where a cell has no number, as when the kernel died in it', () => {
    expect(findCell(cells, 3)).toBe(5);
  });

  it('finds a cell by its id', () => {
    expect(findCell(cells, 'never')).toBe(6);
  });

  it('finds nothing where there is no such cell', () => {
    expect(findCell(cells, 9)).toBe(-1);
    expect(findCell(cells, 'gone')).toBe(-1);
  });
});
