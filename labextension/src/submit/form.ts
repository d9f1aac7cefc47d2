/** The state of the submission dialog: what is chosen and typed, what is wrong, what would happen. No React. */

import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { UUID } from '@lumino/coreutils';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from '../api';
import { Carried, type IOrigin } from '../carry/state';
import { SweepDraft } from '../sweep/draft';
import type { IInspection, IJob, IPlatform, IProblem, IStatus, ISubmission } from '../types';
import { duration, explain, versionProblem } from '../words';
import { initial, type IOffer, type ISelection, offer, settle } from './choices';
import { inUnit, readParameters, seconds, splitArguments, type Typed, type Unit } from './values';

/** Time without a change before the server is asked, in milliseconds. */
const SETTLED = 350;
/** Time after which what was free is read again, in milliseconds. */
const REFRESH = 5000;

/** What the server says about the submission as it stands. */
export type Check =
  | { kind: 'none' }
  | { kind: 'checking'; last: string }
  | { kind: 'accepted'; sentence: string }
  | { kind: 'refused'; problem: IProblem };

interface IFormOptions {
  api: Api;
  contents: Contents.IManager;
  trans: TranslationBundle;
  path: string;
  /** Read what may be used; given by the caller so that the answer is shared. */
  readPlatform: () => Promise<IPlatform>;
  /** Of a notebook that goes on from its kernel. */
  origin?: IOrigin;
}

