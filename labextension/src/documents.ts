/** Which document a command is about, and whether it is saved. */

import type { DocumentRegistry, IDocumentWidget } from '@jupyterlab/docregistry';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { IEditorTracker } from '@jupyterlab/fileeditor';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Widget } from '@lumino/widgets';

/** The parts of JupyterLab that know about documents; each may be missing. */
export interface IDocuments {
  notebooks: INotebookTracker | null;
  editors: IEditorTracker | null;
  browser: IDefaultFileBrowser | null;
}

const SUPPORTED = /\.(ipynb|py|sh|r)$/i;

/** Whether a file of this name can run as a batch job. */
export function isSupported(path: string): boolean {
  return SUPPORTED.test(path);
}

/** The path of the first selected file of the file browser that can run as a job. */
export function selectedPath(documents: IDocuments): string | null {
  for (const item of documents.browser?.selectedItems() ?? []) {
    if (item.type !== 'directory' && isSupported(item.path)) {
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
      return isSupported(path) ? path : null;
    }
  }
  // Another kind of widget is in front: what is selected in the file browser is meant, or else the last notebook.
  return selectedPath(documents) ?? notebooks?.currentWidget?.context.path ?? null;
}

/** The open document of a path, if there is one. */
export function openContext(
  documents: IDocuments,
  path: string
): DocumentRegistry.Context | undefined {
  const found =
    documents.notebooks?.find(widget => widget.context.path === path) ??
    documents.editors?.find(widget => widget.context.path === path);
  return found?.context;
}
