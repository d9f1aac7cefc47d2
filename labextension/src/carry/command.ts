/** “Run from here”: what must hold before the dialog opens. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { showErrorMessage } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IJobs } from '../tokens';

/** Open the dialog for the rest of a notebook, from its active cell on. */
export async function runFromHere(
  app: JupyterFrontEnd,
  jobs: IJobs,
  panel: NotebookPanel | null,
  trans: TranslationBundle
): Promise<void> {
  const problem = panel ? await obstacle(panel, trans) : trans.__('Open a notebook first.');
  if (!panel || problem) {
    await showErrorMessage(trans.__('This notebook cannot go on as a job'), problem);
    return;
  }
  const { content, context, sessionContext } = panel;
  const cell = content.activeCellIndex;
  if (context.model.dirty) {
    // The cells above keep what they show, and that is in the file only once it is saved.
    await context.save();
    if (context.model.dirty) {
      return;
    }
  }
  const kernel = sessionContext.session?.kernel?.id ?? '';
  const path = app.serviceManager.contents.localPath(context.path);
  await (await jobs.load()).openSubmit(path, { kernel, cell });
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
