/** A widget of React that gives its components the service, and tells the jobs' model whether anybody looks at it. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IJobsService } from '../tokens';
import { JobsContext } from './context';

export abstract class JobsWidget extends ReactWidget {
  constructor(protected readonly _jobs: IJobsService) {
    super();
    this.addClass('aiinfn-Jobs');
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._jobs.model.setVisible(false, this);
      super.dispose();
    }
  }

  /** Draw what the widget shows. */
  protected abstract content(): JSX.Element;

  protected override render(): JSX.Element {
    return <JobsContext.Provider value={this._jobs}>{this.content()}</JobsContext.Provider>;
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._jobs.model.setVisible(this.isVisible, this);
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._jobs.model.setVisible(true, this);
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._jobs.model.setVisible(false, this);
  }
}
