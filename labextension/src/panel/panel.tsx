/** The content of the side bar: the list of jobs. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { Runtime } from '../runtime';
import '../../style/panel.css';
import { JobsList } from './list';

/** Tells the model whether anybody looks at it. */
export class JobsPanel extends ReactWidget {
  constructor(private readonly _runtime: Runtime) {
    super();
    this.addClass('aiinfn-Jobs');
    // What is free is not shown here; the platform says how often it wishes to be asked, and how long jobs are kept.
    void this._runtime.readPlatform().then(
      () => this.opened.emit(),
      () => undefined
    );
  }

  /** Emitted when the opened job changes. */
  readonly opened = new Signal<this, void>(this);

  /** The id of the job that is open, or null. */
  get open(): string | null {
    return this._open;
  }

  set open(id: string | null) {
    this._open = id;
    this.opened.emit();
  }

  /** Open a job, whatever the filter hides. */
  reveal(id: string): void {
    this.open = id;
    void this._runtime.model
      .reveal(id)
      .then(() =>
        requestAnimationFrame(() =>
          this.node
            .querySelector(`[data-job="${CSS.escape(id)}"]`)
            ?.scrollIntoView({ block: 'nearest' })
        )
      );
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._runtime.model.setVisible(false, this);
      super.dispose();
    }
  }

  protected override render(): JSX.Element {
    return <JobsList runtime={this._runtime} panel={this} />;
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._runtime.model.setVisible(this.isVisible, this);
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._runtime.model.setVisible(true, this);
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._runtime.model.setVisible(false, this);
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    const target =
      this.node.querySelector<HTMLElement>('.aiinfn-Row-head') ??
      this.node.querySelector<HTMLElement>('button, select');
    target?.focus();
  }

  private _open: string | null = null;
}
