/** The submission dialog without its looks: reads the file, says what is wrong and what would happen, and submits. No React. */

import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { UUID } from '@lumino/coreutils';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from '../../core/api';
import { descriptions } from '../../core/descriptions';
import { explain, versionProblem } from '../../core/errors';
import type { Typed } from '../../core/parameters';
import type { IMemory, IOrigin, IRemembered, ISelection } from '../../core/tokens';
import type {
  ICheck,
  IInspection,
  IJob,
  IPlatform,
  IProblem,
  IStatus,
  ISubmission
} from '../../core/types';
import { Carried } from '../kernel-state/carried';
import { SweepDraft } from '../sweep/draft';
import { Checker } from './checker';
import { type IOffer, offer, settle } from './choices';
import { FolderDraft, type IRuns } from './folder';
import { type IProposal, propose } from './proposal';
import { type IRequest, readRequest } from './request';
import { inUnit, seconds, type Unit } from './values';

/** Time after which what was free is read again, in milliseconds. */
const REFRESH = 5000;

/** Reasons of a problem that may be over by the time the button is pressed. */
const PASSING: ReadonlySet<string> = new Set(['unavailable', 'capacity', 'too_many', 'internal']);

/** Fields of the form beside which a sentence of the server has a place. */
const PLACES: ReadonlySet<string> = new Set([
  'project',
  'accelerator',
  'count',
  'queue',
  'image',
  'size',
  'time_limit',
  'labels',
  'program',
  'command'
]);

interface IFormOptions {
  api: Api;
  contents: Contents.IManager;
  trans: TranslationBundle;
  path: string;
  /** Whether it is a folder, which is submitted as a whole. */
  isFolder?: boolean;
  /** What runs in it, whatever ran last time. */
  runs?: IRuns;
  /** Read what may be used; given by the caller so that the answer is shared. */
  readPlatform: () => Promise<IPlatform>;
  /** Of a notebook that goes on from its kernel. */
  origin?: IOrigin;
  memory?: IMemory;
  /** Labels of jobs that are known, which are offered. */
  labelsInUse?: readonly string[];
}

