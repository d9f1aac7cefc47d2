/** A widget of React that tells the jobs' model whether anybody looks at it. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';

import type { Runtime } from '../runtime';

export abstract class WatchingWidget extends ReactWidget {
  constructor(protected readonly _runtime: Runtime) {
    super();
    this.addClass('aiinfn-Jobs');
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._runtime.model.setVisible(false, this);
      super.dispose();
    }
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
}
