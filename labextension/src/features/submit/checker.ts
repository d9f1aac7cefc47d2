/** Asks what would become of a submission as it stands, and what there is to know of its file. No React. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from '../../core/api';
import { explain } from '../../core/errors';
import type { ICheck, IProblem, ISubmission } from '../../core/types';

/** Time without a change before the server is asked, in milliseconds. */
const SETTLED = 350;
/** Time after which it is said that the answer is late, in milliseconds. */
const LATE = 4000;

/** Kinds of checks that do not depend on the file; the dry run, which is quick, tells them. */
const OF_PLATFORM: ReadonlySet<string> = new Set([
  'allowed',
  'fits',
  'limit',
  'queue',
  'time',
  'sweep'
]);

/** What the server says about a submission. */
export type Verdict =
  | { kind: 'none' }
  | { kind: 'accepted'; sentence: string }
  | { kind: 'refused'; problem: IProblem };

interface ICheckerOptions {
  api: Api;
  trans: TranslationBundle;
  /** The submission as it stands; null: there is nothing to ask about, undefined: wait, `ask` is called in a moment. */
  read: () => ISubmission | null | undefined;
}

/**
 * What was answered stays until the next answer is there, so that nothing flickers while somebody types.
 */
export class Checker implements IDisposable {
  constructor(private readonly _options: ICheckerOptions) {}

  /** Emitted when there is something new to show. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The last answer. */
  verdict: Verdict = { kind: 'none' };
  /** What the last answers told, of the platform first. */
  checks: readonly ICheck[] = [];
  /** The values that were typed for parameters, as Python will have them. */
  values: { [name: string]: string } = {};
  /** Whether something was found in the file that is sure to fail. */
  get doomed(): boolean {
    return this._ofFile.some(({ verdict }) => verdict === 'problem');
  }

  /** Whether an answer to what stands there now is awaited. */
  pending = false;
  /** Whether that takes unusually long. */
  late = false;

  get isDisposed(): boolean {
    return this._disposed;
  }

  /**
   * Ask once nothing has changed for a moment.
   *
   * @param fields - What was changed: a refusal that is about it no longer counts.
   */
  touch(fields: readonly string[]): void {
    this.stop();
    const { verdict } = this;
    if (verdict.kind === 'refused') {
      const about = verdict.problem.field ?? '';
      if (fields.some(field => field === about || about.startsWith(`${field}.`))) {
        this.verdict = { kind: 'none' };
      }
    }
    this.pending = true;
    this._timer = window.setTimeout(() => void this.ask(), SETTLED);
  }

  /** Ask now; never rejects. */
  async ask(): Promise<void> {
    this.stop();
    const body = this._options.read();
    if (body === undefined) {
      this.pending = true;
      return;
    }
    if (!body) {
      this.verdict = { kind: 'none' };
      this._changed.emit();
      return;
    }
    const asking = new AbortController();
    this._asking = asking;
    this.pending = true;
    this._lateTimer = window.setTimeout(() => {
      this.late = true;
      this._changed.emit();
    }, LATE);
    try {
      await this._send(body, asking.signal);
    } catch (error) {
      if (!asking.signal.aborted) {
        this.verdict = { kind: 'refused', problem: explain(error, this._options.trans) };
        this._keep([], this._ofFile);
      }
    }
    if (!asking.signal.aborted) {
      this.stop();
      this._changed.emit();
    }
  }

  /** Ask again although nothing was changed: the queue moves. Not while an answer is awaited anyway. */
  async again(): Promise<void> {
    if (!this.pending && this.verdict.kind !== 'none') {
      await this.ask();
    }
  }

  /** Wait for no answer any more. */
  stop(): void {
    window.clearTimeout(this._timer);
    window.clearTimeout(this._lateTimer);
    this._asking?.abort();
    this._asking = null;
    this.pending = this.late = false;
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this.stop();
      Signal.clearData(this);
    }
  }

  private async _send(body: ISubmission, signal: AbortSignal): Promise<void> {
    const { api } = this._options;
    const subject = subjectOf(body);
    if (subject === this._subject) {
      const { sentence, checks } = await api.dryRun(body, signal);
      if (!signal.aborted) {
        this.verdict = accepted(sentence, checks ?? []);
        this._keep(checks ?? [], this._ofFile);
      }
      return;
    }
    const { sentence, problem, checks, values } = await api.check(body, signal);
    if (!signal.aborted) {
      this.values = values ?? {};
      this._subject = subject;
      this.verdict = problem ? { kind: 'refused', problem } : accepted(sentence, checks);
      this._keep(
        checks.filter(({ what }) => OF_PLATFORM.has(what)),
        checks.filter(({ what }) => !OF_PLATFORM.has(what))
      );
    }
  }

  private _keep(ofPlatform: readonly ICheck[], ofFile: readonly ICheck[]): void {
    // One that is not known here may come with both answers.
    const quick = new Set(ofPlatform.map(({ what }) => what));
    this._ofFile = ofFile.filter(({ what }) => !quick.has(what));
    this.checks = [...ofPlatform, ...this._ofFile];
  }

  private readonly _changed = new Signal<this, void>(this);
  private _asking: AbortController | null = null;
  private _disposed = false;
  private _lateTimer = 0;
  private _ofFile: readonly ICheck[] = [];
  /** What was looked at in the file last. */
  private _subject = '';
  private _timer = 0;
}

/** The part of a submission that the checks of the file depend on. */
function subjectOf(body: ISubmission): string {
  const { path, folder, image, typed, sweep, from_here: from } = body;
  const swept = sweep && [sweep.points.length, Object.keys(sweep.points[0] ?? {})];
  return JSON.stringify([path, folder, image, typed, swept, from?.cell]);
}

function accepted(sentence: string, checks: readonly ICheck[]): Verdict {
  // How long a sweep takes is a part of the answer.
  const more = checks.filter(({ what }) => what === 'sweep').map(check => check.sentence);
  return { kind: 'accepted', sentence: [sentence, ...more].join(' ') };
}
