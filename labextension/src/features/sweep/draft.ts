/** A sweep as it is typed in the dialog: values of each parameter, or a table; and the points that this makes. No React. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from '../../core/api';
import { explain } from '../../core/errors';
import { initialInput, isChanged, type Typed } from '../../core/parameters';
import type { IInspection, IParameter, IProblem, Point } from '../../core/types';
import { asPython } from '../../core/values';
import { writeTable } from './write';

/** Time without a change before the server is asked, in milliseconds. */
const SETTLED = 350;
/** Points in the queue or running at a time, unless something else is typed. */
export const AT_MOST = 8;

/** How the points are told. */
export type Way = 'grid' | 'table';

/** A parameter of a script, which itself does not say what it takes. */
export interface IRow {
  name: string;
  text: string;
}

interface IDraftOptions {
  api: Api;
  trans: TranslationBundle;
}

export class SweepDraft implements IDisposable {
  constructor(private readonly _options: IDraftOptions) {}

  /** Emitted when something was typed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when the server has answered what was typed. */
  get settled(): ISignal<this, void> {
    return this._settled;
  }

  /** Whether it is a sweep at all. */
  on = false;
  way: Way = 'grid';
  /** Of a notebook: what was typed for each parameter. */
  grid: { [name: string]: string } = {};
  /** Of a script. */
  rows: readonly IRow[] = [{ name: '', text: '' }];
  table = '';
  /** The points of the last answer; they stay while the next one is awaited. */
  points: Point[] | null = null;
  /** Why what was typed makes no points. */
  problem: IProblem | null = null;

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Whether an answer is awaited. */
  get pending(): boolean {
    return this._answer !== null || this._timer !== 0;
  }

  /** Whether nothing was typed yet. */
  get empty(): boolean {
    return this._asked() === null;
  }

  /** Points that would run. */
  get size(): number {
    return this.on && !this.problem ? (this.points?.length ?? 0) : 0;
  }

  /** What the field of "at most at once" shows. */
  get atMost(): string {
    return this._atMost ?? String(Math.min(AT_MOST, this.size || AT_MOST));
  }

  /** Say what was inspected, and whether the file is a script. */
  inspected(inspection: IInspection): void {
    this._path = inspection.path;
    this._script = inspection.kind === 'script';
    this._parameters = inspection.parameters;
  }

  /** Make it a sweep, beginning with what was typed for one run; or one run again. */
  turn(on: boolean, inspection: IInspection, inputs: { [name: string]: Typed }): void {
    this.on = on;
    if (on && this.empty) {
      for (const parameter of inspection.parameters) {
        const input = inputs[parameter.name] ?? initialInput(parameter);
        if (isChanged(parameter, input)) {
          this.grid = { ...this.grid, [parameter.name]: asOneValue(input) };
        }
      }
    }
    this._touched();
  }

  /**
   * Make it a sweep of points that there were before, as a table; never rejects.
   *
   * Until something is typed they are what would run, exactly as they are.
   */
  restore(reading: Promise<Point[]>, atMost: number): Promise<void> {
    this._stop();
    Object.assign(this, { on: true, way: 'table', table: '' });
    this._atMost = String(atMost);
    this._abort = new AbortController();
    const answer = this._take(reading, this._abort.signal, points => {
      this.table = writeTable(points, this._parameters);
    });
    this._answer = answer;
    this._changed.emit();
    return answer;
  }

  set(change: Partial<Pick<SweepDraft, 'way' | 'rows' | 'table'>>): void {
    Object.assign(this, change);
    this._touched();
  }

  setValues(name: string, text: string): void {
    this.grid = { ...this.grid, [name]: text };
    this._touched();
  }

  setAtMost(text: string): void {
    this._atMost = text;
    this._changed.emit();
  }

  /** What a submission has of it, or undefined for one run. */
  get body(): { points: Point[]; parallelism: number } | undefined {
    const { points, size } = this;
    if (!points || !size) {
      return undefined;
    }
    return { points, parallelism: Math.min(Number(this.atMost), size) };
  }

  /** Sentences by the field that they are about. */
  get errors(): { [field: string]: string } {
    const errors: { [field: string]: string } = {};
    if (!this.on) {
      return errors;
    }
    const { trans } = this._options;
    if (!/^[1-9]\d{0,5}$/.test(this.atMost.trim())) {
      errors['sweep.parallelism'] = trans.__('A whole number from 1 on is expected.');
    }
    if (this._script && this.way === 'grid') {
      Object.assign(errors, rowErrors(this.rows, trans));
    }
    if (this.problem) {
      const { message, hint } = this.problem;
      const sentence = [message, hint].filter(Boolean).join(' ');
      errors[this.place(this.problem.field ?? 'sweep')] ??= sentence;
    }
    return errors;
  }

