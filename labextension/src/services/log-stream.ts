/** The log of one attempt of a job: its end as it grows, and earlier parts on demand, in bounded memory. */

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import { type Api, ApiError } from '../core/api';

/** Bytes read of a log that was there before. */
export const TAIL = 64 * 1024;
/** Bytes that one press on “Earlier” adds. */
export const STEP = 256 * 1024;
/** Bytes kept while the end is followed; what is older is dropped. */
export const KEPT = 512 * 1024;
/** Bytes kept at most, however often somebody asks for earlier parts. */
export const MOST = 4 * 1024 * 1024;
/** Bytes after which a line that does not end is shown in parts. */
const LONGEST_LINE = 64 * 1024;
const LONGEST_WAIT = 15_000;
const NEWLINE = 10;
const RETURN = 13;

/** How the following goes. */
export type FollowState = 'connecting' | 'following' | 'interrupted' | 'ended' | 'refused';

/** Whole lines of a log; never changed. */
export interface IPart {
  /** Position of its first byte, which is its identity. */
  readonly from: number;
  /** Position behind its last byte. */
  readonly to: number;
  /** The way a terminal would have it. */
  readonly text: string;
}

/** Reads a log as it grows, and goes on where it broke off. */
export class LogFollower implements IDisposable {
  constructor(
    private readonly _api: Api,
    readonly job: string,
    readonly attempt: number
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

  /** What is loaded, in order; between two parts something may be missing. */
  get parts(): readonly IPart[] {
    const { open } = this;
    return open ? [...this._parts, open] : this._parts;
  }

  /** Position of the first byte that is loaded without a gap up to the end. */
  get start(): number {
    return this._tail().from;
  }

  /** Whether something before the end is not loaded. */
  get truncated(): boolean {
    return this.start > 0;
  }

  /** Whether earlier parts may still be asked for. */
  get mayLoadEarlier(): boolean {
    return this.truncated && this._size < MOST;
  }

  /** Whether the beginning is loaded. */
  get hasBeginning(): boolean {
    return (this._parts[0]?.from ?? this._open.from) === 0;
  }

  get text(): string {
    return this.parts.map(part => part.text).join('');
  }

  /** Whether what is old may be dropped when more arrives. */
  trimming = true;

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

  /** Load the part before what is loaded up to the end. */
  async earlier(): Promise<void> {
    const { start } = this;
    const floor = this._before(start);
    const from = Math.max(floor, start - STEP);
    if (this.mayLoadEarlier && from < start) {
      await this._load(from, start, floor);
    }
  }

  /** Load the first part, whatever is missing behind it. */
  async beginning(): Promise<void> {
    if (!this.hasBeginning && this._size < MOST) {
      const first = this._parts[0]?.from ?? this._open.from;
      await this._load(0, Math.min(TAIL, first), 0);
    }
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._abort.abort();
      Signal.clearData(this);
    }
  }

  /** The line that has not ended yet. */
  private get open(): IPart | null {
    const { from, bytes } = this._open;
    return bytes.length ? { from, to: from + bytes.length, text: decode(bytes, true) } : null;
  }

  /** The first of the parts that follow each other up to the end. */
  private _tail(): { index: number; from: number } {
    let index = this._parts.length;
    let { from } = this._open;
    while (index > 0 && this._parts[index - 1].to === from) {
      index -= 1;
      from = this._parts[index].from;
    }
    return { index, from };
  }

  /** Where the part before a position ends, or the beginning. */
  private _before(start: number): number {
    const before = this._parts.filter(part => part.to <= start && part.from < start);
    return before.length ? before[before.length - 1].to : 0;
  }

