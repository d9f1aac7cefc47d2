/** The side bar's widget: an empty frame until somebody looks at it. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';

import type { IJobs } from '../../core/tokens';

/** What the content of the side bar can do. */
interface IContent extends Widget {
  reveal(job: string): void;
}

/** Loads the jobs panel when it is first shown, and tells it whether it is seen. */
export class JobsSidebar extends Panel {
  constructor(
    private readonly _jobs: IJobs,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('aiinfn-Sidebar');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this._trans.__('Batch jobs'));
  }

  /** Open a job in the list, as soon as there is a list. */
  reveal(job: string): void {
    this._reveal = job;
    this._content?.reveal(job);
  }

  /** Load the content, shown or not; nothing is read before it is shown. */
  async prepare(): Promise<void> {
    if (this._loading) {
      return;
    }
    this._loading = true;
    try {
      const content = (await (await this._jobs.load()).createPanel()) as IContent;
      const active = document.activeElement === this.node;
      this._fill(content);
      if (this.isDisposed) {
        return;
      }
      this._content = content;
      if (active) {
        content.activate();
      }
      if (this._reveal) {
        content.reveal(this._reveal);
      }
    } catch (error) {
      console.error(error);
      const message = new Widget();
      message.node.style.padding = '12px';
      message.node.setAttribute('role', 'alert');
      message.node.textContent = this._trans.__(
        'The list of jobs could not be loaded. Check the connection, then open this panel again.'
      );
      this._fill(message);
      this._loading = false;
    }
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      void this.prepare();
    }
  }

  protected override onBeforeShow(msg: Message): void {
    super.onBeforeShow(msg);
    void this.prepare();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    if (this._content) {
      this._content.activate();
    } else {
      this.node.tabIndex = -1;
      this.node.focus();
    }
  }

  private _fill(content: Widget): void {
    this.widgets.forEach(widget => widget.dispose());
    if (this.isDisposed) {
      content.dispose();
    } else {
      this.addWidget(content);
    }
  }

  private _content: IContent | null = null;
  private _loading = false;
  private _reveal: string | null = null;
}
