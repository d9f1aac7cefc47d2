/** Which document a command is about, and whether it is saved. */

import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { IEditorTracker } from '@jupyterlab/fileeditor';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { Widget } from '@lumino/widgets';

/** The parts of JupyterLab that know about documents; each tracker may be missing. */
export interface IDocuments {
  contents: Pick<Contents.IManager, 'driveName' | 'localPath'>;
  notebooks: INotebookTracker | null;
  editors: IEditorTracker | null;
  browser: IDefaultFileBrowser | null;
}

const SUPPORTED = /\.(ipynb|py|sh|r)$/i;

/** The drive of real-time collaboration: its files are those of the server's own drive. */
export const SHARED = 'RTC';

/** Where a document lies below the server's root folder; null for one of another drive, of which the disk has no file. */
export function diskPath(contents: IDocuments['contents'], path: string): string | null {
  const drive = contents.driveName(path);
  return drive && drive !== SHARED ? null : contents.localPath(path);
}

/** Whether a file of this name, on this drive, can run as a batch job. */
export function isSupported({ contents }: IDocuments, path: string): boolean {
  return SUPPORTED.test(path) && diskPath(contents, path) !== null;
}

/** The path of the first selected file of the file browser that can run as a job, or of the first selected folder. */
export function selectedPath(documents: IDocuments, folder = false): string | null {
  for (const item of documents.browser?.selectedItems() ?? []) {
    const fits = folder
      ? item.type === 'directory' && diskPath(documents.contents, item.path) !== null
      : item.type !== 'directory' && isSupported(documents, item.path);
    if (fits) {
      return item.path;
    }
  }
  return null;
}

/** The path of the notebook or editor that is in front, or of the selected file. */
export function currentPath(documents: IDocuments, current: Widget | null): string | null {
  const { notebooks, editors } = documents;
  for (const tracker of [notebooks, editors]) {
    if (current && tracker?.has(current)) {
      const path = (current as IDocumentWidget).context.path;
      return isSupported(documents, path) ? path : null;
    }
  }
  // Another kind of widget is in front: what is selected in the file browser is meant, or else the last notebook.
  return selectedPath(documents) ?? notebooks?.currentWidget?.context.path ?? null;
}
