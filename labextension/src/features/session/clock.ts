/**
 * Follows the session's clock: draws the time that is left, and asks the hub when that may have changed. Loaded a moment
 * after the page.
 */

import { clock, timeLeft } from '../../core/time-left';
import type { IStatusItem } from '../../core/ui/status-item';
import type { ISessionTimeoutOptions, SessionTimeout } from './timeout';

/** Milliseconds between two looks at the clock: a twentieth of the time that is left, within these. */
const TICK = { least: 1000, most: 20_000 };

/** Milliseconds between two looks at the hub while the end is certain otherwise. */
const WITHDRAWN = 120_000;

const WARNING =
  'color:var(--jp-ui-inverse-font-color0);background:var(--jp-inverse-layout-color2);font-weight:600';

interface IClockOptions extends Omit<ISessionTimeoutOptions, 'told'> {
  statusItem: IStatusItem;
  /** Until then nothing can put the end off. */
  certainUntil: number;
}

/** Whether the hub is to be asked. */
export function asks(now: number, certainUntil: number, askedAt: number): boolean {
  return now >= certainUntil || now - askedAt >= WITHDRAWN;
}

export class SessionClock {
  constructor(private readonly _options: IClockOptions) {
    this._end = _options.end;
    this._tick();
    document.addEventListener('visibilitychange', () => this._look(true));
  }

  /** Tell when the session ends, and offer to extend it. */
  async show(): Promise<void> {
    await (await this._load()).show();
  }

  /** Load what reads the end again, warns and extends. */
  private _load(): Promise<SessionTimeout> {
    this._loading ??= import('./timeout')
      .then(({ SessionTimeout }) => new SessionTimeout({ ...this._options, told: this._told }))
      .catch(error => {
        // A chunk that did not arrive may arrive next time.
        this._loading = null;
        throw error;
      });
    return this._loading;
  }

  private readonly _told = (end: number, offset: number, warns: boolean) => {
    const { statusItem, trans } = this._options;
    this._end = end;
    this._offset = offset;
    statusItem.button.title = trans.__('This session ends at %1 at the latest', clock(end));
    statusItem.item.toggleClass('aiinfn-mod-warning', warns);
    statusItem.item.node.style.cssText = warns ? WARNING : '';
    this._draw();
  };

  private _draw(): void {
    const { button } = this._options.statusItem;
    const text = timeLeft(this._end - Date.now() - this._offset, this._options.trans);
    if (button.textContent !== text) {
      button.textContent = text;
    }
  }

  private _look(again = false): void {
    this._draw();
    const { certainUntil } = this._options;
    const now = Date.now() + this._offset;
    if (asks(now, certainUntil, this._askedAt) && document.visibilityState === 'visible') {
      this._askedAt = now;
      void this._load()
        .then(timeout => timeout.look(again || now < certainUntil))
        .catch(error => console.warn('The time of the session is not known', error));
    }
  }

  private _tick(): void {
    this._look();
    const rest = (this._end - Date.now() - this._offset) / 20;
    setTimeout(() => this._tick(), Math.min(TICK.most, Math.max(TICK.least, rest)));
  }

  private _askedAt = Date.now();
  private _end: number;
  private _loading: Promise<SessionTimeout> | null = null;
  /** Added to this machine's clock it gives the hub's. */
  private _offset = 0;
}
