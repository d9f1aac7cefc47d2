/** The content of the side bar: the list of jobs. */

import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import type { IJobsService } from '../../core/tokens';
import { JobsWidget } from '../../core/ui/jobs-widget';
import { type IListState, JobsList } from './list';

export class JobsPanel extends JobsWidget implements IListState {
  constructor(jobs: IJobsService) {
    super(jobs);
    // What is free is not shown here; the platform says how often it wishes to be asked, and how long jobs are kept.
    void jobs.readPlatform().then(
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
    void this._jobs.model
      .reveal(id)
      .then(() =>
        requestAnimationFrame(() =>
          this.node
            .querySelector(`[data-job="${CSS.escape(id)}"]`)
            ?.scrollIntoView({ block: 'nearest' })
        )
      );
  }

  protected override content(): JSX.Element {
    return <JobsList state={this} />;
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
