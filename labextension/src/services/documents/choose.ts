/** Lets a person choose what to submit, where no file is meant; loaded when that happens. */

import { showErrorMessage } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { FileDialog } from '@jupyterlab/filebrowser';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';

import { type IDocuments, isSupported } from './documents';

/**
 * Show the home's files that can run as a job.
 *
 * @param unfit - A file that was meant and cannot be submitted; its folder is shown first.
 * @param folder - The folder to show first, where no file was meant.
 * @returns The path of the chosen one, or null.
 */
export async function choosePath(
  documents: IDocuments,
  unfit: string | null,
  folder: string,
  trans: TranslationBundle,
  translator?: ITranslator
): Promise<string | null> {
  const manager = documents.browser?.model.manager;
  if (!manager) {
    await showErrorMessage(
      trans.__('Nothing to submit'),
      trans.__(
        'Open a notebook or a script (.py, .sh, .R), or select one in the file browser, then submit again.'
      )
    );
    return null;
  }
  const answer = await FileDialog.getOpenFiles({
    manager,
    translator,
    title: trans.__('Submit as batch…'),
    label: unfit
      ? trans.__('“%1” is no notebook or script (.py, .sh, .R) of the home. Choose one:', unfit)
      : trans.__('Choose a notebook or a script (.py, .sh, .R):'),
    defaultPath: unfit ? PathExt.dirname(unfit) : folder,
    filter: item => (item.type === 'directory' || isSupported(documents, item.path) ? {} : null)
  });
  const chosen = answer.button.accept ? answer.value?.[0] : null;
  return chosen && chosen.type !== 'directory' ? chosen.path : null;
}