  /** The field of the dialog that a refusal of the server is about. */
  place(field: string): string {
    if (!this.on || field === 'sweep.parallelism') {
      return field;
    }
    const [, name] = /^(?:sweep|parameters)\.(.*)$/.exec(field) ?? [];
    if (name === undefined) {
      return field;
    }
    if (this.way === 'grid') {
      if (!this._script && this._parameters.some(parameter => parameter.name === name)) {
        return `sweep.${name}`;
      }
      const row = this.rows.findIndex(item => item.name.trim() === name);
      if (this._script && row >= 0) {
        return rowField(row);
      }
    }
    return 'sweep';
  }

  /** Wait until the server has answered what is typed now; never rejects. */
  async settle(): Promise<void> {
    if (this._timer) {
      this._send();
    }
    await this._answer;
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this._stop();
      Signal.clearData(this);
    }
  }

  /** What the server is to be asked, or null while nothing is typed. */
  private _asked(): { grid: { [name: string]: string } } | { table: string } | null {
    if (this.way === 'table') {
      return this.table.trim() ? { table: this.table } : null;
    }
    const typed = this._script
      ? this.rows.map(({ name, text }) => [name.trim(), text] as const)
      : // In the order of the notebook, whichever was typed first: the last one varies fastest.
        this._parameters.map(({ name }) => [name, this.grid[name] ?? ''] as const);
    const grid = Object.fromEntries(typed.filter(([name, text]) => name && text.trim()));
    return Object.keys(grid).length ? { grid } : null;
  }

  private _touched(): void {
    this._stop();
    const asked = this._asked();
    const text = JSON.stringify(asked);
    if (!this.on || asked === null) {
      this.points = this.problem = null;
      this._answered = '';
    } else if (text !== this._answered) {
      this._timer = window.setTimeout(() => this._send(), SETTLED);
    }
    this._changed.emit();
  }

  private _stop(): void {
    window.clearTimeout(this._timer);
    this._timer = 0;
    this._abort?.abort();
    this._abort = null;
    this._answer = null;
  }

  private _send(): void {
    this._stop();
    this._abort = new AbortController();
    const { signal } = this._abort;
    const asked = { path: this._path, ...this._asked() };
    this._answer = this._take(this._options.api.makePoints(asked, signal), signal);
  }

  private async _take(
    reading: Promise<Point[]>,
    signal: AbortSignal,
    onPoints?: (points: Point[]) => void
  ): Promise<void> {
    let points: Point[] | null = null;
    let problem: IProblem | null = null;
    try {
      points = await reading;
    } catch (error) {
      problem = explain(error, this._options.trans);
    }
    if (signal.aborted) {
      return;
    }
    if (points) {
      onPoints?.(points);
    }
    this.points = points;
    this.problem = problem;
    // What was not answered may be answered next time.
    this._answered = points ? JSON.stringify(this._asked()) : '';
    this._answer = null;
    this._settled.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _settled = new Signal<this, void>(this);
  private _abort: AbortController | null = null;
  private _answer: Promise<void> | null = null;
  private _answered = '';
  private _atMost: string | null = null;
  private _disposed = false;
  private _parameters: readonly IParameter[] = [];
  private _path = '';
  private _script = false;
  private _timer = 0;
}

/** The field of a script's parameter, by its place. */
export function rowField(index: number): string {
  return `sweep#${index}`;
}

function rowErrors(rows: readonly IRow[], trans: TranslationBundle): { [field: string]: string } {
  const errors: { [field: string]: string } = {};
  rows.forEach(({ name, text }, index) => {
    if (text.trim() && !name.trim()) {
      errors[rowField(index)] = trans.__('Give these values a name.');
    } else if (name.trim() && rows.findIndex(other => other.name.trim() === name.trim()) < index) {
      errors[rowField(index)] = trans.__('There is another parameter of this name.');
    }
  });
  return errors;
}

/** What was typed for one run, as the only value of a list. */
function asOneValue(input: Typed): string {
  if (typeof input === 'boolean') {
    return asPython(input);
  }
  // A comma would make it several values.
  return /^[^[({"'].*,/.test(input) ? JSON.stringify(input) : input;
}
