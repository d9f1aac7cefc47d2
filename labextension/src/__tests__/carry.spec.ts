import { outputAt, TOOK_OVER } from '../core/status';
import type { IKernelState, IVariable } from '../core/types';
import { bytes, Carried } from '../features/kernel-state/carried';
import { findCell } from '../services/documents/open-output';
import { FakeServer, makeJob } from './server';

const variable = (name: string, more: Partial<IVariable> = {}): IVariable => ({
  name,
  type: 'int',
  size: 10,
  shared: [],
  code: false,
  used: false,
  reason: '',
  carried: true,
  ...more
});

const STOCK: IKernelState = {
  cell: 2,
  cells: 4,
  code_cells: 2,
  variables: [
    variable('small', { used: true }),
    variable('file', { reason: 'It is an open file.', carried: false, size: null }),
    variable('rows', { reason: 'It is a generator.', carried: false, size: null, used: true }),
    variable('big', { size: 1_000_000_100, shared: [[0, 1_000_000_000]], carried: false }),
    variable('also', { size: 1_000_000_050, shared: [[0, 1_000_000_000]], carried: false })
  ],
  modules: ['np'],
  python: '3.11.2',
  limit: 2_000_000_000,
  free: null,
  notes: []
};

describe('Carried', () => {
  let server: FakeServer;
  let carried: Carried;

  const answer = (more: Partial<IKernelState> = {}) => {
    server = new FakeServer(() => ({ body: { ...STOCK, ...more } }));
    carried = new Carried(server.api, 'a.ipynb', { kernel: 'k', cell: 2 });
    return carried.load();
  };

  it('asks for the kernel and the cell', async () => {
    await answer();
    expect(server.log).toEqual(['POST kernel-state']);
    expect(JSON.parse(server.requests[0].body)).toEqual({ path: 'a.ipynb', kernel: 'k', cell: 2 });
    expect(carried.ready).toBe(true);
  });

  it('names what cannot be carried, the needed first, and leaves out what is proposed', async () => {
    await answer();
    expect(carried.refused.map(each => each.name)).toEqual(['rows', 'file']);
    expect(carried.large.map(each => each.name)).toEqual(['big', 'also']);
    expect(carried.body).toEqual({ kernel: 'k', cell: 2, leave_out: ['big', 'also'] });
    expect(carried.size).toBe(10);
  });

  it('counts what variables share once, and remembers what was chosen', async () => {
    await answer();
    carried.choose('big', true);
    carried.choose('also', true);
    expect(carried.size).toBe(1_000_000_160);
    await carried.load();
    expect(carried.body.leave_out).toEqual([]);
  });

  it.each([
    [{ limit: 500 }, { limit: 500 }],
    [{ free: 600 }, { free: 600 }],
    [{ limit: 500, free: 600 }, { limit: 500 }]
  ])('is not ready beyond the limit or the room: %p', async (more, excess) => {
    await answer(more);
    expect(carried.excess).toBeNull();
    carried.choose('big', true);
    expect(carried.excess).toEqual(excess);
    expect(carried.ready).toBe(false);
  });
});

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1200, '1.2 kB'],
    [99_900_000, '100 MB'],
    [1_000_000_121, '1 GB'],
    [4 * 2 ** 30, '4.3 GB']
  ])('%d is %s', (size, text) => expect(bytes(size)).toBe(text));
});

describe('the result of a job that went on from a session', () => {
  const work = { ...makeJob('a').work, start_cell: 1, state: '.aiinfn/jobs/x/variables.state' };

  it('opens where the job took over, or at the cell that failed', () => {
    expect(outputAt('a.ipynb', makeJob('a', { work })).cell).toBe(TOOK_OVER);
    const error = { name: 'E', message: '', cell: 1, traceback: '' };
    expect(outputAt('a.ipynb', makeJob('a', { work, error })).cell).toBe(1);
  });

  it('counts cells from there on', () => {
    const cell = (id: string, count: number | null) => ({
      id,
      type: 'code',
      sharedModel: { source: 'x' },
      executionCount: count,
      getMetadata: () => undefined
    });
    const cells = [cell('before', 1), cell('more', 2), cell(TOOK_OVER, null), cell('first', 1)];
    cells[2].type = 'markdown';
    expect(findCell(cells, 1)).toBe(3);
    expect(findCell([...cells.slice(0, 3), cell('died', null)], 1)).toBe(3);
  });
});