export class SubmitForm implements IDisposable {
  constructor(private readonly _options: IFormOptions) {
    this._poll = new Poll<void, unknown>({
      auto: false,
      name: '@aiinfn/labextension:headroom',
      factory: () => this._refresh(),
      frequency: { interval: REFRESH, backoff: true, max: 30_000 },
      standby: 'when-hidden'
    });
    this.sweep = new SweepDraft(_options);
    this.sweep.changed.connect(this._touched, this);
    this.sweep.settled.connect(this._onSettled, this);
    this.carried = _options.origin
      ? new Carried(_options.api, _options.path, _options.origin)
      : null;
    this.carried?.changed.connect(this._touched, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What the server says about the submission as it stands. */
  check: Check = { kind: 'none' };
  /** Why the last submission was not accepted; kept until something is changed. */
  failure: IProblem | null = null;
  inspection: IInspection | null = null;
  platform: IPlatform | null = null;
  selection: ISelection | null = null;
  status: IStatus | null = null;
  inputs: { [name: string]: Typed } = {};
  /** Whether it is a sweep, and of which points. */
  readonly sweep: SweepDraft;
  /** What goes with a job that goes on from the kernel. */
  readonly carried: Carried | null;
  argumentLine = '';
  name = '';
  amount = '';
  unit: Unit = 'hours';
  /** Whether a submission is under way. */
  busy = false;
  /** What keeps the form from being filled in at all. */
  fatal: IProblem | null = null;

  get trans(): TranslationBundle {
    return this._options.trans;
  }

  get contents(): Contents.IManager {
    return this._options.contents;
  }

  get path(): string {
    return this._options.path;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  get ready(): boolean {
    return !!(this.platform && this.inspection && this.selection);
  }

  get offer(): IOffer | null {
    return this.platform && this.selection ? offer(this.platform, this.selection) : null;
  }

  /** Sentences by the field that they are about; those of the server last until the field changes. */
  get errors(): { [field: string]: string } {
    const { errors } = this._read();
    const refused = this.check.kind === 'refused' ? this.check.problem : null;
    for (const problem of [this.failure, refused]) {
      if (problem?.field) {
        errors[this.sweep.place(problem.field)] ??= [problem.message, problem.hint]
          .filter(Boolean)
          .join(' ');
      }
    }
    return errors;
  }

  /** Whether what is filled in can be sent. */
  get canSubmit(): boolean {
    return (
      this.ready &&
      !this.busy &&
      !this.fatal &&
      !(this.sweep.on && this.sweep.empty) &&
      this.carried?.ready !== false &&
      !Object.keys(this._read().errors).length
    );
  }

  /** Read the file and what may be used. */
  async load(): Promise<void> {
    const { api, trans } = this._options;
    this.fatal = null;
    try {
      const [status, inspection, platform] = await Promise.all([
        api.status(),
        api.inspect(this.path),
        this._options.readPlatform(),
        this.carried?.load()
      ]);
      if (this.isDisposed) {
        return;
      }
      this.status = status;
      this.inspection = inspection;
      this.sweep.inspected(inspection);
      this.platform = platform;
      if (!platform.projects.length || !platform.queues.length) {
        this.fatal = {
          reason: 'forbidden',
          message: trans.__('There is no batch queue that you may use.'),
          hint: trans.__(
            'Ask the manager of your project to add you to its group, then sign in again.'
          ),
          field: null
        };
      }
      this.selection ??= initial(platform, status.session);
      if (!this.amount) {
        Object.assign(
          this,
          inUnit(Math.min(platform.job_default_time, this.offer?.maxTime || Infinity))
        );
      }
      this.fatal ??= inspection.problem ?? versionProblem(status, trans);
      void this._poll.start().catch(() => undefined);
      this._ask();
    } catch (error) {
      this.fatal = explain(error, trans);
    }
    this._changed.emit();
  }

  /** Choose; what no longer goes together is replaced. */
  select(change: Partial<ISelection>): void {
    if (this.platform && this.selection) {
      this.selection = settle(this.platform, { ...this.selection, ...change });
      this._touched();
    }
  }

  setInput(name: string, value: Typed): void {
    this.inputs = { ...this.inputs, [name]: value };
    this._touched();
  }

  /** Take the notebook's own value again. */
  resetInput(name: string): void {
    this.inputs = Object.fromEntries(
      Object.entries(this.inputs).filter(([known]) => known !== name)
    );
    this._touched();
  }

  set(change: Partial<Pick<SubmitForm, 'argumentLine' | 'name' | 'amount' | 'unit'>>): void {
    Object.assign(this, change);
    this._touched();
  }

  /**
   * Submit once: a second press while it is under way, or with nothing changed, is the same submission.
   *
   * @returns The job, or null when it was not accepted; then `check` and `errors` say why.
   */
  async submit(): Promise<IJob | null> {
    if (!this.canSubmit) {
      return null;
    }
    this._stopAsking();
    this.busy = true;
    this.failure = null;
    this._changed.emit();
    try {
      await this.sweep.settle();
      const { body, errors } = this._read();
      if (Object.keys(errors).length) {
        return null;
      }
      const text = JSON.stringify(body);
      if (text !== this._sent) {
        this._sent = text;
        this._key = UUID.uuid4();
      }
      return await this._options.api.submit(body, this._key);
    } catch (error) {
      this.failure = explain(error, this.trans);
      return null;
    } finally {
      this.busy = false;
      this._changed.emit();
    }
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._stopAsking();
      this.sweep.dispose();
      this.carried?.dispose();
      this._poll.dispose();
      Signal.clearData(this);
    }
  }

  private _touched(): void {
    this.failure = null;
    this._ask();
    this._changed.emit();
  }

  /** The body as it stands, and what is wrong with it. */
  private _read(): { body: ISubmission; errors: { [field: string]: string } } {
    const body: ISubmission = { path: this.path };
    const errors: { [field: string]: string } = {};
    const { inspection, selection, trans } = this;
    if (!inspection || !selection) {
      return { body, errors };
    }
    Object.assign(body, selection);
    if (selection.count === 0) {
      delete body.count;
    }
    if (this.name.trim()) {
      body.name = this.name.trim();
    }
    const limit = seconds(this.amount, this.unit);
    const most = this.offer?.maxTime;
    if (limit === null) {
      errors.time_limit = trans.__('A number greater than zero is expected.');
    } else if (most && limit > most) {
      errors.time_limit = trans.__('This queue allows at most %1.', duration(most, trans));
    } else {
      body.time_limit = limit;
    }
    if (this.sweep.on) {
      body.sweep = this.sweep.body;
      Object.assign(errors, this.sweep.errors);
    }
    if (this.carried) {
      body.from_here = this.carried.body;
      return { body, errors };
    }
    if (inspection.kind === 'notebook') {
      if (this.sweep.on) {
        return { body, errors };
      }
      const read = readParameters(inspection.parameters, this.inputs, trans);
      body.parameters = read.values;
      for (const [name, sentence] of Object.entries(read.errors)) {
        errors[`parameters.${name}`] = sentence;
      }
    } else {
      const list = splitArguments(this.argumentLine);
      if (list) {
        body.arguments = list;
      } else {
        errors.arguments = trans.__('A quote is opened but not closed.');
      }
    }
    return { body, errors };
  }

  private _onSettled(): void {
    if (!this.busy) {
      void this._checkNow();
    }
    this._changed.emit();
  }

  /** Ask the server what would happen, once the person has stopped typing. */
  private _ask(): void {
    this._stopAsking();
    const last = this.check;
    this.check = { kind: 'checking', last: last.kind === 'accepted' ? last.sentence : '' };
    this._timer = window.setTimeout(() => void this._checkNow(), SETTLED);
  }

  private _stopAsking(): void {
    window.clearTimeout(this._timer);
    this._asking?.abort();
    this._asking = null;
  }

  private async _checkNow(): Promise<void> {
    const { body, errors } = this._read();
    if (this.sweep.pending && this.sweep.on) {
      // The answer to that asks again.
      return;
    }
    this._stopAsking();
    const nothing = this.sweep.on && !body.sweep;
    const excess = this.carried?.ready === false;
    if (excess || !this.ready || this.busy || this.fatal || nothing || Object.keys(errors).length) {
      this.check = { kind: 'none' };
      this._changed.emit();
      return;
    }
    const asking = new AbortController();
    this._asking = asking;
    try {
      const { sentence, checks } = await this._options.api.check(body, asking.signal);
      if (!asking.signal.aborted) {
        const more = checks?.filter(({ what }) => what === 'sweep').map(check => check.sentence);
        this.check = { kind: 'accepted', sentence: [sentence, ...(more ?? [])].join(' ') };
      }
    } catch (error) {
      if (!asking.signal.aborted) {
        this.check = { kind: 'refused', problem: explain(error, this.trans) };
      }
    }
    if (!asking.signal.aborted) {
      this._changed.emit();
    }
  }

  private async _refresh(): Promise<void> {
    if (this.busy) {
      return;
    }
    this.platform = await this._options.readPlatform();
    if (this.check.kind === 'accepted' || this.check.kind === 'refused') {
      // The queue moves: what was said a moment ago may no longer hold.
      await this._checkNow();
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _poll: Poll<void, unknown>;
  private _asking: AbortController | null = null;
  private _key = UUID.uuid4();
  private _sent = '';
  private _timer = 0;
}
