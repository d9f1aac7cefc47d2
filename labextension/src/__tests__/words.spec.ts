import * as pkg from '../../package.json';
import { ApiError } from '../core/api';
import { explain, versionProblem } from '../core/errors';
import { ago, duration } from '../core/format';
import { detail, device, outputAt, stateWord } from '../core/status';
import type { IStatus } from '../core/types';
import { VERSION } from '../core/version';
import { makeJob, STATUS, trans } from './server';

describe('words', () => {
  it('has the version of the package', () => {
    expect(VERSION).toBe(pkg.version);
  });

  it('has no second copy of it: a release moves both', () => {
    jest.isolateModules(() => {
      jest.doMock('../../package.json', () => ({ version: '9.8.7' }));
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- read again, with another package.json
      const errors = require('../core/errors') as { versionProblem: typeof versionProblem };
      expect(errors.versionProblem({ ...STATUS, version: '9.8.7' } as IStatus, trans)).toBeNull();
      expect(errors.versionProblem(STATUS as IStatus, trans)?.message).toContain('version 9.8.7');
    });
    jest.dontMock('../../package.json');
  });

  it.each(['queued', 'starting', 'running', 'succeeded', 'failed', 'cancelled'] as const)(
    'has a word for %s',
    state => {
      expect(stateWord(state, trans)).toMatch(/^[A-Z][a-z]+$/);
    }
  );

  it.each([
    [{ position: 2 }, 'no. 2 in line'],
    [{ cause: 'preempted', preemptions: 1, position: 1 }, 'made room for a session, no. 1 in line'],
    [{ state: 'running', progress: { cell: 12, cells: 40 } }, 'cell 12 of 40'],
    [
      { state: 'failed', error: { name: 'ValueError', message: 'x', cell: 13, traceback: '' } },
      'ValueError in cell 13'
    ],
    [{ state: 'failed', cause: 'time_limit' }, 'time limit of 1 h reached'],
    [{ state: 'failed', cause: 'start_failed' }, 'could not be started'],
    [{ state: 'failed', exit_code: 2 }, 'exit code 2']
  ] as const)('says of %j: %s', (more, words) => {
    expect(detail(makeJob('a', more), trans)).toBe(words);
  });

  it('names the device, and that it is simulated', () => {
    expect(device(makeJob('a', { count: 2 }), trans)).toBe('2 × NVIDIA T4 (simulated)');
    expect(device(makeJob('a', { accelerator: 'none', count: 0 }), trans)).toBe('CPU only');
  });

  it.each([
    [5, '5 s'],
    [200, '3 min 20 s'],
    [3600, '1 h'],
    [90000, '1 d 1 h'],
    [86400, '1 day']
  ])('%d seconds are %s', (seconds, words) => {
    expect(duration(seconds, trans)).toBe(words);
  });

  it('tells how long ago something was', () => {
    const now = Date.parse('2026-11-23T12:00:00Z');
    expect(ago('2026-11-23T11:59:50Z', now, trans)).toBe('just now');
    expect(ago('2026-11-23T11:20:00Z', now, trans)).toBe('40 min ago');
    expect(ago('2026-11-20T12:00:00Z', now, trans)).toBe('3 days ago');
  });

  it('explains a missing server half with the command that shows it', () => {
    const nothing = { reason: '', message: '', hint: '', field: null };
    expect(explain(new ApiError('server-missing', nothing, 404), trans).hint).toContain(
      'jupyter server extension list'
    );
  });

  it('names both versions when they differ', () => {
    const status = { ...STATUS, version: '9.9.9' } as IStatus;
    expect(versionProblem(status, trans)?.message).toContain('9.9.9');
    expect(versionProblem(STATUS as IStatus, trans)).toBeNull();
  });
});

describe('outputAt', () => {
  const error = { name: 'ValueError', message: 'x', cell: 3, traceback: '' };

  it('names the cell in which the job failed', () => {
    expect(outputAt('a.ipynb', makeJob('a', { state: 'failed', error }))).toEqual({
      path: 'a.ipynb',
      cell: 3
    });
  });

  it('names none of a script or a success', () => {
    expect(outputAt('a.log', makeJob('a', { error: { ...error, cell: null } }))).toEqual({
      path: 'a.log'
    });
    expect(outputAt('a.ipynb', makeJob('a'))).toEqual({ path: 'a.ipynb' });
  });
});