  private async _load(from: number, to: number, floor: number): Promise<void> {
    const { bytes, offset } = await this._api.logPart(
      this.job,
      this.attempt,
      from,
      to - from,
      this._abort.signal
    );
    if (this.isDisposed || offset !== from || !bytes.length) {
      return;
    }
    // Only whole lines: the one that is cut off in front comes with what is before it.
    const first = from === floor ? 0 : bytes.indexOf(NEWLINE) + 1;
    const next = this._parts.find(part => part.from >= to)?.from ?? this._open.from;
    const last = from + bytes.length === next ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    if (first < last) {
      const part = { from: from + first, to: from + last, text: decode(bytes.slice(first, last)) };
      const index = this._parts.findIndex(other => other.from >= part.to);
      this._parts.splice(index < 0 ? this._parts.length : index, 0, part);
    }
    this._changed.emit();
  }

  private async _stream(arrived: () => void): Promise<void> {
    const stream = await this._api.follow(
      this.job,
      this.attempt,
      this._position ?? -TAIL,
      this._abort.signal
    );
    let skip = false;
    if (this._position === null) {
      this._position = stream.offset;
      this._open.from = stream.offset;
      // It begins somewhere in a line.
      skip = stream.offset > 0;
    }
    this._set('following');
    for (;;) {
      const { done, value } = await stream.reader.read();
      if (done) {
        return;
      }
      arrived();
      this._position += value.byteLength;
      let bytes = value;
      if (skip) {
        const line = bytes.findIndex(byte => byte === NEWLINE || byte === RETURN) + 1;
        skip = line === 0 && this._position - stream.offset < LONGEST_LINE;
        const cut = skip ? bytes.length : line;
        this._open.from += cut;
        bytes = bytes.slice(cut);
      }
      this._append(bytes);
    }
  }

  private _append(bytes: Uint8Array): void {
    const all = joined(this._open.bytes, bytes);
    const { from } = this._open;
    let end = all.lastIndexOf(NEWLINE) + 1;
    let text = decode(all.slice(0, end));
    if (all.length - end > LONGEST_LINE) {
      // Of a progress bar what comes overwrites what was.
      const bar = all.lastIndexOf(RETURN) + 1;
      const start = end;
      end = bar > end ? bar : cutAt(all);
      text += bar > start ? '' : decode(all.slice(start, end));
    }
    if (end > 0) {
      this._parts.push({ from, to: from + end, text });
    }
    this._open = { from: from + end, bytes: all.slice(end) };
    this._trim();
    this._changed.emit();
  }

  /** Drop what is oldest; the beginning too, if it was loaded. */
  private _trim(): void {
    const most = this.trimming ? KEPT : MOST;
    while (this._parts.length > 1 && this._size > most) {
      this._parts.shift();
    }
    // Of a log that comes line by line there would be a part for each.
    const last = this._parts.length - 1;
    const [before, part] = [this._parts[last - 1], this._parts[last]];
    if (before && before.to === part.from && part.to - before.from < TAIL / 4) {
      const text = before.text + part.text;
      this._parts.splice(last - 1, 2, { from: before.from, to: part.to, text });
    }
  }

  private get _size(): number {
    return this._parts.reduce((sum, part) => sum + part.to - part.from, this._open.bytes.length);
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
  private readonly _parts: IPart[] = [];
  private _open = { from: 0, bytes: new Uint8Array() };
  private _position: number | null = null;
  private _state: FollowState = 'connecting';
  private _error: unknown = null;
}

/** Where the last character that is complete ends. */
function cutAt(bytes: Uint8Array): number {
  let end = bytes.length;
  // 10xxxxxx goes on with a character of UTF-8, and 11xxxxxx begins one.
  while (end > bytes.length - 4 && (bytes[end - 1] & 0xc0) === 0x80) {
    end -= 1;
  }
  return end > 1 && (bytes[end - 1] & 0xc0) === 0xc0 ? end - 1 : bytes.length;
}

function joined(before: Uint8Array, after: Uint8Array): Uint8Array {
  const all = new Uint8Array(before.length + after.length);
  all.set(before);
  all.set(after, before.length);
  return all;
}

function decode(bytes: Uint8Array, unfinished = false): string {
  // A character that is not complete yet is left out until it is.
  return displayLog(new TextDecoder().decode(bytes, { stream: unfinished }));
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
