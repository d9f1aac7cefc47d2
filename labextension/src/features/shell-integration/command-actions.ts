/** What the commands do; loaded when the first one is executed. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { CommandIDs, type IJobs } from '../../core/tokens';
import { choosePath } from '../../services/documents/choose';
import { unsavedContexts } from '../../services/documents/contexts';
import { type IDocuments, isSupported } from '../../services/documents/documents';
import { openOutput } from '../../services/documents/open-output';
import { settleUnsaved } from '../../services/documents/unsaved';

export interface ICommandOptions {
  app: JupyterFrontEnd;
  jobs: IJobs;
  trans: TranslationBundle;
  documents: IDocuments;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * Execute a command.
 *
 * @param target - The file that is meant, or null.
 */
export async function execute(
  command: string,
  args: ReadonlyPartialJSONObject,
  target: string | null,
  options: ICommandOptions
): Promise<void> {
  const { app, jobs, documents } = options;
  switch (command) {
    case CommandIDs.submit:
      return submit(args, target, options);
    case CommandIDs.runFromHere: {
      // A right click makes no cell active.
      const cell = args.menu && app.contextMenuHitTest(node => node.matches('.jp-Cell'));
      return (await jobs.load()).runFromHere(documents.notebooks?.currentWidget, cell || null);
    }
    case CommandIDs.openOutput:
      return text(args.path)
        ? openOutput(app.commands, documents, text(args.path), args)
        : undefined;
    case CommandIDs.cancel:
      return text(args.id) ? (await jobs.load()).cancel(text(args.id)) : undefined;
  }
}

async function submit(
  args: ReadonlyPartialJSONObject,
  target: string | null,
  { app, jobs, trans, documents }: ICommandOptions
): Promise<void> {
  const folder = args.source === 'folder';
  let path = target;
  if (!path || !(folder || isSupported(documents, path))) {
    path = await choosePath(documents, path, text(args.cwd), trans);
    if (!path) {
      return;
    }
  }
  const { contents } = app.serviceManager;
  const unsaved = unsavedContexts(documents, path);
  if (unsaved[0] && !(await settleUnsaved(unsaved, contents, trans))) {
    return;
  }
  // A path of a real-time collaboration drive is still a file on the disk.
  await (await jobs.load()).openSubmit(contents.localPath(path), undefined, folder);
}
