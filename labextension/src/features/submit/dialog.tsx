/** The dialog that submits a file. */

import { Dialog } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { IJobsService, IOrigin } from '../../core/tokens';
import type { IJob } from '../../core/types';
import { JobsContext } from '../../core/ui/context';
import { controlId } from '../../core/ui/field';
import { SubmitBody } from './body';
import { SubmitForm } from './form';
import { labelsInUse } from './labels';
import { prefill, runs } from './prefill';

/**
 * Show the dialog.
 *
 * @param isFolder - Whether the path is that of a folder, which is submitted as a whole.
 * @returns The job, or null when nothing was submitted.
 */
export async function openSubmitDialog(
  jobs: IJobsService,
  path: string,
  origin?: IOrigin,
  isFolder = false,
  again?: IJob
): Promise<IJob | null> {
  const { api, contents, model, platform, trans } = jobs;
  const form = new SubmitForm({
    api,
    contents,
    trans,
    path,
    isFolder,
    runs: again && runs(again),
    readPlatform: () => jobs.readPlatform(),
    memory: jobs.memory,
    labelsInUse: labelsInUse(model.known(), platform?.user),
    origin
  });
  // eslint-disable-next-line jupyter/require-disposable-ownership -- disposed below, whatever happens
  const dialog = new SubmitDialog(form, jobs);
  void form.load().then(async () => {
    if (again && !form.isDisposed) {
      await prefill(form, again, api);
    }
  });
  try {
    await dialog.launch();
    return dialog.job;
  } finally {
    form.dispose();
    dialog.dispose();
  }
}

/**
 * A dialog that stays open until the submission was accepted, so that nothing that was typed is lost.
 */
class SubmitDialog extends Dialog<null> {
  constructor(
    private readonly _form: SubmitForm,
    jobs: IJobsService
  ) {
    const { trans, path } = _form;
    const body = ReactWidget.create(
      <JobsContext.Provider value={jobs}>
        <SubmitBody form={_form} />
      </JobsContext.Provider>
    );
    body.addClass('aiinfn-Submit-body');
    const name = PathExt.basename(path);
    const title = _form.carried
      ? trans.__('Run %1 from here as batch', name)
      : trans.__('Submit %1 as batch', name);
    super({
      title,
      body,
      hasClose: true,
      buttons: [
        Dialog.cancelButton(),
        Dialog.okButton({ label: trans.__('Submit'), className: 'aiinfn-Submit-button' })
      ]
    });
    this.addClass('aiinfn-SubmitDialog');
    this.node.setAttribute('aria-label', title);
    body.node.tabIndex = -1;
    _form.changed.connect(this._update, this);
    this._update();
  }

  /** What was submitted. */
  job: IJob | null = null;

  /** Submit, and close only once the job was accepted. */
  override resolve(index?: number): void {
    if (index === 0) {
      this.reject();
      return;
    }
    void this._submit();
  }

  override reject(): void {
    // Nobody knows yet whether the job exists.
    if (!this._form.busy) {
      super.reject();
    }
  }

  override handleEvent(event: Event): void {
    const target = event.target as HTMLElement;
    if (event.type === 'click' && target === this.node) {
      // A click beside the dialog would throw the filled form away.
      return;
    }
    if (event.type === 'keydown' && this._isBody(target)) {
      const { key } = event as KeyboardEvent;
      const button = target instanceof HTMLButtonElement;
      if (button && ['Enter', 'ArrowLeft', 'ArrowRight'].includes(key)) {
        // Buttons of the body work like buttons, not like those of the dialog.
        return;
      }
      if (key === 'Enter' && target.matches('select, textarea, summary, [data-enter="own"]')) {
        return;
      }
    }
    super.handleEvent(event);
  }

  private async _submit(): Promise<void> {
    const { _form: form } = this;
    if (form.busy) {
      return;
    }
    const job = form.canSubmit && !form.refused ? await form.submit() : null;
    if (job) {
      this.job = job;
      super.resolve(1);
      return;
    }
    this._focusFirstError();
  }

  private _focusFirstError(): void {
    const { errors, sweep } = this._form;
    const field = Object.keys(errors)[0];
    if (!field && sweep.on && sweep.empty) {
      this.node.querySelector<HTMLElement>('.aiinfn-Sweep .jp-mod-styled')?.focus();
    }
    if (field) {
      const control =
        document.getElementById(controlId(field)) ??
        this.node.querySelector<HTMLElement>(`[data-field="${CSS.escape(field)}"] input`);
      control?.focus();
      control?.scrollIntoView({ block: 'nearest' });
    }
  }

  private _update(): void {
    const button = this.node.querySelector<HTMLButtonElement>('.aiinfn-Submit-button');
    if (!button) {
      return;
    }
    const { trans, busy, ready, fatal, refused, sweep, anyway } = this._form;
    button.disabled = busy || !ready || !!fatal || refused;
    button.setAttribute('aria-busy', String(busy));
    const label = button.querySelector('.jp-Dialog-buttonLabel');
    if (ready && !this._focused) {
      this._focused = true;
      void this.ready.then(() => this._focusFirst());
    }
    if (label) {
      const words = busy
        ? trans.__('Submitting…')
        : anyway
          ? trans.__('Submit anyway')
          : sweep.size
            ? trans._n('Submit %1 run', 'Submit %1 runs', sweep.size)
            : trans.__('Submit');
      label.textContent = words;
      button.setAttribute('aria-label', words);
    }
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    // The button that would have the focus is disabled until the form is filled.
    this.node.querySelector<HTMLElement>('.aiinfn-Submit-body')?.focus();
    this._update();
  }

  /** Begin with the first choice, once React has drawn it; Enter submits from there, too. */
  private _focusFirst(): void {
    requestAnimationFrame(() =>
      this.node.querySelector<HTMLElement>('.aiinfn-Submit input:checked')?.focus()
    );
  }

  private _focused = false;

  private _isBody(target: HTMLElement): boolean {
    return !!target.closest?.('.jp-Dialog-body');
  }
}
