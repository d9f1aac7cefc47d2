/** “Run from here”: which kernel and cell are meant, and what must hold before. */

import { showErrorMessage } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IOrigin } from '../../core/tokens';

/**
 * Find what a notebook goes on from, and save it.
 *
 * @returns The kernel and the active cell; null if that cannot be, which has been said then.
 */
export async function findOrigin(
  panel: NotebookPanel | null | undefined,
  chosen: HTMLElement | null | undefined,
  trans: TranslationBundle
): Promise<IOrigin | null> {
  const problem = panel ? await obstacle(panel, trans) : trans.__('Open a notebook first.');
  const kernel = panel?.sessionContext.session?.kernel?.id;
  if (!panel || !kernel || problem) {
    await showErrorMessage(trans.__('This notebook cannot go on as a job'), problem);
    return null;
  }
  const { content, context } = panel;
  const index = content.widgets.findIndex(({ node }) => node === chosen);
  const cell = index < 0 ? content.activeCellIndex : index;
  if (context.model.dirty) {
    // The cells above keep what they show, and that is in the file only once it is saved.
    await context.save();
  }
  // A save that failed has shown its own message.
  return context.model.dirty ? null : { kernel, cell };
}

/** Why it cannot, in a sentence; empty if it can. */
async function obstacle(panel: NotebookPanel, trans: TranslationBundle): Promise<string> {
  const kernel = panel.sessionContext.session?.kernel;
  switch (kernel?.status) {
    case undefined:
    case 'dead':
    case 'terminating':
      return trans.__(
        'It has no running kernel, so there are no variables to go on with. Run the cells above first, or submit the whole notebook.'
      );
    case 'busy':
      return trans.__(
        'Its kernel is busy. Wait until the running cell is over, or interrupt it, then try again.'
      );
    case 'idle':
      break;
    default:
      return trans.__('Its kernel is not ready yet. Try again in a moment.');
  }
  if ((await kernel?.spec)?.language.toLowerCase() !== 'python') {
    return trans.__(
      'Only the variables of a Python kernel can be carried to a job. Submit the whole notebook instead.'
    );
  }
  return panel.content.activeCell ? '' : trans.__('Choose the cell to begin with.');
}
