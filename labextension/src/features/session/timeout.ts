/** Reads when the session ends, warns before it, and puts it off. Loaded near the end, or when somebody asks. */

import { Notification } from '@jupyterlab/apputils';
import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { Api } from '../../core/api';
import { explain } from '../../core/errors';
import { clock, span } from '../../core/time-left';
import { CommandIDs } from '../../core/tokens';
import type { ISessionTime } from '../../core/types';

/** Milliseconds for which what was read is good enough: more as long as there is time, less near the end. */
const FRESH = 60_000;
const FRESH_NEAR = 10_000;
const NEAR = 300_000;
/** Of warnings, in seconds before the end, while the hub cannot be asked. */
const USUAL = [900, 300];
/** JupyterLab cuts longer ones. */
const LONGEST = 140;

export interface ISessionTimeoutOptions {
  settings: ServerConnection.ISettings;
  commands: CommandRegistry;
  trans: TranslationBundle;
  language?: string;
  /** Called with the end, the difference of the hub's clock to this machine's, and whether it is near. */
  told: (end: number, offset: number, warns: boolean) => void;
  /** As the page says it. */
  end: number;
}

/** How many of the warnings are due. */
export function due(warnings: readonly number[], leftMs: number): number {
  return warnings.filter(seconds => leftMs <= seconds * 1000).length;
}

export class SessionTimeout {
  constructor(private readonly _options: ISessionTimeoutOptions) {
    this._api = new Api(_options.settings, _options.language);
    this._end = _options.end;
  }

  /**
   * Warn if it is time; called every now and then while somebody looks.
   *
   * The hub is asked once to begin with, before each warning, at the end, and when somebody comes back (`again`).
   */
  async look(again = false): Promise<void> {
    const left = this._left();
    // Who reads this after the end has more time: it was put off elsewhere.
    const wanted = !this._view || again || this._due() > this._warned || left <= 0;
    if (wanted && Date.now() - this._readAt >= (left > NEAR ? FRESH : FRESH_NEAR)) {
      // At once, so that a look meanwhile does not ask as well.
      this._readAt = Date.now();
      await this._read();
    }
    if (this._moved) {
      // The end was put off elsewhere, so a warning that stands here is wrong.
      Notification.dismiss(this._id);
      this._moved = false;
    }
    const number = this._due();
    if (number > this._warned) {
      this._warned = number;
      this._tell(this._warning(), 'warning', this._actions());
    }
    this._options.told(this._end, this._offset, number > 0);
  }

  /** Tell how much time there is, and what can be done about it. */
  async show(): Promise<void> {
    const { trans } = this._options;
    await this._read();
    // What is told now is right, whatever the notification said before.
    this._moved = false;
    this._options.told(this._end, this._offset, this._warned > 0);
    const text = trans.__(
      'This session ends in %1, at %2.',
      span(this._left(), trans),
      this._clock()
    );
    this._tell(`${text} ${this._why()}`, 'info', this._actions());
  }

  /** Put the end off, and tell how that went. */
  async extend(): Promise<void> {
    const { trans } = this._options;
    this._tell(trans.__('Asking for more time…'), 'in-progress', []);
    try {
      this._take(await this._api.extendSession());
    } catch (error) {
      const { message, hint } = explain(error, trans);
      // Somebody may stop waiting, and the hub may come back.
      this._tell(`${message} ${hint}`, 'error', this._actions());
      return;
    }
    this._moved = false;
    const more = this._view?.extensions_left ?? 0;
    const text = trans.__('This session now ends at %1.', this._clock());
    const rest = more
      ? trans._n('It can be extended once more.', 'It can be extended %1 more times.', more)
      : trans.__('It cannot be extended again.');
    this._tell(`${text} ${rest}`, 'success', [], 10_000);
    this._options.told(this._end, this._offset, false);
  }

  private _due(): number {
    return this._left() > 0 ? due(this._view?.warnings ?? USUAL, this._left()) : 0;
  }

  private async _read(): Promise<void> {
    try {
      this._take(await this._api.sessionTime());
    } catch {
      // What is known holds; a warning must not fail for want of it.
    }
  }

  private _take(view: ISessionTime): void {
    const end = Date.parse(view.end);
    this._view = view;
    this._readAt = Date.now();
    this._offset = Date.parse(view.now) - this._readAt;
    if (end !== this._end) {
      this._end = end;
      this._warned = 0;
      this._moved = true;
    }
  }

  private _warning(): string {
    const { trans } = this._options;
    const time = span(this._left(), trans);
    const why = this._why();
    return why
      ? trans.__('This session ends in %1, at %2: save your work. %3', time, this._clock(), why)
      : trans.__(
          'This session ends in %1, at %2. What is only in memory is lost then: save it, or submit it as batch.',
          time,
          this._clock()
        );
  }

  /** Why it cannot be extended; empty if it can. */
  private _why(): string {
    return this._view?.extension ? '' : (this._view?.refusal?.message ?? '');
  }

  private _actions(): Notification.IAction[] {
    const { commands, trans } = this._options;
    const actions: Notification.IAction[] = [];
    const more = this._view?.extension;
    if (more) {
      actions.push({
        label: trans.__('Extend by %1', span(more.seconds * 1000, trans)),
        displayType: 'accent',
        callback: event => {
          // The notification stays, and says what came of it.
          event.preventDefault();
          void this.extend();
        }
      });
    }
    if (this._warned) {
      actions.push({
        label: trans.__('Submit as batch…'),
        callback: () => void commands.execute(CommandIDs.submit)
      });
    }
    return actions;
  }

  /** There is one notification, which changes. */
  private _tell(
    text: string,
    type: Notification.TypeOptions,
    actions: Notification.IAction[],
    autoClose: number | false = false
  ): void {
    const whole = text.trim();
    const message = whole.length > LONGEST ? `${whole.slice(0, LONGEST - 1)}…` : whole;
    const options = { actions, autoClose };
    if (this._id && Notification.manager.has(this._id)) {
      Notification.update({ id: this._id, message, type, ...options });
    } else {
      this._id = Notification.emit(message, type, options);
    }
  }

  private _left(): number {
    return this._end - Date.now() - this._offset;
  }

  private _clock(): string {
    return clock(this._end);
  }

  private readonly _api: Api;
  private _end: number;
  private _offset = 0;
  private _view: ISessionTime | null = null;
  private _readAt = -Infinity;
  private _warned = 0;
  private _moved = false;
  private _id: string | undefined;
}
