/** Following the log of one attempt of a job. */

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import { ApiError, type Api } from './api';

/** Bytes read of a log that was there before. */
const TAIL = 64 * 1024;
/** Characters kept for showing. */
const KEPT = 400_000;
const LONGEST_WAIT = 15_000;

/** How the following goes. */
export type FollowState = 'connecting' | 'following' | 'interrupted' | 'ended' | 'refused';

/** Reads a log as it grows, and goes on where it broke off. */
export class LogFollower implements IDisposable {
  constructor(
    private readonly _api: Api,
    readonly job: string,
    readonly attempt: number,
    private readonly _from: number = -TAIL
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): FollowState {
    return this._state;
  }

  get error(): unknown {
    return this._error;
  }

  /** Whether something before the shown text was left out. */
  get truncated(): boolean {
    return this._start > 0 || this._cut;
  }

  /** The text so far, the way a terminal would have it. */
  get text(): string {
    return displayLog(this._raw);
  }

  get isDisposed(): boolean {
    return this._abort.signal.aborted;
  }

  /** Follow until the attempt is over, or until disposed; never rejects. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.isDisposed) {
      try {
        await this._stream(() => (failures = 0));
        this._set('ended');
        return;
      } catch (error) {
        if (this.isDisposed) {
          return;
        }
        this._error = error;
        if (error instanceof ApiError && error.kind === 'problem' && error.status < 429) {
          this._set('refused');
          return;
        }
        this._set('interrupted');
        failures += 1;
        await this._pause(Math.min(LONGEST_WAIT, 500 * 2 ** failures));
      }
    }
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._abort.abort();
      Signal.clearData(this);
    }
  }

  private async _stream(arrived: () => void): Promise<void> {
    const stream = await this._api.follow(
      this.job,
      this.attempt,
      this._position ?? this._from,
      this._abort.signal
    );
    if (this._position === null) {
      this._start = stream.offset;
      this._position = stream.offset;
    }
    this._set('following');
    for (;;) {
      const { done, value } = await stream.reader.read();
      if (done) {
        return;
      }
      arrived();
      this._position += value.byteLength;
      this._append(this._decoder.decode(value, { stream: true }));
    }
  }

  private _append(text: string): void {
    this._raw += text;
    if (this._raw.length > KEPT) {
      const from = this._raw.indexOf('\n', this._raw.length - KEPT * 0.75);
      this._raw = this._raw.slice(from + 1);
      this._cut = true;
    }
    this._changed.emit();
  }

  private _set(state: FollowState): void {
    this._state = state;
    this._changed.emit();
  }

  private _pause(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds);
      this._abort.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private readonly _abort = new AbortController();
  private readonly _changed = new Signal<this, void>(this);
  // One decoder for all connections: a character may be split between two of them.
  private readonly _decoder = new TextDecoder();
  private _position: number | null = null;
  private _start = 0;
  private _cut = false;
  private _raw = '';
  private _state: FollowState = 'connecting';
  private _error: unknown = null;
}

// eslint-disable-next-line no-control-regex -- escape sequences are what is looked for
const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Take colours off, and let a carriage return overwrite its line, as progress bars rely on. */
export function displayLog(raw: string): string {
  const plain = raw.replace(ANSI, '');
  if (!plain.includes('\r')) {
    return plain;
  }
  return plain
    .replace(/\r+\n/g, '\n')
    .split('\n')
    .map(line => {
      const shown = line.replace(/\r+$/, '');
      return shown.slice(shown.lastIndexOf('\r') + 1);
    })
    .join('\n');
}
