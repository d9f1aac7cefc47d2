/** What of a kernel's variables goes with a job: the server's stock of them, and what the person leaves out. No React. */

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from '../../core/api';
import type { IOrigin } from '../../core/tokens';
import type { IFromHere, IKernelState, IVariable } from '../../core/types';

/** Bytes from which on a variable can be left out one by one. */
const LARGE = 10 ** 7;

export class Carried implements IDisposable {
  constructor(
    private readonly _api: Api,
    private readonly _path: string,
    readonly origin: IOrigin
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What the kernel has, or null until it has answered. */
  stock: IKernelState | null = null;

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Ask the kernel; what was chosen before stays chosen. */
  async load(): Promise<void> {
    this.stock = await this._api.kernelState({ path: this._path, ...this.origin });
    this._changed.emit();
  }

  /** Whether a variable goes with the job. */
  has(variable: IVariable): boolean {
    return !variable.reason && (this._chosen.get(variable.name) ?? variable.carried);
  }

  choose(name: string, carried: boolean): void {
    this._chosen.set(name, carried);
    this._changed.emit();
  }

  /** Those that cannot go with the job, the needed ones first. */
  get refused(): IVariable[] {
    return this._variables.filter(each => each.reason).sort(neededFirst);
  }

  /** Those that are large enough to be asked about, the largest first. */
  get large(): IVariable[] {
    return this._variables
      .filter(each => !each.reason && (each.size ?? 0) >= LARGE)
      .sort((a, b) => (b.size ?? 0) - (a.size ?? 0));
  }

  get carried(): IVariable[] {
    return this._variables.filter(each => this.has(each));
  }

  /** Bytes of the file; data that variables share count once. */
  get size(): number {
    const shared = new Map<number, number>();
    let total = 0;
    for (const { size, shared: parts } of this.carried) {
      total += size ?? 0;
      for (const [key, bytes] of parts) {
        total -= bytes;
        shared.set(key, bytes);
      }
    }
    return [...shared.values()].reduce((sum, bytes) => sum + bytes, total);
  }

  /** What stands against it: the limit in bytes, or the room that is free. */
  get excess(): { limit: number } | { free: number } | null {
    const { stock, size } = this;
    if (stock && size > stock.limit) {
      return { limit: stock.limit };
    }
    return stock && stock.free !== null && size > stock.free ? { free: stock.free } : null;
  }

  /** The part of the submission's body. */
  get body(): IFromHere {
    const left = this._variables.filter(each => !each.reason && !this.has(each));
    return { ...this.origin, leave_out: left.map(each => each.name) };
  }

  /** What keeps it from being submitted. */
  get ready(): boolean {
    return !!this.stock && !this.excess;
  }

  dispose(): void {
    this._disposed = true;
    Signal.clearData(this);
  }

  private get _variables(): readonly IVariable[] {
    return this.stock?.variables ?? [];
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _chosen = new Map<string, boolean>();
  private _disposed = false;
}

/** 1.2 MB; powers of ten, as memory of programs is mostly told. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(size, 1)) / 3), units.length - 1);
  const amount = size / 1000 ** power;
  return `${power && amount < 100 ? Number(amount.toPrecision(2)) : Math.round(amount)} ${units[power]}`;
}

function neededFirst(a: IVariable, b: IVariable): number {
  return Number(b.used) - Number(a.used) || a.name.localeCompare(b.name);
}
