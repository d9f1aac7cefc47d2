/** The fields of the submission dialog: what is chosen and typed, and what they begin with. No React. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IInspection, IPlatform, IStatus } from '../types';
import { type IOffer, type ISelection, offer, settle } from './choices';
import { type IProposal, type IRemembered, propose } from './proposal';
import { inUnit, seconds, type Typed, type Unit } from './values';

/** What the fields begin with comes from these; null: not known yet, or there is none. */
export interface ISources {
  inspection: IInspection | null;
  remembered: IRemembered | null;
  status: IStatus | null;
}

export abstract class Fields {
  /** What may be chosen. */
  platform: IPlatform | null = null;
  selection: ISelection | null = null;
  inputs: { [name: string]: Typed } = {};
  argumentLine = '';
  name = '';
  /** Words by which the job is found again, with commas or blanks between them. */
  labels = '';
  amount = '';
  unit: Unit = 'hours';
  /** What the file's header gives, in words; empty if nothing. */
  given = '';
  /** Whether values are those of the last submission of this file. */
  recalled = false;

  abstract get trans(): TranslationBundle;

  get offer(): IOffer | null {
    return this.platform && this.selection ? offer(this.platform, this.selection) : null;
  }

  /** Choose; what no longer goes together is replaced. */
  select(change: Partial<ISelection>): void {
    if (this.platform && this.selection) {
      this.selection = settle(this.platform, { ...this.selection, ...change });
      this._typed = { ...this._typed, ...change };
      this.touched(Object.keys(change));
    }
  }

  setInput(name: string, value: Typed): void {
    this.inputs = { ...this.inputs, [name]: value };
    this.touched([`parameters.${name}`]);
  }

  /** Take the notebook's own value again. */
  resetInput(name: string): void {
    this.inputs = Object.fromEntries(
      Object.entries(this.inputs).filter(([known]) => known !== name)
    );
    this.touched([`parameters.${name}`]);
  }

  set(change: Partial<Pick<Fields, 'argumentLine' | 'name' | 'labels' | 'amount' | 'unit'>>): void {
    Object.assign(this, change);
    const fields = Object.keys(change).map(key => FIELD_OF[key] ?? key);
    fields.forEach(field => this._written.add(field));
    this.touched(fields);
  }

  /** What is to be remembered of them for the next time, or null while they cannot be read. */
  get remembered(): IRemembered | null {
    const { selection, argumentLine: line } = this;
    const time = seconds(this.amount, this.unit);
    return selection && time ? { selection, time, ...(line && { line }) } : null;
  }

  /** Fill in what the header, the last submission and the session propose; what was typed stays. */
  protected begin({ inspection, remembered, status }: ISources): void {
    const { platform, trans } = this;
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
    this.advice = proposal.notes;
    const written = this._written;
    if (!written.has('time_limit')) {
      const usual = Math.min(platform.job_default_time, this.offer?.maxTime || Infinity);
      Object.assign(this, inUnit(proposal.time ?? usual));
    }
    if (!written.has('name')) {
      this.name = proposal.name;
    }
    if (!written.has('labels')) {
      this.labels = proposal.labels;
    }
    if (!written.has('arguments')) {
      this.argumentLine = line;
    }
  }

  /** Called when something was chosen or typed, with the keys of a request that it belongs to. */
  protected abstract touched(fields: readonly string[]): void;

  /** Sentences about values of the header that cannot be used, by their field. */
  protected advice: { [field: string]: string } = {};
  /** What the person has chosen, and the other fields that the person has written into. */
  private _typed: Partial<ISelection> = {};
  private readonly _written = new Set<string>();
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