/** What is chosen and typed, what that begins with, and what the server says about it. */
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
    this.sweep.changed.connect(() => this._touched(['sweep']));
    this.sweep.settled.connect(this._onSettled, this);
    this.carried = _options.origin
      ? new Carried(_options.api, _options.path, _options.origin)
      : null;
    this.carried?.changed.connect(() => this._touched(['from_here', 'state']));
    this.folder = _options.isFolder ? new FolderDraft(_options) : null;
    this.folder?.inspected.connect((_, found) => this._inspected(found));
    this.checker = new Checker({ ..._options, read: () => this._checkable() });
    this.checker.changed.connect(() => this._changed.emit());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What may be chosen. */
  platform: IPlatform | null = null;
  selection: ISelection | null = null;
  inputs: { [name: string]: Typed } = {};
  argumentLine = '';
  /** What is said about the job, by key of `descriptions`. */
  texts: { [key: string]: string } = {};
  /** Words by which the job is found again, with commas or blanks between them. */
  labels = '';
  amount = '';
  unit: Unit = 'hours';
  /** What the file's header gives, in words; empty if nothing. */
  given = '';
  /** Whether values are those of the last submission of this file. */
  recalled = false;

  /** What the server says about the submission as it stands. */
  readonly checker: Checker;
  /** Why the last submission was not accepted; kept until something is changed. */
  failure: IProblem | null = null;
  inspection: IInspection | null = null;
  status: IStatus | null = null;
  /** What runs, if a folder is submitted. */
  readonly folder: FolderDraft | null;
  /** Whether it is a sweep, and of which points. */
  readonly sweep: SweepDraft;
  /** What goes with a job that goes on from the kernel. */
  readonly carried: Carried | null;
  /** Whether a submission is under way. */
  busy = false;
  /** What keeps the form from being filled in at all. */
  fatal: IProblem | null = null;

  get trans(): TranslationBundle {
    return this._options.trans;
  }

  get offer(): IOffer | null {
    return this.platform && this.selection ? offer(this.platform, this.selection) : null;
  }

  get contents(): Contents.IManager {
    return this._options.contents;
  }

  get labelsInUse(): readonly string[] {
    return this._options.labelsInUse ?? [];
  }

  get path(): string {
    return this._options.path;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  get ready(): boolean {
    return !!(this.platform && this.selection && (this.folder?.info || this.inspection));
  }

  /** Sentences by the field that they are about; those of the server last until the field changes. */
  get errors(): { [field: string]: string } {
    const { errors } = this._read();
    for (const problem of [this.failure, this.refusal]) {
      if (problem?.field) {
        errors[this.place(problem.field)] ??= whole(problem.message, problem.hint);
      }
    }
    return errors;
  }

  /** The field of the form that a field of the request belongs to. */
  place(field: string): string {
    return this.folder && field === 'path' ? 'program' : this.sweep.place(field);
  }

  /** Why the server would refuse what is filled in. */
  get refusal(): IProblem | null {
    const { verdict } = this.checker;
    return verdict.kind === 'refused' ? verdict.problem : null;
  }

  /** Whether pressing the button is known to be in vain; advice never is a reason. */
  get refused(): boolean {
    return !!this.refusal && !PASSING.has(this.refusal.reason);
  }

  /** Whether the button submits what is known to be sure to fail. */
  get anyway(): boolean {
    return this.checker.doomed && !this.refused;
  }

  /** Advice by the field that it is about: of the file's header, and of the checks. */
  get notes(): { [field: string]: string } {
    const notes = { ...this._advice };
    for (const check of this.checker.checks) {
      if (check.verdict !== 'ok' && this.isPlaced(check)) {
        const field = this.place(check.field ?? '');
        notes[field] = whole(notes[field], check.sentence, check.hint);
      }
    }
    return notes;
  }

  /** Whether a check stands beside its field. */
  isPlaced({ field }: ICheck): boolean {
    if (field === null || (field === 'count' && !this.offer?.maxCount)) {
      return false;
    }
    const place = this.place(field);
    const known = PLACES.has(place) || descriptions(this.trans).some(({ key }) => key === place);
    return known && (place !== 'program' || this.folder?.way === 'file');
  }

  /** Whether what is filled in can be sent. */
  get canSubmit(): boolean {
    return (
      this.ready &&
      !this.busy &&
      !this.fatal &&
      this.carried?.ready !== false &&
      !this.folder?.pending &&
      !(this._sweeps && this.sweep.empty) &&
      !Object.keys(this._read().errors).length
    );
  }

  /** Read the file and what may be used. */
  async load(): Promise<void> {
    const { api, trans } = this._options;
    this.fatal = null;
    try {
      const recalling = this._options.memory?.recall(this.path) ?? Promise.resolve(null);
      const [status, inspection, platform, remembered] = await Promise.all([
        api.status(),
        this.folder
          ? recalling.then(found => this.folder?.load(this._options.runs ?? found) ?? null)
          : api.inspect(this.path),
        this._options.readPlatform(),
        recalling,
        this.carried?.load()
      ]);
      if (this.isDisposed) {
        return;
      }
      this.status = status;
      this.inspection = inspection;
      if (inspection) {
        this.sweep.inspected(inspection);
      }
      this.platform = platform;
      this._remembered = remembered;
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
      this._begin();
      // In a folder another file may be chosen.
      const problem = this.folder ? null : inspection?.problem;
      this.fatal ??= problem ?? versionProblem(status, trans);
      void this._poll.start().catch(() => undefined);
      this._touched([]);
    } catch (error) {
      this.fatal = explain(error, trans);
    }
    this._changed.emit();
  }

  /** Choose; what no longer goes together is replaced. */
  select(change: Partial<ISelection>): void {
    if (this.platform && this.selection) {
      this.selection = settle(this.platform, { ...this.selection, ...change });
      this._typed = { ...this._typed, ...change };
      this._touched(Object.keys(change));
    }
  }

  setInput(name: string, value: Typed): void {
    this.inputs = { ...this.inputs, [name]: value };
    this._touched([`parameters.${name}`]);
  }

  /** Take the notebook's own value again. */
  resetInput(name: string): void {
    this.inputs = Object.fromEntries(
      Object.entries(this.inputs).filter(([known]) => known !== name)
    );
    this._touched([`parameters.${name}`]);
  }

  set(change: Partial<Pick<SubmitForm, 'argumentLine' | 'labels' | 'amount' | 'unit'>>): void {
    Object.assign(this, change);
    this._wrote(Object.keys(change).map(key => FIELD_OF[key] ?? key));
  }

  /** Say something about the job. */
  write(texts: { [key: string]: string }): void {
    this.texts = { ...this.texts, ...texts };
    this._wrote(Object.keys(texts));
  }

  /** Begin without what was chosen last time. */
  forget(): void {
    this._options.memory?.keep(this.path, null);
    this._remembered = null;
    this._begin();
    this._touched([]);
  }

  /** Choose what runs in a folder. */
  run(change: { way?: 'file' | 'command'; program?: string; command?: string }): void {
    const { folder } = this;
    if (!folder) {
      return;
    }
    const { program, ...rest } = change;
    Object.assign(folder, rest);
    if (program !== undefined) {
      void folder.choose(program);
    }
    this._touched(['program', 'command', 'path']);
  }

  /**
   * Submit once: a second press while it is under way, or with nothing changed, is the same submission.
   *
   * @returns The job, or null when it was not accepted; then `failure` and `errors` say why.
   */
  async submit(): Promise<IJob | null> {
    if (!this.canSubmit) {
      return null;
    }
    this.checker.stop();
    this.busy = true;
    this.failure = null;
    this._changed.emit();
    try {
      await this.sweep.settle();
      const { body, errors } = this._read();
      if (Object.keys(errors).length) {
        return null;
      }
      if (this.anyway) {
        body.anyway = true;
      }
      const text = JSON.stringify(body);
      if (text !== this._sent) {
        this._sent = text;
        this._key = UUID.uuid4();
      }
      const job = await this._options.api.submit(body, this._key);
      this._remember();
      return job;
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
      this.checker.dispose();
      this.sweep.dispose();
      this.carried?.dispose();
      this._poll.dispose();
      Signal.clearData(this);
    }
  }

  /** Called when the person wrote into fields, which then keep that. */
  private _wrote(fields: readonly string[]): void {
    fields.forEach(field => this._written.add(field));
    this._touched(fields);
  }

  /** Called when something was chosen or typed, with the keys of a request that it belongs to. */
  private _touched(fields: readonly string[]): void {
    this.failure = null;
    fields.forEach(field => delete this._advice[field]);
    this.checker.touch(fields);
    this._changed.emit();
  }

  /** Whether it is a sweep of something that can be swept. */
  private get _sweeps(): boolean {
    return this.sweep.on && this.folder?.way !== 'command';
  }

  /** Take in what another file of the folder is. */
  private _inspected(found: IInspection | null): void {
    this.inspection = found;
    this.inputs = {};
    if (found) {
      this.sweep.inspected(found);
    }
    this._begin();
    this._touched([]);
  }

  /** Fill in what the header, the last submission and the session propose; what was typed stays. */
  private _begin(): void {
    const { platform, status, trans, _remembered: remembered } = this;
    const inspection = this.folder?.way === 'command' ? null : this.inspection;
    if (!platform) {
      return;
    }
    const session = status?.session ?? null;
    const sources = { platform, session, inspection, remembered, typed: this._typed };
    const proposal = propose(sources, trans);
    const plain = propose({ ...sources, remembered: null }, trans);
    const line = remembered?.line ?? '';
    this.selection = proposal.selection;
    this.given = proposal.given;
    this.recalled = !!line || differs(proposal, plain);
    this._advice = proposal.notes;
    const written = this._written;
    if (!written.has('time_limit')) {
      const usual = Math.min(platform.default_time_limit, this.offer?.maxTime || Infinity);
      Object.assign(this, inUnit(proposal.time ?? usual));
    }
    if (!written.has('name')) {
      this.texts = { ...this.texts, name: proposal.name };
    }
    if (!written.has('labels')) {
      this.labels = proposal.labels;
    }
    if (!written.has('arguments')) {
      this.argumentLine = line;
    }
  }

  /** Remember what was chosen for the next time. */
  private _remember(): void {
    const { selection, argumentLine: line } = this;
    const time = seconds(this.amount, this.unit);
    if (selection && time) {
      const chosen = { selection, time, ...(line && { line }), ...this.folder?.chosen };
      this._options.memory?.keep(this.path, chosen);
    }
  }

  /** The body as it stands, and what is wrong with it. */
  private _read(): IRequest {
    return readRequest(this, this.trans);
  }

  private _onSettled(): void {
    if (!this.busy) {
      void this.checker.ask();
    }
    this._changed.emit();
  }

  /** What the server can be asked about. */
  private _checkable(): ISubmission | null | undefined {
    const { body, errors } = this._read();
    if (this.folder?.pending || (this._sweeps && this.sweep.pending)) {
      // The answer to that asks again.
      return undefined;
    }
    const nothing = (this._sweeps && !body.sweep) || this.carried?.ready === false;
    return !this.ready || this.busy || this.fatal || nothing || Object.keys(errors).length
      ? null
      : body;
  }

  private async _refresh(): Promise<void> {
    if (this.busy) {
      return;
    }
    try {
      this.platform = await this._options.readPlatform();
    } finally {
      // What was said a moment ago may no longer hold, and that nobody answered least of all.
      await this.checker.again();
      this._changed.emit();
    }
  }

  /** Sentences about values of the header that cannot be used, by their field. */
  private _advice: { [field: string]: string } = {};
  /** What the person has chosen, and the other fields that the person has written into. */
  private _typed: Partial<ISelection> = {};
  private readonly _written = new Set<string>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _poll: Poll<void, unknown>;
  private _key = UUID.uuid4();
  private _remembered: IRemembered | null = null;
  private _sent = '';
}

/** Sentences one behind the other. */
export function whole(...sentences: (string | undefined)[]): string {
  return sentences.filter(Boolean).join(' ');
}

/** The field of a request that a part of the form belongs to, where they have different names. */
const FIELD_OF: { [key: string]: string } = {
  amount: 'time_limit',
  unit: 'time_limit',
  argumentLine: 'arguments'
};

function differs(one: IProposal, other: IProposal): boolean {
  return (
    one.time !== other.time || JSON.stringify(one.selection) !== JSON.stringify(other.selection)
  );
}
