/** What to do about unsaved changes before a file is submitted. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { notebookFingerprint } from './notebook-fingerprint';

/**
 * Offer to save changes that would change the job.
 *
 * @param contexts - The open document that is submitted, or those in a folder that is.
 * @returns Whether to go on.
 */
export async function settleUnsaved(
  contexts: readonly DocumentRegistry.Context[],
  contents: Contents.IManager,
  trans: TranslationBundle
): Promise<boolean> {
  const matter = await Promise.all(contexts.map(context => matters(context, contents)));
  const changed = contexts.filter((_, index) => matter[index]);
  if (!changed.length) {
    return true;
  }
  const [{ path }] = changed;
  const answer = await showDialog({
    title: trans.__('Save before submitting?'),
    body:
      changed.length > 1
        ? trans.__(
            '“%1” and %2 more have unsaved changes. Without them, the job gets the versions that were saved last.',
            path,
            changed.length - 1
          )
        : trans.__(
            '“%1” has unsaved changes. Without them, the job executes the version that was saved last.',
            path
          ),
    buttons: [
      Dialog.cancelButton(),
      Dialog.okButton({ label: trans.__('Submit without saving'), actions: ['as-is'] }),
      Dialog.okButton({ label: trans.__('Save and submit'), actions: ['save'] })
    ]
  });
  if (!answer.button.accept) {
    return false;
  }
  if (answer.button.actions.includes('save')) {
    await Promise.all(changed.map(context => context.save()));
    // A save that failed has shown its own message.
    return !changed.some(context => context.model.dirty);
  }
  return true;
}

/**
 * Whether a job would notice the unsaved changes.
 *
 * A notebook counts as changed as soon as its kernel has started or a cell was run, because of the kernel's version
 * and of the outputs; a job starts from the cells' sources.
 */
async function matters(
  context: DocumentRegistry.Context,
  contents: Contents.IManager
): Promise<boolean> {
  if (context.contentsModel?.type !== 'notebook') {
    return true;
  }
  try {
    const saved = await contents.get(context.path, { type: 'notebook', content: true });
    return notebookFingerprint(saved.content) !== notebookFingerprint(context.model.toJSON());
  } catch {
    return true;
  }
}
