/** States of jobs, and what a list says of a job in words. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { absolute, ago, duration } from './format';
import type { IJob, JobState } from './types';

/** States that are known here, and those after which nothing changes any more. */
const KNOWN: ReadonlySet<JobState> = new Set(['queued', 'starting', 'running']);
const FINAL: ReadonlySet<JobState> = new Set(['succeeded', 'failed', 'cancelled']);

/** Causes that are known here; most are said by the state, or by the server's sentence. */
const CAUSES: ReadonlySet<string> = new Set(
  (
    'submitted placed started completed error preempted interrupted device_lost held time_limit ' +
    'cancelled lost never_fits start_failed'
  ).split(' ')
);

/** Whether a job or a point is over: as vkd says; of one that says nothing, by the state, or if it has an end. */
export function isFinal({ final, state, ended }: Pick<IJob, 'final' | 'state' | 'ended'>): boolean {
  return final ?? (FINAL.has(state) || (!KNOWN.has(state) && !!ended));
}

export function stateWord(state: JobState, trans: TranslationBundle): string {
  switch (state) {
    case 'queued':
      return trans.__('Waiting');
    case 'starting':
      return trans.__('Starting');
    case 'running':
      return trans.__('Running');
    case 'succeeded':
      return trans.__('Succeeded');
    case 'failed':
      return trans.__('Failed');
    case 'cancelled':
      return trans.__('Cancelled');
    default:
      return state;
  }
}

/** What a row says behind the word of the state. */
export function detail(job: IJob, trans: TranslationBundle): string {
  if (job.sweep) {
    const { points, failed, succeeded, cancelled } = job.sweep;
    return job.state === 'failed'
      ? trans._n('%2 of %1 point failed', '%2 of %1 points failed', points, failed)
      : trans._n(
          '%2 of %1 point done',
          '%2 of %1 points done',
          points,
          succeeded + failed + cancelled
        );
  }
  if (!CAUSES.has(job.cause) && job.state !== 'succeeded') {
    return job.cause;
  }
  switch (job.state) {
    case 'queued':
      if (job.cause !== 'submitted' && job.preemptions > 0) {
        return job.position
          ? trans.__('made room for a session, no. %1 in line', job.position)
          : trans.__('made room for a session');
      }
      return job.position ? trans.__('no. %1 in line', job.position) : '';
    case 'running':
      return job.progress ? trans.__('cell %1 of %2', job.progress.cell, job.progress.cells) : '';
    case 'failed':
      if (job.cause === 'time_limit') {
        return trans.__('time limit of %1 reached', duration(job.time_limit, trans));
      }
      if (job.cause === 'start_failed') {
        return trans.__('could not be started');
      }
      if (job.cause === 'never_fits') {
        return trans.__('can never start');
      }
      if (job.cause === 'lost') {
        return trans.__('its process disappeared');
      }
      if (job.error?.cell) {
        return trans.__('%1 in cell %2', job.error.name, job.error.cell);
      }
      return job.error?.name ?? (job.exit_code ? trans.__('exit code %1', job.exit_code) : '');
    default:
      return '';
  }
}

/** Id of the cell that says where a job took over from a session; of `MARK` in aiinfn_lab/runner/resume.py. */
export const TOOK_OVER = 'aiinfn-took-over';

/** What `aiinfn:open-output` needs: the result, and the cell at which the job failed, or else where it took over. */
export function outputAt(
  path: string,
  { error, work }: IJob
): { path: string; cell?: number | string } {
  if (error?.cell) {
    return { path, cell: error.cell };
  }
  return work.state ? { path, cell: TOOK_OVER } : { path };
}

/** What a job computes on: "2 × NVIDIA T4 (simulated)". */
export function device(job: IJob, trans: TranslationBundle): string {
  if (job.accelerator === 'none' || job.count === 0) {
    return trans.__('CPU only');
  }
  const title = job.count > 1 ? `${job.count} × ${job.accelerator_title}` : job.accelerator_title;
  return job.simulated ? trans.__('%1 (simulated)', title) : title;
}

/** The time that a row shows: how long it runs or ran, or how long ago it was submitted. */
export function rowTime(job: IJob, now: number, trans: TranslationBundle): string {
  if ((job.state === 'running' || job.state === 'starting') && job.started) {
    return duration((now - Date.parse(job.started)) / 1000, trans);
  }
  return ago(job.ended ?? job.created, now, trans);
}

/** The title of a row's time: the absolute moments. */
export function rowTimeTitle(job: IJob, trans: TranslationBundle): string {
  const lines = [trans.__('Submitted %1', absolute(job.created))];
  if (job.started) {
    lines.push(trans.__('Started %1', absolute(job.started)));
  }
  if (job.ended) {
    lines.push(trans.__('Ended %1', absolute(job.ended)));
  }
  return lines.join('\n');
}

/** What a list shows. */
export type Filter = 'all' | 'active' | 'succeeded' | 'failed' | 'cancelled';

export const FILTERS: readonly Filter[] = ['all', 'active', 'succeeded', 'failed', 'cancelled'];

/** The states that a filter lets through; none: all of them. */
export const STATES: { [filter in Filter]: readonly string[] } = {
  all: [],
  active: ['queued', 'starting', 'running'],
  succeeded: ['succeeded'],
  failed: ['failed'],
  cancelled: ['cancelled']
};
