/** States, times and errors in words. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from './api';
import { VERSION } from './tokens';
import type { IJob, IProblem, IStatus, JobState } from './types';

/** States after which nothing changes any more. */
export const FINAL: ReadonlySet<JobState> = new Set(['succeeded', 'failed', 'cancelled']);

export function isFinal(job: IJob): boolean {
  return FINAL.has(job.state);
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

/** A duration with its two largest units, e.g. "3 min 20 s". */
export function duration(seconds: number, trans: TranslationBundle): string {
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400);
  const hours = Math.floor((whole % 86400) / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = whole % 60;
  if (days) {
    return hours ? trans.__('%1 d %2 h', days, hours) : trans._n('%1 day', '%1 days', days);
  }
  if (hours) {
    return minutes ? trans.__('%1 h %2 min', hours, minutes) : trans.__('%1 h', hours);
  }
  if (minutes) {
    return rest ? trans.__('%1 min %2 s', minutes, rest) : trans.__('%1 min', minutes);
  }
  return trans.__('%1 s', rest);
}

/** How long ago a moment was, e.g. "5 min ago". */
export function ago(moment: string, now: number, trans: TranslationBundle): string {
  const seconds = (now - Date.parse(moment)) / 1000;
  if (seconds < 45) {
    return trans.__('just now');
  }
  if (seconds < 3600) {
    return trans.__('%1 min ago', Math.max(1, Math.round(seconds / 60)));
  }
  if (seconds < 86400) {
    return trans.__('%1 h ago', Math.round(seconds / 3600));
  }
  return trans._n('%1 day ago', '%1 days ago', Math.round(seconds / 86400));
}

/** A moment in the reader's own time zone and habit. */
export function absolute(moment: string): string {
  return new Date(moment).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

/** The time of the day, with the date when it is another day. */
export function clock(moment: string, now: number): string {
  const date = new Date(moment);
  const sameDay = date.toDateString() === new Date(now).toDateString();
  return sameDay
    ? date.toLocaleTimeString(undefined, { timeStyle: 'medium' })
    : date.toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' });
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

/** What is wrong, as a sentence and a hint for the person. */
export function explain(error: unknown, trans: TranslationBundle): IProblem {
  if (error instanceof ApiError) {
    switch (error.kind) {
      case 'problem':
        return error.problem;
      case 'server-missing':
        return {
          reason: 'server-missing',
          message: trans.__('The server half of the batch extension is missing.'),
          hint: trans.__(
            'Run “jupyter server extension list” in a terminal: aiinfn_lab must be listed as enabled. Then restart the server.'
          ),
          field: null
        };
      case 'unreachable':
        return {
          reason: 'unavailable',
          message: trans.__('The Jupyter server does not answer.'),
          hint: trans.__('Check the connection. This is tried again by itself.'),
          field: null
        };
    }
  }
  return {
    reason: 'internal',
    message: trans.__('Something unexpected happened in the page.'),
    hint: trans.__('Reload the page. The browser console says more.'),
    field: null
  };
}

/** What to say about a server half of another version; null if it is this one's. */
export function versionProblem(status: IStatus, trans: TranslationBundle): IProblem | null {
  if (status.version === VERSION) {
    return null;
  }
  return {
    reason: 'version',
    message: trans.__(
      'The page has version %1 of the batch extension, the server has %2.',
      VERSION,
      status.version
    ),
    hint: trans.__('Reload the page. If that does not help, restart the server.'),
    field: null
  };
}
